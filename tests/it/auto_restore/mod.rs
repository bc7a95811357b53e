//! A new machine is given what another one had: what comes, what stays, and when nothing is touched.

mod choosing;
mod used;
mod whole;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use b2_backup::crypto::sha256;
use b2_backup::error::Result;
use b2_backup::ops::{
    self, AutoRestoreOutcome, AutoRestoreReport, Gateway, Outcome, RecoverReport,
};
use b2_backup::store::memory::MemoryStore;
use tempfile::{TempDir, tempdir, tempdir_in};

use crate::support::host;
use crate::support::host::{agent, agent_database, databases, run, shared};
use crate::support::machine::Machine;
use crate::support::plain::write;

/// A machine that was in use and pushed, and another that has nothing.
pub(crate) struct Two {
    pub(crate) dir: TempDir,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) old: Machine,
    pub(crate) new: Machine,
}

impl Two {
    pub(crate) fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() { tempdir_in(memory) } else { tempdir() }.unwrap();
        let (old, new) = (dir.path().join("ada/.openclaw"), dir.path().join("bob/.openclaw"));
        for state in [&old, &new] {
            fs::create_dir_all(state).unwrap();
        }
        used_state(&old);
        blank_state(&new);
        let store = Arc::new(MemoryStore::default());
        let mut machine = Machine::new(&old, store.clone());
        // Stretching a passphrase takes long.
        machine.settings.encrypt = false;
        let new = machine.blank(new);
        Self { dir, store, old: machine, new }
    }

    pub(crate) fn there(&self) -> PathBuf {
        self.old.settings.state_dir.clone()
    }

    pub(crate) fn here(&self) -> PathBuf {
        self.new.settings.state_dir.clone()
    }
}

/// What a user has after a while.
pub(crate) fn used_state(state: &Path) {
    databases(state);
    agent_database(state, "work");
    let root = state.display();
    write(state, "openclaw.json", format!(
        "{{ // mine
          gateway: {{ port: 1, auth: {{ token: 'old' }} }}, agents: {{ defaults: {{ workspace: '{root}/workspace' }},
            entries: {{ main: {{ workspace: '{root}/workspace' }}, work: {{ workspace: '{root}/workspace-work', agentDir: '{root}/agents/work/agent' }} }} }},
          auth: {{ profiles: {{ 'anthropic:default': {{ provider: 'anthropic', mode: 'oauth' }} }} }},
          channels: {{ whatsapp: {{}} }}, plugins: {{ entries: {{ 'b2-backup': {{ config: {{ bucket: 'old' }} }} }} }} }}"
    ));
    write(state, "workspace/AGENTS.md", "my rules");
    write(state, "workspace/MEMORY.md", "remember the milk");
    write(state, "workspace/.git/objects/ab/cdef", "an object");
    write(state, "workspace/.git/HEAD", "ref: refs/heads/main");
    write(state, "workspace-work/plan.md", "the plan");
    write(state, "skills/mine/SKILL.md", "a skill");
    write(state, "credentials/oauth.json", "old login");
}

/// What the host leaves after it was set up and started, without a word to an agent (seen on 2026.9.6).
pub(crate) fn blank_state(state: &Path) {
    databases(state);
    fs::remove_dir_all(state.join("agents")).unwrap();
    fs::create_dir_all(state.join("agents/main/sessions")).unwrap();
    let written = [("AGENTS.md", "host's rules"), ("SOUL.md", "host's soul"), ("USER.md", "who?")];
    let note = |(name, text): (&str, &str)| {
        write(state, &format!("workspace/{name}"), text);
        let hash = hex::encode(sha256(text.as_bytes()));
        format!(
            "INSERT INTO workspace_generated_bootstrap_hashes VALUES ('k', '{name}', '{hash}');"
        )
    };
    let notes = written.map(note).concat();
    write(state, "workspace/BOOTSTRAP.md", "introduce yourself");
    write(state, "workspace/.git/HEAD", "ref: refs/heads/master");
    write(state, "workspace/.git/hooks/pre-commit.sample", "#!/bin/sh");
    fs::create_dir_all(state.join("workspace/.git/objects/pack")).unwrap();
    let root = state.canonicalize().unwrap();
    run(&shared(state), &format!(
        "DELETE FROM cron_jobs WHERE declaration_key IS NULL; DELETE FROM workspace_setup_state; DELETE FROM workspace_path_aliases;
         UPDATE cron_jobs SET store_key = '{root}/cron/jobs.json';
         INSERT INTO workspace_setup_state (workspace_key, workspace_path, version) VALUES ('k', '{root}/workspace', 1); {notes}
         INSERT OR REPLACE INTO config_machine_state VALUES ('plugins.installedIndex', '{{\"index\":\"new\"}}', 1);
         INSERT OR REPLACE INTO device_auth_tokens VALUES ('d', 'operator', 'tok-new', '[]', 1);",
        root = root.display()
    ));
    write(state, "openclaw.json",
        "{ gateway: { port: 2, auth: { token: 'new' } }, plugins: { entries: { 'b2-backup': { config: { bucket: 'new' } } } },
           auth: { profiles: { 'mock:here': { provider: 'mock', mode: 'token' } } } }");
    write(state, "openclaw.json.bak", "{ before: 1 }");
}

pub(crate) async fn arrive(machine: &Machine) -> Result<AutoRestoreReport> {
    ops::auto_restore(&machine.session().await).await
}

pub(crate) async fn recover(machine: &Machine) -> RecoverReport {
    ops::recover(&machine.settings, &machine.ambient(), Gateway::AgentsStopped).await.unwrap()
}

/// Arrives, as it should be.
pub(crate) async fn arrived(machine: &Machine) -> RecoverReport {
    let report = arrive(machine).await.unwrap();
    assert_eq!(report.outcome, AutoRestoreOutcome::Staged, "{report:?}");
    let report = recover(machine).await;
    assert_eq!(report.outcome, Outcome::Applied, "{report:?}");
    report
}

pub(crate) fn read(state: &Path, path: &str) -> String {
    fs::read_to_string(state.join(path)).unwrap_or_else(|_| "-".into())
}

pub(crate) fn said(state: &Path, id: &str) -> String {
    host::value(&agent(state, id), "SELECT count(*) FROM transcript_events")
}
