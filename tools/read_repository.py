#!/usr/bin/env python3
"""Lists, checks and restores a backup without the program that made it.

It needs a copy of the repository on this disk: the folder of the bucket's prefix, fetched with rclone, say. Where the
folder is not named like that prefix, --prefix says it: what was made for another one is not taken for this one's.
Written from docs/format.md alone, whose sections are named here as §5. It never writes to that copy, nor over anything.

The secret is the passphrase or the application key that the backup was made with, or its recovery code:
B2_BACKUP_PASSPHRASE, B2_APPLICATION_KEY or B2_BACKUP_RECOVERY_CODE in the environment, else it is asked for. Needs Python 3.8 or newer; for encrypted backups the
package `cryptography`; and one of Python 3.14, the packages `zstandard` or `pyzstd`, or the command `zstd`.

Exit status: 0 done, 1 failed, 2 usage, 3 done but for what is listed.
"""
import argparse
import getpass
import hashlib
import hmac
import os
import re
import shutil
import subprocess
import sys
import tempfile
from array import array
from bisect import bisect_right
from collections import OrderedDict
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

MIB = 1 << 20
# Bounds in bytes and counts, §12.
MANIFEST, BODY, SLOT, TAIL, FOOTER, FRAME, PACK, TREE = (
    64 * MIB, 256 * MIB, 4096, 8 * MIB, 8 * MIB, 16 * MIB, 64 * MIB, 1024 * MIB,
)  # fmt: skip
SLOTS, SLOTS_BELOW_KEYS, SLOTS_TRIED, CHUNKS = 64, 256, 16, 131_072
# A bound of this reader's own: items in one CBOR structure, which need more memory than bytes.
ITEMS = 1 << 22
REASONS = ["manual", "scheduled", "compaction", "shutdown", "safety", "reset"]
ROOTS = {0: "state directory", 1: "workspace", 2: "agent directory", 3: "configuration files"}
KEY_SLOT_KIND, PACK_KIND, MANIFEST_KIND = 1, 2, 3
FILE, DIRECTORY, SYMLINK = 0, 1, 2
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
LABEL = b"openclaw-b2-backup/2/"
ID = re.compile(r"(safety-)?(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ)-([0-9a-f]{8})", re.ASCII)
FORMAT_1 = re.compile(r"(safety-)?\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d.*", re.ASCII)

# Shapes of structures (see `fit`): §7, §8, §9, §10.
U8, U16, U32, U64 = range(1 << 8), range(1 << 16), range(1 << 32), range(1 << 64)
I64 = range(-(1 << 63), 1 << 63)
RUN_SHAPE = (U32, U32, U32, U64)
SLOT_SHAPE = {0: range(3), 1: range(14, 22), 2: range(1, 33), 3: range(1, 5), 4: I64, 5: 48}
FOOTER_SHAPE = {0: [(U32, range(FRAME + 1), bool, range(1, CHUNKS + 1))], 1: [U32], 2: bytes}
ENTRY_SHAPE = (U16, bytes, range(3), U32, I64, U64, bytes, [RUN_SHAPE], U32, bytes)
MANIFEST_SHAPE = {
    0: U64, 2: range(len(REASONS)), 3: I64, 4: I64, 6: str, 7: bool, 8: [{0: U8, 1: bytes}],
    9: {0: U64, 1: U64, 2: U64, 3: U64}, 10: [(U32, 16, U64, U32, U64)],
    11: {0: U64, 1: 32, 2: [RUN_SHAPE], 3: [(U32, U64)]}, 12: [{0: str, 1: str, 2: str}],
}  # fmt: skip


class Problem(Exception):
    """What cannot be read, written or trusted, in words for people."""


def need(condition, text):
    if not condition:
        raise Problem(text)


@contextmanager
def about(name):
    """Says which object a problem is in."""
    try:
        yield
    except Problem as problem:
        raise Problem(f"{name}: {problem}") from None


def show(path):
    """A path for people: what cannot be printed is escaped."""
    text = path.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else "".join(f"\\x{b:02x}" for b in c.encode()) for c in text)


