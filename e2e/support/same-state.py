"""Compares two state directories by eyes that are not ours: databases by their dump, everything else byte for byte.

    same-state.py BEFORE AFTER

Prints a JSON object: `changed`, a list of what is different or gone, and `new`, the files that are only in AFTER.
"""

import difflib
import json
import os
import sqlite3
import sys

# What OpenClaw or we write for the machine alone: locks, logs, and our own memory.
OURS = ("b2-backup", "tmp", "logs", "cache")


def files(top):
    found = {}
    for folder, names, all_files in os.walk(top):
        if folder == top:
            names[:] = [name for name in names if name not in OURS]
        for name in all_files:
            path = os.path.join(folder, name)
            if not name.endswith(("-wal", "-shm", ".lock")):
                found[os.path.relpath(path, top)] = path
    return found


def is_database(path):
    with open(path, "rb") as file:
        return file.read(16) == b"SQLite format 3\0"


def dump(path):
    database = sqlite3.connect(path)
    try:
        version = database.execute("PRAGMA user_version").fetchone()
        return [f"user_version {version[0]}", *database.iterdump()]
    finally:
        database.close()


def difference(before, after):
    if is_database(before) and is_database(after):
        lines = list(difflib.unified_diff(dump(before), dump(after), lineterm="", n=0))[2:]
        return [line[:300] for line in lines if not line.startswith("@@")]
    with open(before, "rb") as one, open(after, "rb") as other:
        return [] if one.read() == other.read() else ["other bytes"]


def main():
    before, after = files(sys.argv[1]), files(sys.argv[2])
    changed = []
    for path in sorted(before):
        if path not in after:
            changed.append(f"{path}: is gone")
        else:
            changed += [f"{path}: {line}" for line in difference(before[path], after[path])]
    json.dump({"changed": changed, "new": sorted(set(after) - set(before))}, sys.stdout)


main()
