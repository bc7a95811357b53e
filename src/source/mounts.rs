//! File systems that are mounted and do not answer: a network disk whose server is gone holds whoever looks at it for
//! ever. They are found by threads that may be held, before anything else looks.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a file system may take to answer. A disk that spins up takes less.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long what was found out holds: all that one operation looks up waits no more than once.
const FRESH: Duration = Duration::from_mins(1);

/// What was found out last, and when.
static KNOWN: Mutex<Option<(Instant, Arc<[PathBuf]>)>> = Mutex::new(None);

/// Looks at a place, and may never come back.
type Look = dyn Fn(&Path) + Send + Sync;

/// Places of file systems that do not answer, of all that are mounted. Systems other than Linux do not tell where any
/// are: none.
#[must_use]
pub(super) fn hanging() -> Arc<[PathBuf]> {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, hanging)) = known.as_ref().filter(|(when, _)| when.elapsed() < FRESH) {
        return Arc::clone(hanging);
    }
    let hanging: Arc<[PathBuf]> = hanging_now().into();
    *known = Some((Instant::now(), Arc::clone(&hanging)));
    hanging
}

fn hanging_now() -> Vec<PathBuf> {
    let table = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
    let look = |path: &Path| {
        let _answered = std::fs::symlink_metadata(path);
    };
    // What answers does so at once, so that only one that does not is waited for.
    hanging_of(mounted(&table), &(Arc::new(look) as _), |answers| {
        answers.recv_timeout(PATIENCE).ok()
    })
}

/// Places out of `mounts` that do not answer. `next` gives the next answer, or `None` when it was waited for long
/// enough.
fn hanging_of(
    mounts: Vec<PathBuf>,
    look: &Arc<Look>,
    next: impl Fn(&Receiver<usize>) -> Option<usize>,
) -> Vec<PathBuf> {
    let (sender, answers) = channel();
    let mut silent: Vec<Option<PathBuf>> = Vec::with_capacity(mounts.len());
    for (index, mount) in mounts.into_iter().enumerate() {
        let (sender, look, path) = (sender.clone(), Arc::clone(look), mount.clone());
        let looking = std::thread::Builder::new().name("b2-mount".to_owned());
        let started = looking.spawn(move || {
            look(&path);
            let _nobody_waits = sender.send(index);
        });
        // Where no thread can be had, nothing is known against it.
        silent.push(started.is_ok().then_some(mount));
    }
    let mut left = silent.iter().flatten().count();
    while left > 0 {
        let Some(index) = next(&answers) else { break };
        if let Some(answered) = silent.get_mut(index) {
            *answered = None;
        }
        left -= 1;
    }
    silent.into_iter().flatten().collect()
}

/// Where file systems are mounted that may not answer, from the text of `/proc/self/mountinfo`: those that have a
/// server, or a program that serves them (proc(5)). The kernel's own, and disks, answer or fail.
fn mounted(table: &[u8]) -> Vec<PathBuf> {
    let line = |line: &[u8]| {
        let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
        let dash = fields.iter().position(|field| *field == b"-")?;
        let kind = fields.get(dash + 1)?;
        let served = [b"nfs".as_slice(), b"cifs", b"smb", b"fuse", b"9p", b"ceph", b"gluster"];
        let served = served.iter().any(|prefix| kind.starts_with(prefix));
        let path = unescaped(fields.get(4)?);
        served.then(|| super::policy::as_path(&path).into_owned())
    };
    table.split(|byte| *byte == b'\n').filter_map(line).collect()
}

/// Spaces and the like stand as `\040` in the table.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..3).filter(|_| *first == b'\\');
        let byte =
            digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        out.push(byte.unwrap_or(*first));
        rest = after.get(if byte.is_some() { 3 } else { 0 }..).unwrap_or_default();
    }
    out
}

/// What systems and desktops put on a disk, or where one would be mounted, by themselves.
const STRAY: &[&str] = &[
    "lost+found",
    ".Trash",
    ".Trashes",
    ".DS_Store",
    ".directory",
    ".fseventsd",
    ".Spotlight-V100",
    ".TemporaryItems",
    ".stfolder",
    "$RECYCLE.BIN",
    "System Volume Information",
    "Thumbs.db",
    "desktop.ini",
];

/// Whether what lies at this path below a directory is nothing that the user, or OpenClaw, put there.
pub(crate) fn is_stray(below: &[u8]) -> bool {
    let name = below.split(|byte| *byte == b'/').next().unwrap_or_default();
    STRAY.iter().any(|stray| stray.as_bytes() == name) || name.starts_with(b".Trash-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_hang_is_known_from_the_table() {
        let table = b"22 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n\
            23 22 0:21 / /proc rw - proc proc rw\n\
            40 22 0:44 / /mnt/my\\040disk rw,relatime shared:1 - nfs4 server:/x rw\n\
            41 22 0:45 / /mnt/sshfs rw - fuse.sshfs me@there:/ rw\n";
        let found = mounted(table);
        assert_eq!(found, [PathBuf::from("/mnt/my disk"), PathBuf::from("/mnt/sshfs")]);
    }

    #[test]
    fn only_the_one_that_does_not_answer_is_named() {
        let (release, held) = channel::<()>();
        let held = Mutex::new(held);
        let look = move |path: &Path| {
            if path == Path::new("/dead") {
                let _until_the_test_is_over = held.lock().map(|held| held.recv());
            }
        };
        let mounts = ["/a", "/dead", "/b"].map(PathBuf::from).to_vec();
        let answered = std::cell::Cell::new(0);
        let next = |answers: &Receiver<usize>| {
            answered.set(answered.get() + 1);
            (answered.get() <= 2).then(|| answers.recv().ok()).flatten()
        };
        let found = hanging_of(mounts, &(Arc::new(look) as _), next);
        assert_eq!(found, [PathBuf::from("/dead")]);
        drop(release);
    }
}
