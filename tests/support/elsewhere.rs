//! Generating states in a process of its own. A push refuses databases that its own process holds open, and a
//! gateway that leaves write-ahead logs behind is another process in life, too.

use std::path::Path;
use std::process::Command;

use super::state::{DayOptions, Layout, StateOptions, day, generate};

/// Makes a state in another process, which leaves its write-ahead logs behind as a killed gateway does.
pub(crate) fn generate_elsewhere(out: &Path, mb: usize, layout: Layout) {
    let layout = if layout == Layout::Legacy { "legacy" } else { "db" };
    rerun(&["generate", &mb.to_string(), layout, &out.display().to_string()]);
}

/// Lives one day in another process.
pub(crate) fn day_elsewhere(root: &Path, number: u64) {
    rerun(&["day", &number.to_string(), "", &root.display().to_string()]);
}

/// Runs this very test binary again, with only the test below.
fn rerun(job: &[&str]) {
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "elsewhere::job_of_another_process", "--ignored", "--quiet"])
        .env("B2_TEST_JOB", job.join("\n"))
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "{job:?}");
}

#[test]
#[ignore = "is started by other tests, in a process of its own"]
fn job_of_another_process() {
    let Ok(job) = std::env::var("B2_TEST_JOB") else { return };
    let parts: Vec<&str> = job.split('\n').collect();
    let [what, number, layout, path] = parts[..] else { panic!("{job}") };
    let path = Path::new(path);
    let live = if what == "generate" {
        let layout = if layout == "legacy" { Layout::Legacy } else { Layout::Db };
        let mb = number.parse().unwrap();
        generate(&StateOptions { seed: 1, mb, layout, out: path.to_owned(), wal: true })
    } else {
        let seed = number.parse().unwrap();
        day(path, &DayOptions { seed, state_seed: 1, scale: 0.05, wal: true })
    };
    live.unwrap().abandon();
}
