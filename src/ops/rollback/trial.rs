//! Asking the OpenClaw of this machine whether it would start with what is staged.
//!
//! It is asked about copies, in a state directory of their own, by commands that only read. What it refuses although it
//! takes what is live is refused here, too, before anything of the state is touched: an OpenClaw that does not start
//! cannot take the rollback back.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};
use crate::source::RelPath;

/// How long one command may take; OpenClaw itself gives a cold start on a busy machine a minute.
const PATIENCE: Duration = Duration::from_mins(2);
/// How often it is looked whether a command has ended.
const LOOK: Duration = Duration::from_millis(20);
/// So much of an answer is read, in bytes. A list of 100 sessions has some 100 kB.
const ANSWER: usize = 16 << 20;

/// What OpenClaw says about a state.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// It would start.
    Takes,
    /// It would not, and why.
    Refuses(String),
    /// It does not say, and why.
    Silent(String),
}

/// A state directory for the trial, below the folder of a rollback.
pub(super) struct Trial {
    dir: PathBuf,
    used: bool,
}

/// What is live.
pub(super) struct Present<'a> {
    pub(super) state_dir: &'a Path,
    pub(super) config: &'a Path,
}

/// The shared database, below a state directory.
const SHARED: &str = "state/openclaw.sqlite";
/// The configuration, below the trial's.
const CONFIG: &str = "openclaw.json";
/// A copy of the live one, below the trial's.
const LIVE: &str = "live.sqlite";

impl Trial {
    /// Nothing is created before something is put into it.
    pub(super) fn new(folder: &Path) -> Self {
        Self { dir: folder.join("trial"), used: false }
    }

    /// Takes away the copy of a database that will be at `path` of the state directory.
    ///
    /// # Errors
    /// `B2_IO`.
    pub(super) fn take(&mut self, copy: &Path, path: &RelPath) -> Result<()> {
        self.used = true;
        self.move_to(copy, &path.to_string())
    }

    /// Takes away a copy of the live shared database, which can only be asked about at rest.
    ///
    /// # Errors
    /// `B2_IO`.
    pub(super) fn take_live(&self, copy: &Path) -> Result<()> {
        self.move_to(copy, LIVE)
    }

    /// Takes the configuration as it will be.
    ///
    /// # Errors
    /// `B2_IO`.
    pub(super) fn take_config(&mut self, text: &[u8]) -> Result<()> {
        self.used = true;
        let place = self.place(CONFIG)?;
        std::fs::write(&place, text).map_err(|error| Error::io("write", &place, error))
    }

    fn move_to(&self, copy: &Path, path: &str) -> Result<()> {
        let place = self.place(path)?;
        std::fs::rename(copy, &place).map_err(|error| Error::io("rename", copy, error))
    }

    fn place(&self, path: &str) -> Result<PathBuf> {
        let place = self.dir.join(path);
        if let Some(folder) = place.parent() {
            std::fs::create_dir_all(folder).map_err(|error| Error::io("create", folder, error))?;
        }
        Ok(place)
    }

    /// Asks, and removes what was put into it. Returns what the user should know.
    ///
    /// # Errors
    /// `B2_HOST_REFUSES`; `B2_CANCELLED`.
    pub(super) fn ask(
        self,
        openclaw: &[String],
        present: &Present<'_>,
        cancel: &CancellationToken,
    ) -> Result<Option<String>> {
        if !self.used {
            return Ok(None);
        }
        let asked = self.asked(openclaw, present, cancel);
        let _left_for_the_sweep = std::fs::remove_dir_all(&self.dir);
        asked
    }

    fn asked(
        &self,
        openclaw: &[String],
        present: &Present<'_>,
        cancel: &CancellationToken,
    ) -> Result<Option<String>> {
        let Some((program, first)) = openclaw.split_first() else {
            return Ok(Some(
                "OpenClaw was not found here: whether it starts afterwards could not be tried"
                    .to_owned(),
            ));
        };
        let host = Host { program, first, answers: &self.dir, cancel };
        let ours = self.dir.join(CONFIG);
        let config: &Path = if ours.is_file() { &ours } else { present.config };
        // Its secrets may be in the configuration's place.
        let env = present.state_dir.join(".env");
        if env.is_file() {
            link(&env, &self.dir.join(".env"));
        }
        let shared = self.dir.join(SHARED);
        if shared.is_file() {
            let told = Host::compare(shared.as_path(), &self.dir.join(LIVE), |shared| {
                host.takes_shared(shared, self)
            })?;
            if told.is_some() {
                return Ok(told);
            }
        }
        let would_be = (self.dir.as_path(), config);
        let is = (present.state_dir, present.config);
        Host::compare(would_be, is, |(state_dir, config)| host.takes(state_dir, config))
    }
}