def read(path, most, start=0, length=-1):
    try:
        with open(path, "rb") as file:
            need(os.fstat(file.fileno()).st_size <= most, "is larger than it may be")
            file.seek(start)
            return file.read(length)
    except OSError as error:
        raise Problem(f"cannot be read: {error.strerror}") from None


# --- CBOR and compressed parts, §4


def cbor(data, at=0, depth=16, budget=None):
    """One item and the place behind it. What this format does not use becomes None."""
    budget = [ITEMS] if budget is None else budget
    budget[0] -= 1
    need(depth and budget[0] and at < len(data), "has CBOR that ends too early or is too large")
    major, info, at, number = data[at] >> 5, data[at] & 31, at + 1, None
    if info < 24:
        number = info
    elif info < 28:
        number, at = int.from_bytes(data[at : at + (1 << info - 24)], "big"), at + (1 << info - 24)
    else:
        need(info == 31 and major in (2, 3, 4, 5), "has invalid CBOR")
    if major < 2:
        return (-1 - number if major else number), at
    if major == 6:
        return None, cbor(data, at, depth - 1, budget)[1]
    if major == 7:
        return {20: False, 21: True}.get(info), at
    if major < 4 and number is not None:
        need(number <= len(data) - at, "has CBOR that ends too early")
        try:
            return (str(data[at : at + number], "utf-8") if major == 3 else data[at : at + number]), at + number
        except UnicodeDecodeError:
            raise Problem("has CBOR text that is not UTF-8") from None
    items, left = [], -1 if number is None else number * (2 if major == 5 else 1)
    while left and not (left < 0 and data[at : at + 1] == b"\xff"):
        item, at = cbor(data, at, depth - 1, budget)
        items.append(item)
        left -= 1
    at += left < 0
    if major == 4:
        return items, at
    if major < 4:
        need(all(type(item) is (str if major == 3 else bytes) for item in items), "has invalid CBOR")
        return ("" if major == 3 else b"").join(items), at
    keys = items[::2]
    need(len(items) % 2 == 0 and all(type(key) is int and key >= 0 for key in keys), "has a map with strange keys")
    need(all(a < b for a, b in zip(keys, keys[1:])), "has a map with keys out of order")
    return dict(zip(keys, items[1::2])), at


def fit(value, shape):
    """The known part of a structure. A shape is a range, a type, a number of bytes, [of each], (an array) or {a map}."""
    if isinstance(shape, range):
        good = type(value) is int and value in shape
    elif isinstance(shape, type):
        good = type(value) is shape
    elif isinstance(shape, int):
        good = type(value) is bytes and len(value) == shape
    elif isinstance(shape, dict):
        good = type(value) is dict and all(key in value for key in shape)
        value = good and {key: fit(value[key], of) for key, of in shape.items()}
    else:
        good = type(value) is list and len(value) >= (len(shape) if isinstance(shape, tuple) else 0)
        value = good and [fit(v, of) for v, of in zip(value, shape if isinstance(shape, tuple) else shape * len(value))]
    need(good, "has something in it that does not belong there")
    return value


def find_zstd():
    """A function of compressed bytes and a count that gives at most so many bytes, and how it fails."""
    try:
        try:
            from compression.zstd import ZstdDecompressor, ZstdError
        except ImportError:
            from pyzstd import ZstdDecompressor, ZstdError
        return lambda data, most: ZstdDecompressor().decompress(data, max_length=most), ZstdError
    except ImportError:
        pass
    try:
        import zstandard

        return lambda data, most: zstandard.ZstdDecompressor().stream_reader(data).read(most), zstandard.ZstdError
    except ImportError:
        if not shutil.which("zstd"):
            raise SystemExit("zstd is needed: `pip install zstandard`, or install the command `zstd`") from None

    def command(data, most):
        with tempfile.TemporaryFile() as file:
            file.write(data)
            file.seek(0)
            with subprocess.Popen(["zstd", "-dcq"], stdin=file, stdout=subprocess.PIPE) as process:
                content = process.stdout.read(most)
                process.kill()
        return content

    return command, OSError


