//! Where states are made: disks that hold less than the usual one, mounted where this process may.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::skipped::skipped;

/// Where states are made, or restored to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disk {
    /// The usual place for temporary files.
    Usual,
    /// `/dev/shm`.
    Memory,
    /// ext4 with inodes of 128 bytes: times in whole seconds, no time of birth.
    CoarseExt4,
    /// FAT: times in steps of two seconds, no modes, no links, names in one case.
    Fat,
}

impl Disk {
    /// Whether a file that is written twice within a second may look the same.
    pub(crate) fn is_coarse(self) -> bool {
        matches!(self, Self::CoarseExt4 | Self::Fat)
    }

    /// A place on it, for as long as the second of what this gives lives. `None` where there is none, which is said.
    pub(crate) fn place(self, what: &str) -> Option<(PathBuf, Option<Mounted>)> {
        let memory = Path::new("/dev/shm");
        let mounted = match self {
            Self::Usual => return Some((std::env::temp_dir(), None)),
            Self::Memory if memory.is_dir() => return Some((memory.to_owned(), None)),
            Self::Memory => None,
            Self::CoarseExt4 => Mounted::ext4(),
            Self::Fat => Mounted::fat(),
        };
        let Some(mounted) = mounted else {
            let why = "there is none, this process may not mount, or mkfs.ext4, mkfs.vfat or exfat-fuse is missing";
            skipped(&format!("{what} ({self:?}): {why}"));
            return None;
        };
        Some((mounted.at.path().to_owned(), Some(mounted)))
    }
}

/// A file system in a file, mounted for as long as this lives.
#[derive(Debug)]
pub(crate) struct Mounted {
    _image: TempDir,
    at: TempDir,
    /// The device that the file is made to look like, where mounting does not do that itself.
    device: Option<String>,
}

impl Mounted {
    /// ext4 with the smallest inodes.
    fn ext4() -> Option<Self> {
        Self::make(96, &["mkfs.ext4", "-q", "-I", "128"], &["mount", "-o", "loop"], false)
    }

    /// FAT of the kernel's; where it has none, exFAT of a process: it has no modes and no links either, and times in
    /// whole seconds.
    fn fat() -> Option<Self> {
        let mount = ["mount", "-t", "vfat", "-o", "loop,utf8"];
        Self::make(512, &["mkfs.vfat", "-F", "32"], &mount, false)
            .or_else(|| Self::make(512, &["mkfs.exfat"], &["mount.exfat-fuse"], true))
    }

    fn make(mib: u64, make: &[&str], mount: &[&str], on_a_device: bool) -> Option<Self> {
        let image = TempDir::new().unwrap();
        let file = image.path().join("image");
        std::fs::File::create(&file).unwrap().set_len(mib << 20).unwrap();
        let at = TempDir::new().unwrap();
        if !quiet(Command::new(make[0]).args(&make[1..]).arg(&file)) {
            return None;
        }
        let file = file.display().to_string();
        let device = if on_a_device {
            let found = Command::new("losetup").args(["--find", "--show", &file]).output().ok()?;
            found.status.success().then_some(())?;
            Some(String::from_utf8(found.stdout).unwrap().trim().to_owned())
        } else {
            None
        };
        let from = device.clone().unwrap_or(file);
        let mounted = quiet(Command::new(mount[0]).args(&mount[1..]).arg(from).arg(at.path()));
        // Else its device goes with it.
        let whole = Self { _image: image, at, device };
        mounted.then_some(whole)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        quiet(Command::new("umount").arg("-l").arg(self.at.path()));
        if let Some(device) = &self.device {
            quiet(Command::new("losetup").args(["-d", device]));
        }
    }
}

/// A file system in memory, mounted inside a state for as long as this lives.
pub(crate) struct Inside(pub(crate) PathBuf);

impl Inside {
    /// `None` where this process may not mount.
    pub(crate) fn mount(at: PathBuf) -> Option<Self> {
        std::fs::create_dir_all(&at).unwrap();
        let options = ["-t", "tmpfs", "-o", "size=16m", "none"];
        let mounted = quiet(Command::new("mount").args(options).arg(&at));
        if !mounted {
            skipped("a disk that is mounted in a workspace: this process may not mount");
        }
        mounted.then_some(Self(at))
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        quiet(Command::new("umount").arg("-l").arg(&self.0));
    }
}

fn quiet(command: &mut Command) -> bool {
    use std::process::Stdio;
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
