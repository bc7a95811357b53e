//! Makes `OpenClaw` states for measurements and compares them.
//!
//! ```text
//! openclaw_state generate [--seed 1] [--mb 50] [--layout legacy|db] [--no-wal] --out DIR
//! openclaw_state day --seed N [--state-seed 1] [--scale 1.0] [--no-wal] DIR
//! openclaw_state digest [--list] [--no-wal] DIR
//! ```
//!
//! `generate` and `day` leave live write-ahead logs behind, as a running gateway does; `--no-wal` closes the databases.
//! For `digest` it means to look at the databases' main files alone, as a tool that copies bare files leaves them.
#![expect(clippy::print_stdout, reason = "a command-line tool")]

#[path = "../../tests/support/state/mod.rs"]
mod state;

use std::path::PathBuf;

use state::{DayOptions, Layout, Result, StateOptions};

const USAGE: &str =
    "openclaw_state generate --out DIR | day --seed N DIR | digest DIR; see the head of the source";

/// The command line: names with values, plain flags, and what is neither.
struct Arguments {
    command: String,
    options: Vec<(String, String)>,
    flags: Vec<String>,
    folder: Option<PathBuf>,
}

impl Arguments {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let command = arguments.next().ok_or(USAGE)?;
        let mut parsed = Self { command, options: Vec::new(), flags: Vec::new(), folder: None };
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--no-wal" | "--list" => parsed.flags.push(argument),
                "--seed" | "--state-seed" | "--mb" | "--layout" | "--scale" => {
                    parsed.options.push((argument, arguments.next().ok_or(USAGE)?));
                }
                "--out" => parsed.folder = Some(arguments.next().ok_or(USAGE)?.into()),
                _ if argument.starts_with('-') => return Err(USAGE.into()),
                _ => parsed.folder = Some(argument.into()),
            }
        }
        Ok(parsed)
    }

    fn text(&self, name: &str, default: &str) -> String {
        let given = self.options.iter().find(|(option, _)| option == name);
        given.map_or_else(|| default.to_owned(), |(_, value)| value.clone())
    }

    fn flag(&self, name: &str) -> bool {
        self.flags.iter().any(|flag| flag == name)
    }
}

fn main() -> Result<()> {
    let arguments = Arguments::parse(std::env::args().skip(1))?;
    let folder = arguments.folder.clone().ok_or(USAGE)?;
    let wal = !arguments.flag("--no-wal");
    match arguments.command.as_str() {
        "generate" => {
            let layout = match arguments.text("--layout", "legacy").as_str() {
                "legacy" => Layout::Legacy,
                "db" => Layout::Db,
                _ => return Err(USAGE.into()),
            };
            let options = StateOptions {
                seed: arguments.text("--seed", "1").parse()?,
                mb: arguments.text("--mb", "50").parse()?,
                layout,
                out: folder,
                wal,
            };
            state::generate(&options)?.abandon();
        }
        "day" => {
            let options = DayOptions {
                seed: arguments.text("--seed", "1").parse()?,
                state_seed: arguments.text("--state-seed", "1").parse()?,
                scale: arguments.text("--scale", "1").parse()?,
                wal,
            };
            state::day(&folder, &options)?.abandon();
        }
        "digest" => {
            let digest = state::digest(&folder, wal)?;
            if arguments.flag("--list") {
                for entry in &digest.entries {
                    println!("{entry}");
                }
            } else {
                println!("{digest}");
            }
        }
        _ => return Err(USAGE.into()),
    }
    Ok(())
}
