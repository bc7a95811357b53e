//! This machine: settings, the state directory, our own folder in it.

use std::path::Path;

use super::chart::Chart;
use crate::engine::session::{Ambient, Settings};
use crate::error::Error;
use crate::local::Local;
use crate::secret::Weakness;

/// Below this a push cannot even keep its copies of databases.
#[cfg(unix)]
const LITTLE_BYTES: u64 = 100 << 20;
#[cfg(unix)]
const SOME_BYTES: u64 = 1 << 30;
/// Files of ours whose owner is looked at, about.
#[cfg(unix)]
const MAX_FILES: usize = 20_000;

pub(super) fn check(settings: &Settings, ambient: &Ambient, chart: &mut Chart) {
    secrets(settings, chart);
    let state = &settings.state_dir;
    match std::fs::read_dir(state) {
        Ok(_) => chart.ok("state", format!("{} can be read", state.display())),
        Err(error) => {
            let error = Error::io("read", state, error);
            let advice = "Give the directory that OpenClaw works in, with --state-dir or OPENCLAW_STATE_DIR, and run as \
                          OpenClaw's user. Restoring into a new directory works without it";
            chart.problem("state", error.code(), error.to_string(), advice);
            return;
        }
    }
    let local = Local::at(state).with_fail_points(&ambient.steps);
    match local.try_writing() {
        Ok(()) if local.root().is_dir() => {
            chart.ok("memory", format!("{} can be written", local.root().display()));
        }
        Ok(()) => chart.ok("memory", "this machine has not backed up yet"),
        Err(error) => chart.error("memory", &error),
    }
    space(state, chart);
    modes(local.root(), chart);
}

fn secrets(settings: &Settings, chart: &mut Chart) {
    if !settings.encrypt {
        let message = "encryption is off: whoever can read the bucket reads the backup, and whoever can write to it can \
                       plant a snapshot";
        chart.note(
            "encryption",
            message,
            "Set encrypt to true; later snapshots are then encrypted",
        );
        return;
    }
    let filled = |secret: &Option<crate::secret::Secret>| {
        secret.as_ref().is_some_and(|secret| !secret.is_empty())
    };
    if let Some(passphrase) = settings.passphrase.as_ref().filter(|text| !text.is_empty()) {
        match Weakness::of(passphrase).filter(|_| !settings.allows_weak_passphrase()) {
            None => chart.ok("encryption", "on, with a passphrase"),
            Some(weakness) => chart.problem(
                "encryption",
                "B2_WEAK_PASSPHRASE",
                weakness.to_string(),
                match weakness {
                    Weakness::Untypable => "Set the passphrase without it (docs/keys.md)",
                    Weakness::Guessed(_) => {
                        "Start afresh with a strong one, under another prefix: what is stored opens with the weak one \
                         for ever (docs/keys.md)"
                    }
                },
            ),
        }
    } else if filled(&settings.store.application_key) {
        let message = "on, with the application key: when that is lost, so is the backup";
        chart.note(
            "encryption",
            message,
            "Keep the key somewhere else as well, or set a passphrase",
        );
    } else {
        let message =
            "on, but there is neither a passphrase nor an application key to encrypt with";
        chart.problem(
            "encryption",
            "B2_CONFIG",
            message,
            "Set passphrase, or the variable B2_BACKUP_PASSPHRASE",
        );
    }
}

#[cfg(unix)]
fn space(state: &Path, chart: &mut Chart) {
    let Ok(disk) = rustix::fs::statvfs(state) else { return };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let message = format!("{} MB are free where the state lies", free / 1_000_000);
    let advice = "Make room: a push keeps copies of databases and what waits to be uploaded there";
    if free < LITTLE_BYTES {
        chart.problem("disk", "B2_DISK_FULL", message, advice);
    } else if free < SOME_BYTES {
        chart.note("disk", message, advice);
    } else {
        chart.ok("disk", message);
    }
}

#[cfg(not(unix))]
fn space(_state: &Path, _chart: &mut Chart) {}

/// Our folder holds the master key: only its owner may look into it.
#[cfg(unix)]
fn modes(root: &Path, chart: &mut Chart) {
    use std::os::unix::fs::MetadataExt as _;

    let Ok(metadata) = std::fs::symlink_metadata(root) else { return };
    let shown = root.display();
    // What is in a closed folder is closed, whatever its own mode.
    if metadata.mode() & 0o077 != 0 {
        let message = format!(
            "other users of this machine may look into {shown}, where the master key is kept"
        );
        return chart.problem("modes", "B2_PERMISSION", message, format!("chmod -R go= '{shown}'"));
    }
    let me = rustix::process::geteuid().as_raw();
    let (mut pending, mut seen) = (vec![root.to_path_buf()], 0);
    while let Some(path) = pending.pop() {
        let Ok(metadata) = std::fs::symlink_metadata(&path) else { continue };
        seen += 1;
        if metadata.uid() != me {
            let message = format!(
                "{} belongs to another user: was OpenClaw run as root once?",
                path.display()
            );
            let advice =
                format!("As root: chown -R USER '{shown}', with the user that OpenClaw runs as");
            return chart.problem("modes", "B2_PERMISSION", message, advice);
        }
        if metadata.is_dir() && seen < MAX_FILES {
            let entries = std::fs::read_dir(&path).into_iter().flatten().flatten();
            pending.extend(entries.map(|entry| entry.path()));
        }
    }
    chart.ok("modes", format!("only you may look into {shown}"));
}

#[cfg(not(unix))]
fn modes(_root: &Path, _chart: &mut Chart) {}