def unzstd(data, length):
    unzstd.found = getattr(unzstd, "found", None) or find_zstd()
    decompress, error = unzstd.found
    try:
        content = decompress(data, length + 1)
    except error:
        content = b""
    need(len(content) == length, "does not decompress to what it says")
    return content


def part(data, most):
    """The content of a compressed part."""
    length = int.from_bytes(data[:4], "little")
    need(len(data) >= 5 and length <= most and data[4] in (0, 1), "has a compressed part that cannot be")
    need(data[4] or len(data) - 5 == length, "is not as long as it says")
    return unzstd(data[5:], length) if data[4] else data[5:]


# --- Headers, keys and seals: §3, §5, §6, §7


class Header(NamedTuple):
    raw: bytes
    sealed: bool
    repository: bytes
    salt: bytes
    commitment: bytes


def header(data, kind):
    need(len(data) >= 96 and data[:8] == b"OCLAWB2\0", "is nothing of this format")
    need(data[9] <= 3, "was written by a newer version: a newer reader is needed")
    need(data[10] == kind, "is of another kind than its name says")
    need(data[11] <= 1 and not any(data[12:16]), "has a header that this reader does not know")
    return Header(data[:96], data[11] == 1, data[16:32], data[32:64], data[64:96])


def hkdf(key, salt, info, length):
    extracted, out, block = hmac.new(salt, key, "sha256").digest(), b"", b""
    while len(out) < length:
        block = hmac.new(extracted, block + info + bytes([len(out) // 32 + 1]), "sha256").digest()
        out += block
    return out[:length]


def crypto():
    try:
        from cryptography import exceptions
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
    except ImportError:
        raise SystemExit("the Python package `cryptography` is needed: `pip install cryptography`") from None
    return AESGCM, Scrypt, exceptions.InvalidTag


class Seals:
    """Opens the seals of one object."""

    def __init__(self, head, key, label):
        self.cipher = None
        if not head.sealed:
            need(not any(head.commitment), "is plain and has a key commitment")
            return
        derived = hkdf(key, head.salt, LABEL + label + b"\0" + head.repository, 64)
        need(hmac.compare_digest(derived[32:], head.commitment), "does not open with this key, or its header is damaged")
        self.cipher = crypto()[0](derived[:32])

    def open(self, domain, counter, context, data):
        need(len(data) >= 16, "is too short")
        if self.cipher is None:
            place = bytes([domain]) + counter.to_bytes(8, "big") + len(context).to_bytes(8, "big")
            digest = hashlib.sha256(LABEL + b"plain" + place + context + data[:-16]).digest()
            need(digest[:16] == data[-16:], "is damaged")
            return data[:-16]
        try:
            return self.cipher.decrypt(bytes([domain, 0, 0, 0]) + counter.to_bytes(8, "big"), data, context)
        except crypto()[2]:
            raise Problem("is damaged") from None


def slot_prefix(data):
    """The prefix that a key slot was made for; None where it is of format 2, or no slot."""
    try:
        header(data, KEY_SLOT_KIND)
        prefix = cbor(data, 96)[0].get(6)
        need(data[9] > 2 and re.fullmatch("[A-Za-z0-9/._-]{1,100}", prefix), "has no prefix")
        return prefix
    except (AttributeError, TypeError, Problem):
        return None


def open_slot(data, repository, secret, prefixes):
    """The master key in a key slot, or None: a slot that cannot be opened, or not here, is none."""
    try:
        need(len(data) <= SLOT, "is too large")
        head, slot = header(data, KEY_SLOT_KIND), fit(cbor(data, 96)[0], SLOT_SHAPE)
        prefix = "" if data[9] <= 2 else slot_prefix(data)
        need(data[9] <= 2 or prefix in prefixes, "is of another prefix")
        n, r, p = 1 << slot[1], slot[2], slot[3]
        need(head.sealed and head.repository == repository and 128 * r * n <= 512 * MIB, "is not for this")
        stretched = crypto()[1](salt=head.salt, length=32, n=n, r=r, p=p).derive(secret)
        return Seals(head, stretched, b"slot").open(3, 0, head.raw + prefix.encode(), slot[5])
    except Problem:
        return None


class Keys:
    """The master keys of the repositories in a folder, opened when they are needed."""

    def __init__(self, folder, prefix):
        self.folder, self.secrets, self.masters, self.tried = folder, [], {}, set()
        names = folder.resolve().parts[1:]
        # What the folder is named like, and what the user says.
        self.prefixes = {"/".join(names[at:]) for at in range(len(names))} | {prefix}

    def master(self, repository, own):
        elsewhere = set()
        for slots in (own, self.below_keys()):
            if repository in self.masters:
                break
            slots = list(slots)
            of_it = (slot_prefix(slot) for slot in slots if slot[16:32] == repository)
            elsewhere |= {prefix for prefix in of_it if prefix} - self.prefixes
            fitting = (slot for slot in slots if slot[16:32] == repository and slot not in self.tried)
            for slot in list(fitting)[:SLOTS_TRIED]:
                self.tried.add(slot)
                opened = (open_slot(slot, repository, secret, self.prefixes) for secret in self.ask())
                key = next((key for key in opened if key), None)
                if key:
                    self.masters[repository] = key
                    break
        text = "is encrypted, and no secret at hand opens it"
        for prefix in sorted(elsewhere):
            text = f"was made for the prefix {prefix}: where this is a copy of your own, add --prefix {prefix}"
        need(repository in self.masters, text)
        return self.masters[repository]

    def below_keys(self):
        paths = (path for path in (self.folder / "keys").glob("*") if re.fullmatch("[0-9a-f]{32}", path.name))
        for path in sorted(paths)[:SLOTS_BELOW_KEYS]:
            try:
                yield read(path, SLOT)
            except Problem:
                continue

    def ask(self):
        names = ("B2_BACKUP_PASSPHRASE", "B2_APPLICATION_KEY", "B2_BACKUP_RECOVERY_CODE")
        if not self.secrets:
            secrets = [os.environ[name] for name in names if os.environ.get(name)]
            if not secrets and sys.stdin.isatty():
                secrets = [getpass.getpass("Passphrase, application key or recovery code of the backup: ")]
            need(secrets, f"is encrypted: set {', '.join(names[:-1])} or {names[-1]}")
            # What may be a recovery code is tried as one first (§7).
            secrets = [form for secret in secrets for form in (*recovery_code(secret), secret)]
            self.secrets = [secret.encode("utf-8", "surrogateescape") for secret in secrets]
        return self.secrets


def recovery_code(typed):
    """A recovery code in the form that goes into scrypt, or nothing where it can be none."""
    plain = re.sub("[\\s\u00ad\u2010-\u2015\u2212-]", "", typed).upper()
    plain = plain.replace("O", "0").replace("I", "1").replace("L", "1")
    return [plain] if re.fullmatch("[0-9A-HJKMNP-TV-Z]{35}", plain) else []


# --- Packs, §8


class Run(NamedTuple):
    pack: int
    first: int
    count: int
    size: int


class Pack:
    """One pack, as the manifest of a snapshot names it."""

    def __init__(self, snapshot, name, size, tail_bytes):
        self.name, self.path = name, snapshot.folder / name
        need(100 < tail_bytes <= TAIL and tail_bytes + 96 <= size <= PACK, "has an impossible size")
        need(self.path.is_file(), "is missing")
        need(self.path.stat().st_size == size, "has another size than its snapshot says")
        tail = read(self.path, PACK, size - tail_bytes)
        need(int.from_bytes(tail[-4:], "little") == tail_bytes, "is damaged: its tail does not fit")
        self.header = header(tail[-100:-4], PACK_KIND)
        kinds = [(head.sealed, head.repository) for head in (self.header, snapshot.header)]
        need(kinds[0] == kinds[1], "is of another repository than its snapshot")
        self.seals, self.context = Seals(self.header, snapshot.master, b"pack"), self.header.raw + name.encode()
        footer = fit(cbor(part(self.seals.open(1, 0, self.context, tail[:-100]), FOOTER))[0], FOOTER_SHAPE)
        # Where each chunk starts in all raw bytes of the pack, and the end; the first chunk of each frame, and the end.
        self.starts, self.ids, self.frames = array("Q", [0, *accumulate(footer[1])]), footer[2], []
        self.firsts, at = [0, *accumulate(frame[3] for frame in footer[0])], 96
        need(self.firsts[-1] == len(footer[1]) <= CHUNKS, "has frames that do not fit its chunks")
        need(len(self.ids) == 32 * len(footer[1]), "has chunks without an id")
        for first, end, (stored, raw, compressed, _) in zip(self.firsts, self.firsts[1:], footer[0]):
            need(self.starts[end] - self.starts[first] == raw, "has frames that do not fit its chunks")
            self.frames.append((at, stored, raw, compressed))
            at += stored
        need(at + tail_bytes == size, "has frames that do not fit its size")

    def frame(self, index):
        at, stored, raw, compressed = self.frames[index]
        payload = self.seals.open(0, index, self.context, read(self.path, PACK, at, stored))
        need(compressed or len(payload) == raw, "has a frame that is not as long as it says")
        return unzstd(payload, raw) if compressed else payload

    def pieces(self, run, frame):
        """The content of a run in pieces; `frame` gives the frame of a number, perhaps from memory."""
        chunk, end = run.first, run.first + run.count
        need(end < len(self.starts), "does not have all the chunks of a run")
        need(self.starts[end] - self.starts[chunk] == run.size, "has other chunks than a run says")
        while chunk < end:
            index = bisect_right(self.firsts, chunk) - 1
            base, last = self.starts[self.firsts[index]], min(end, self.firsts[index + 1])
            yield frame(index)[self.starts[chunk] - base : self.starts[last] - base]
            chunk = last


# --- Snapshots and their trees: §9, §10


class Recent:
    """Remembers what was made last, so that a frame is not opened again for each run in it."""

    def __init__(self, most):
        self.most, self.made = most, OrderedDict()

    def get(self, key, make):
        if key not in self.made:
            self.made[key] = make()
            if len(self.made) > self.most:
                self.made.popitem(last=False)
        self.made.move_to_end(key)
        return self.made[key]


class Entry(NamedTuple):
    root: int
    path: bytes
    kind: int
    mode: int
    mtime: int
    size: int
    sha256: bytes
    runs: list
    remarks: int
    target: bytes


class Snapshot:
    """A manifest, opened."""

    def __init__(self, folder, keys, id):
        self.folder, self.id, self.packs, self.opened, self.frames = folder, id, {}, Recent(64), Recent(8)
        name, slots, at = f"{id}/manifest", [], 97
        data = read(folder / name, MANIFEST)
        self.header = header(data, MANIFEST_KIND)
        need(len(data) > 96 and data[96] <= SLOTS, "has too many key slots")
        for _ in range(data[96]):
            length = int.from_bytes(data[at : at + 2], "little")
            slots.append(data[at + 2 : at + 2 + length])
            at += 2 + length
        self.master = keys.master(self.header.repository, slots) if self.header.sealed else b""
        seals = Seals(self.header, self.master, b"manifest")
        body = fit(cbor(part(seals.open(2, 0, data[:at] + name.encode(), data[at:]), BODY))[0], MANIFEST_SHAPE)
        self.sequence, self.reason, self.when = body[0], REASONS[body[2]], body[3]
        self.files, self.bytes = body[9][0], body[9][3]
        self.roots, self.remarks = [(root[0], root[1]) for root in body[8]], body[12]
        need(self.roots and self.roots[0][0] == 0, "has no state directory")
        for number, pack, size, tail_bytes, _ in body[10]:
            need(number > max(self.packs, default=-1), "has packs out of order")
            self.packs[number] = (f"packs/{id[-8:]}/{pack.hex()}", size, tail_bytes)
        self.tree_bytes, self.tree_sha256, runs = body[11][0], body[11][1], body[11][2]
        self.tree_runs = [Run(*run) for run in runs]

    def pack(self, number):
        need(number in self.packs, "has a run in a pack that the manifest does not name")
        return self.opened.get(number, lambda: Pack(self, *self.packs[number]))

    def content(self, runs):
        for run in runs:
            with about(self.packs.get(run.pack, [self.id])[0]):
                pack = self.pack(run.pack)
                yield from pack.pieces(run, lambda i: self.frames.get((pack.name, i), lambda: pack.frame(i)))

    def entries(self):
        """All entries; everything that §9 says is checked before the first is given away."""
        need(self.tree_bytes <= TREE and sum(run.size for run in self.tree_runs) == self.tree_bytes, "has a wrong tree")
        data = b"".join(self.content(self.tree_runs))
        need(hashlib.sha256(data).digest() == self.tree_sha256, "has a tree that is not the one it names")
        at, last, entries, leaves = 0, None, [], set()
        while at < len(data):
            item, at = cbor(data, at)
            entry = Entry(*fit(item, ENTRY_SHAPE))
            entry, key = entry._replace(runs=[Run(*run) for run in entry.runs], mode=entry.mode & 0o7777), entry[:2]
            names, file, link = entry.path.split(b"/"), entry.kind == FILE, entry.kind == SYMLINK
            above = ((entry.root, b"/".join(names[:count])) for count in range(1, len(names)))
            safe = len(entry.path) <= 65_535 and b"\0" not in entry.path and not {b"", b".", b".."} & set(names)
            need(safe and not any(key in leaves for key in above), f"has an unsafe path, {show(entry.path)}")
            fits = os.name != "nt" or not any(map(unfit_for_windows, names))
            need(fits, f"has a path that Windows cannot have, {show(entry.path)}")
            need(entry.root < len(self.roots), "has an entry below no root")
            need(last is None or last < key, "has a tree that is not sorted")
            need(sum(run.size for run in entry.runs) == entry.size, "has a file whose runs do not fit its size")
            need(len(entry.sha256) == 32 * file and (file or not entry.runs), "has content that is no file's")
            need(bool(entry.target) == link and b"\0" not in entry.target, "has an impossible symlink")
            last = key
            entries.append(entry)
            if entry.kind != DIRECTORY:
                leaves.add(key)
        need(sum(entry.size for entry in entries) < 1 << 63, "has too much content")
        return entries

    def shown(self, entry):
        """How people see an entry: below the state directory, or with its whole path."""
        return show(entry.path if entry.root == 0 else self.roots[entry.root][1] + b"/" + entry.path)


def unfit_for_windows(name):
    text = name.decode("utf-8", "replace")
    device = re.fullmatch(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", text)
    return device or "\ufffd" in text or re.search(r'[<>:"|?*\\\x00-\x1f]|[ .]$', text)


def is_id(name):
    match = ID.fullmatch(name)
    try:
        return bool(match and datetime.strptime(match[2], "%Y-%m-%dT%H-%M-%SZ"))
    except ValueError:
        return False


class Repository:
    def __init__(self, folder, prefix):
        self.folder, self.keys = folder, Keys(folder, prefix)
        names = sorted(path.name for path in folder.iterdir())
        self.ids = [name for name in names if is_id(name)]
        self.format_1 = [name for name in names if not is_id(name) and FORMAT_1.fullmatch(name)]
        need(self.ids or self.format_1, f"there is no snapshot in {folder}: give the folder that has `packs` in it")

    def snapshot(self, id):
        need(id in self.ids, f"there is no snapshot {id} of format 2 here")
        with about(id):
            return Snapshot(self.folder, self.keys, id)

    def snapshots(self, only):
        """The snapshots by machine and age, with their problem where they cannot be opened."""
        found = []
        for id in [only] if only else self.ids:
            try:
                found.append((id, self.snapshot(id), None))
            except Problem as problem:
                found.append((id, None, problem))
        return sorted(found, key=lambda row: (row[0][-8:], row[1].sequence if row[1] else 0))


# --- Commands, §11


def list_command(repository, options):
    if options.snapshot:
        snapshot = repository.snapshot(options.snapshot)
        with about(snapshot.id):
            entries = snapshot.entries()
        for entry in entries:
            print(f"{'fdl'[entry.kind]} {entry.mode:04o} {entry.size:>14,}  {snapshot.shown(entry)}")
        return 0
    found = repository.snapshots(None)
    for id, snapshot, problem in found:
        if problem:
            print(problem)
            continue
        when = EPOCH + timedelta(milliseconds=min(max(0, snapshot.when), 1 << 47))
        plain = "" if snapshot.header.sealed else ", not authenticated: who can write to the bucket can make one"
        text = f"{snapshot.reason}, {snapshot.files:,} files, {snapshot.bytes:,} bytes{plain}"
        print(f"{id}  {when:%Y-%m-%d %H:%M}  {text}")
    for id in repository.format_1:
        print(f"{id}  made by the original plugin (format 1), which this reader does not read")
    return 3 if any(problem for _, _, problem in found) else 0


def check_command(repository, options):
    """Opens everything that the snapshots need: each frame and chunk, each tree, the content of each file."""
    problems, packs, contents, found = [], set(), set(), repository.snapshots(options.snapshot)

    def attempt(what, action):
        try:
            with about(what):
                return action()
        except Problem as problem:
            problems.append(problem)
            print(problem)

    for id, snapshot, problem in found:
        if problem:
            problems.append(problem)
            print(problem)
            continue
        for number, row in snapshot.packs.items():
            if (row, snapshot.master) not in packs:
                packs.add((row, snapshot.master))
                attempt(row[0], lambda: check_pack(snapshot, number))
        for entry in attempt(id, snapshot.entries) or []:
            content = (entry.sha256, snapshot.header.repository, id[-8:], *entry.runs)
            if entry.kind == FILE and content not in contents:
                contents.add(content)
                attempt(f"{id} {snapshot.shown(entry)}", lambda: write_content(snapshot, entry, None))
    print(f"{len(found)} snapshots, {len(packs)} packs, {len(problems)} problems")
    return 3 if problems else 0


def check_pack(snapshot, number):
    pack = snapshot.pack(number)
    need(read(pack.path, PACK, 0, 96) == pack.header.raw, "has two headers that differ")
    key = hkdf(snapshot.master, snapshot.header.repository, LABEL + b"chunk-id", 32)
    for index, (first, end) in enumerate(zip(pack.firsts, pack.firsts[1:])):
        frame, base = pack.frame(index), pack.starts[first]
        for chunk in range(first, end):
            content = frame[pack.starts[chunk] - base : pack.starts[chunk + 1] - base]
            digest = hmac.new(key, content, "sha256") if snapshot.header.sealed else hashlib.sha256(content)
            need(digest.digest() == pack.ids[32 * chunk : 32 * chunk + 32], f"has a damaged chunk, {chunk}")


def write_content(snapshot, entry, file):
    digest = hashlib.sha256()
    for piece in snapshot.content(entry.runs):
        digest.update(piece)
        if file:
            file.write(piece)
    need(digest.digest() == entry.sha256, "its content is not what was backed up")


def restore_command(repository, options):
    snapshot = repository.snapshot(options.snapshot)
    text = f"{snapshot.id} is not encrypted: whoever can write to the bucket can have made it. "
    need(snapshot.header.sealed or options.allow_unauthenticated, text + "To trust it, add --allow-unauthenticated")
    with about(snapshot.id):
        entries, to = snapshot.entries(), options.to
    if options.path is not None:
        wanted = show(os.fsencode(options.path)).rstrip("/") + "/"
        entries = [entry for entry in entries if (snapshot.shown(entry) + "/").startswith(wanted)]
        need(entries, f"{snapshot.id} has no {wanted[:-1]}: `list {snapshot.id}` shows what it has")
    to.mkdir(parents=True, exist_ok=True, mode=0o700)
    need(not any(to.iterdir()), f"{to} is not empty")
    total, free = sum(entry.size for entry in entries), shutil.disk_usage(to).free
    need(total <= free, f"the files have {total:,} bytes, and there is only room for {free:,}")
    places = [os.fsencode(to)]
    for number, (_, path) in enumerate(snapshot.roots[1:], 1):
        name = re.sub(rb"[^A-Za-z0-9_-]", b"_", path.split(b"/")[-1][:80])
        places.append(os.path.join(places[0], b".b2-roots", b"%d-%s" % (number, name)))
    failed = restore(snapshot, entries, places)
    for root in sorted({entry.root for entry in entries}):
        kind, path = snapshot.roots[root]
        print(f"{show(places[root])}: {ROOTS.get(kind, 'files')} of {show(path)}")
    for remark in snapshot.remarks:
        print(f"when it was backed up: {show(remark[0].encode())}: {show(remark[2].encode())}")
    for line in failed:
        print(f"not restored: {line}", file=sys.stderr)
    print(f"{sum(entry.kind == FILE for entry in entries)} files, {total:,} bytes, {len(failed)} not restored")
    return 3 if failed else 0


def restore(snapshot, entries, places):
    """Directories, files, symlinks; last, modes and times of directories from below. Gives what could not be written."""
    failed, steps = [], [(e, os.path.join(places[e.root], *e.path.split(b"/"))) for e in entries]

    def finish(entry, path, **follow):
        os.utime(path, ns=(entry.mtime, entry.mtime), **follow)

    for entry, path in sorted(steps, key=lambda step: (DIRECTORY, FILE, SYMLINK).index(step[0].kind)):
        try:
            os.makedirs(path if entry.kind == DIRECTORY else os.path.dirname(path), 0o700, exist_ok=True)
            if entry.kind == FILE:
                write_file(snapshot, entry, path)
                os.chmod(path, entry.mode & 0o777)
                finish(entry, path)
            elif entry.kind == SYMLINK:
                os.symlink(entry.target, path)
                if os.utime in os.supports_follow_symlinks:
                    finish(entry, path, follow_symlinks=False)
        except (Problem, OSError, OverflowError) as error:
            failed.append(f"{snapshot.shown(entry)}: {error}")
    for entry, path in reversed(steps):
        if entry.kind == DIRECTORY:
            try:
                os.chmod(path, entry.mode & 0o777)
                finish(entry, path)
            except (OSError, OverflowError) as error:
                failed.append(f"{snapshot.shown(entry)}: {error}")
    return failed


def write_file(snapshot, entry, path):
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    with open(os.open(path, flags, 0o600), "wb") as file:
        try:
            write_content(snapshot, entry, file)
            file.flush()
        except (Problem, OSError):
            file.close()
            os.unlink(path)
            raise


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="the folder that has `packs` and the snapshots in it")
    text = "the prefix that the backup was made for, where the folder is not named like it"
    parser.add_argument("--prefix", help=text)
    commands = parser.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("list", help="the snapshots, or the files of one")
    listing.add_argument("snapshot", nargs="?")
    restoring = commands.add_parser("restore", help="bring the files of a snapshot into a new directory")
    restoring.add_argument("snapshot")
    restoring.add_argument("--to", required=True, type=Path, metavar="DIR", help="a new or empty directory")
    restoring.add_argument("--path", help="only this file, or this directory with what is in it")
    restoring.add_argument("--allow-unauthenticated", action="store_true", help="also a backup that is not encrypted")
    checking = commands.add_parser("check", help="open every byte that the snapshots need")
    checking.add_argument("snapshot", nargs="?")
    options = parser.parse_args()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")
    command = {"list": list_command, "restore": restore_command, "check": check_command}[options.command]
    try:
        return command(Repository(options.folder, options.prefix), options)
    except (Problem, OSError) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