#[cfg(unix)]
fn link(from: &Path, to: &Path) {
    let _without = std::os::unix::fs::symlink(from, to);
}

#[cfg(not(unix))]
fn link(_: &Path, _: &Path) {}

struct Host<'a> {
    program: &'a str,
    first: &'a [String],
    /// Where answers are written to.
    answers: &'a Path,
    cancel: &'a CancellationToken,
}

impl Host<'_> {
    /// A refusal counts where what is live is taken: else the rollback makes nothing worse, and may be what mends it.
    fn compare<T: Copy>(
        would_be: T,
        is: T,
        ask: impl Fn(T) -> Result<Answer>,
    ) -> Result<Option<String>> {
        match ask(would_be)? {
            Answer::Takes => Ok(None),
            Answer::Silent(why) => {
                Ok(Some(format!("whether OpenClaw starts afterwards could not be tried: {why}")))
            }
            Answer::Refuses(message) => match ask(is)? {
                Answer::Takes => Err(Error::HostRefuses { message }),
                _ => Ok(Some(format!(
                    "OpenClaw refuses the state that would come, and the present one, too: {message}"
                ))),
            },
        }
    }

    /// Compares the shared database with its schema.
    fn takes_shared(&self, database: &Path, trial: &Trial) -> Result<Answer> {
        let path = database.to_string_lossy();
        self.run(
            &["database", "preflight", &path, "--json"],
            &trial.dir,
            &trial.dir.join("none.json"),
        )
    }

    /// Reads all sessions of all agents, as the gateway does when it starts, with that configuration.
    fn takes(&self, state_dir: &Path, config: &Path) -> Result<Answer> {
        self.run(&["sessions", "--all-agents", "--json"], state_dir, config)
    }

    fn run(&self, args: &[&str], state_dir: &Path, config: &Path) -> Result<Answer> {
        let answer = self.answers.join("answer");
        let silent = |error: std::io::Error| Answer::Silent(format!("{}: {error}", self.program));
        let out = match File::create(&answer) {
            Ok(out) => out,
            Err(error) => return Ok(silent(error)),
        };
        let mut command = Command::new(self.program);
        command
            .args(self.first)
            .args(args)
            .env("OPENCLAW_STATE_DIR", state_dir)
            .env("OPENCLAW_CONFIG_PATH", config)
            .env("OPENCLAW_NO_AUTO_UPDATE", "1")
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(Stdio::null());
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => return Ok(silent(error)),
        };
        let until = Instant::now() + PATIENCE;
        let status = loop {
            match child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if self.cancel.is_cancelled() || Instant::now() > until => {
                    let _gone = child.kill().and_then(|()| child.wait());
                    if self.cancel.is_cancelled() {
                        return Err(Error::Cancelled);
                    }
                    return Ok(Answer::Silent(format!("no answer within {PATIENCE:?}")));
                }
                Ok(None) => std::thread::sleep(LOOK),
                Err(error) => return Ok(silent(error)),
            }
        };
        let answer = std::fs::read(&answer).unwrap_or_default();
        Ok(understood(status.success(), answer.get(..answer.len().min(ANSWER)).unwrap_or_default()))
    }
}

/// What a command of OpenClaw said, called with `--json`. A refusal is one only in its own words: a command that it does
/// not know, or a Node that is too old for it, says nothing about the state.
fn understood(success: bool, answer: &[u8]) -> Answer {
    if success {
        return Answer::Takes;
    }
    let parsed: Option<Value> = serde_json::from_slice(answer).ok();
    let mut message = ["/error/message", "/reason", "/issues/0/message"].iter();
    let message = message.find_map(|place| parsed.as_ref()?.pointer(place)?.as_str());
    match message {
        Some(message) => Answer::Refuses(message.to_owned()),
        None => Answer::Silent("it does not know how to be asked".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_words_are_a_refusal() {
        let refusal = br#"{"ok":false,"error":{"type":"cli_error","message":"needs repair"}}"#;
        assert_eq!(understood(true, b"{}"), Answer::Takes);
        let schema = br#"{"status":"incompatible","issues":[{"message":"unexpected column"}]}"#;
        assert_eq!(understood(false, schema), Answer::Refuses("unexpected column".to_owned()));
        assert_eq!(understood(false, refusal), Answer::Refuses("needs repair".to_owned()));
        assert!(matches!(understood(false, b"error: unknown command"), Answer::Silent(_)));
    }
}
