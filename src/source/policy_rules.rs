//! The table of what is left out of a snapshot, one reason per line.
//!
//! It follows the host's own inventory of its state directory. Whatever no line names is backed up:
//! what a newer OpenClaw adds belongs to the snapshot without a new release of this plugin.

/// Name of this plugin's own folder in the state directory.
pub(super) const LOCAL_FOLDER: &str = "b2-backup";

/// Why a rule leaves something out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// The host makes it again by itself.
    Regenerable,
    /// Of use only while it is new.
    Volatile,
    /// Exists only while a process works with it.
    Transient,
    /// Stays with the machine unless `include_secrets`.
    Secret,
    /// Installed for this machine and its architecture.
    Install,
    /// Attachments, large and kept by the channels they came from.
    Media,
    /// This plugin's own folder. No `include` brings it back.
    Ours,
    /// Lock files and logs of open databases. No `include` brings them back: a copy is never valid.
    HostLock,
    /// The host says: never back this up. No `include` brings it back.
    Private,
}

impl Class {
    /// Whether the user's `include` globs have no say.
    pub(super) fn is_hard(self) -> bool {
        matches!(self, Self::Ours | Self::HostLock | Self::Private)
    }
}

/// Where a rule's glob applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Area {
    /// A path relative to the state directory, with everything below it; not inside workspaces.
    State,
    /// A path relative to an agent's directory (`agents/*/agent`, or configured elsewhere), with
    /// everything below it.
    AgentDir,
    /// The name of a file anywhere but in workspaces and in `skills` and `hooks`, which users write.
    HostName,
    /// The name of a file anywhere, workspaces included; not in git directories.
    AnyName,
    /// The name of a file in a git directory: any other name there may be that of a branch.
    GitName,
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    pub(super) area: Area,
    pub(super) class: Class,
    pub(super) glob: &'static str,
    pub(super) reason: &'static str,
}

const fn rule(area: Area, class: Class, glob: &'static str, reason: &'static str) -> Rule {
    Rule { area, class, glob, reason }
}

/// Said of a directory that holds [`PRIVATE_MARKER`].
pub(super) const PRIVATE_REASON: &str = "marked by OpenClaw as private to an update";
/// A file with this name makes its whole directory private.
pub(super) const PRIVATE_MARKER: &str = ".openclaw-private-update-capture";

/// Said of what lies beside a database and belongs to it. Of a file with such a name that lies beside something else,
/// `logs.rs` decides.
pub const LOG_REASON: &str = "log of a database, contained in its copy";

/// Names that end in `.lock` and are no locks: they pin the versions of a project.
const PROJECT_LOCKS: &[&str] = &[
    "Berksfile.lock",
    "Cargo.lock",
    "Cartfile.lock",
    "Chart.lock",
    "Gemfile.lock",
    "Pipfile.lock",
    "Podfile.lock",
    "bun.lock",
    "composer.lock",
    "conan.lock",
    "deno.lock",
    "devbox.lock",
    "devenv.lock",
    "flake.lock",
    "mix.lock",
    "pdm.lock",
    "pixi.lock",
    "poetry.lock",
    "pubspec.lock",
    "renv.lock",
    "stack.yaml.lock",
    "symfony.lock",
    "uv.lock",
    "yarn.lock",
];

/// Whether a file of this name pins the versions of a project. It is no lock, whatever its ending.
pub(super) fn pins(name: &[u8]) -> bool {
    PROJECT_LOCKS.iter().any(|lock| lock.as_bytes() == name)
}

/// Names of files that may hold secrets and are backed up all the same, in whatever directory.
pub(super) const CONFIDENTIAL_NAMES: &[&str] = &[
    // OpenClaw's configuration and the copies that it keeps: tokens, and keys of providers.
    "openclaw.json*",
    "models.json",
    "auth.json",
    // Keys of projects in a workspace.
    ".env",
    ".env.*",
    "*.env",
    ".envrc*",
    "*.key",
    "*.pem",
    // Logins of git, npm and others.
    ".git-credentials",
    ".netrc",
    ".npmrc",
];

/// Said of [`PLAIN_SECRETS`].
pub(super) const PLAIN_REASON: &str = "may hold secrets, and nothing is encrypted";
/// Files that are known to hold secrets and belong in a snapshot, but only in an encrypted one. Anywhere, in any case.
pub(super) const PLAIN_SECRETS: &[&str] = &[
    // Environments of projects.
    "**/.env",
    "**/.env.*",
    "**/*.env",
    "**/.envrc*",
    // Keys and certificates.
    "**/*.{key,pem,p12,pfx,p8,jks,keystore,ppk,kdbx,kdb}",
    "**/id_{rsa,dsa,ecdsa,ed25519,ecdsa_sk,ed25519_sk}",
    "**/{.ssh,.gnupg,.aws,.azure,.kube,.oci}/**",
    // Logins of git, npm and others.
    "**/.git-credentials",
    "**/{.,_}netrc",
    "**/.npmrc",
    "**/.yarnrc.yml",
    "**/.pypirc",
    "**/.pgpass",
    "**/.my.cnf",
    "**/.htpasswd",
    "**/.s3cfg",
    "**/.boto",
    "**/.vault-token",
    "**/.terraformrc",
    "**/.docker/config.json",
    "**/.config/{gcloud,gh,hub,rclone}/**",
    "**/rclone.conf",
    "**/.cargo/credentials*",
    "**/.gem/credentials",
    "**/{auth,credentials,client_secret*,service-account*,service_account*}.json",
    "**/secrets.{json,json5,yaml,yml,toml,env}",
];

use Area::{AgentDir, AnyName, GitName, HostName, State};
use Class::{HostLock, Install, Media, Ours, Private, Regenerable, Secret, Transient, Volatile};

/// The table. The first line that fits gives the reason.
pub(super) const RULES: &[Rule] = &[
    rule(State, Ours, LOCAL_FOLDER, "local folder of this plugin"),
    rule(State, Ours, ".b2-roots", "roots from elsewhere, put here by a restore"),
    rule(State, Private, "*.update-captures", PRIVATE_REASON),
    // Locks of the host and what belongs to an open database.
    rule(AnyName, HostLock, "*.lock.sqlite", "lock file of OpenClaw"),
    rule(AnyName, HostLock, "*.sqlite.generation-lock.sqlite", "lock file of OpenClaw"),
    rule(AnyName, HostLock, "*.sqlite.generation-writer.sqlite", "lock file of OpenClaw"),
    rule(AnyName, HostLock, "*.sqlite.reindex-lock.sqlite", "lock file of OpenClaw"),
    rule(AnyName, HostLock, "*.{sqlite,sqlite3,db}-{wal,shm,journal}", LOG_REASON),
    rule(
        HostName,
        HostLock,
        "*.sqlite.{backup,memory-reindex,tmp}-*",
        "unfinished copy of a database",
    ),
    // Made again by the host.
    rule(State, Regenerable, "cache", "cache"),
    rule(State, Regenerable, "tmp", "temporary files"),
    rule(State, Regenerable, "npm", "installed packages"),
    rule(State, Regenerable, "npm-runtime", "installed packages"),
    rule(State, Regenerable, "git", "checkouts of installed plugins"),
    rule(State, Regenerable, "dev", "development checkout of OpenClaw"),
    rule(State, Regenerable, "plugin-skills", "links that OpenClaw generates"),
    rule(State, Regenerable, "sandbox/skills-workspaces", "copies that OpenClaw generates"),
    rule(State, Regenerable, "worktrees/.templates", "copies that OpenClaw generates"),
    rule(State, Regenerable, "models", "downloaded models"),
    rule(State, Regenerable, "debug-proxy", "recordings for debugging"),
    rule(State, Regenerable, "browser/*/user-data", "browser profile"),
    rule(AgentDir, Regenerable, "{tmp,.tmp}", "temporary files"),
    rule(AgentDir, Regenerable, "**/{tmp,.tmp}", "temporary files"),
    rule(State, Regenerable, "agents/*/{copilot,qmd}/{tmp,.tmp}", "temporary files"),
    rule(State, Regenerable, "agents/*/{copilot,qmd}/**/{tmp,.tmp}", "temporary files"),
    // Belongs to the machine it was installed on.
    rule(State, Install, "tools", "tools installed for this machine"),
    rule(State, Install, "node-runtime", "Node.js installed for this machine"),
    rule(State, Install, "extensions", "installed plugins"),
    rule(State, Install, "plugins/**/node_modules", "packages installed for this machine"),
    // Of no use later.
    rule(State, Volatile, "logs", "logs"),
    rule(State, Volatile, "delivery-queue", "queue: restoring it would send messages twice"),
    rule(
        State,
        Volatile,
        "session-delivery-queue",
        "queue: restoring it would send messages twice",
    ),
    rule(State, Media, "media", "media files"),
    // Secrets stay with the machine.
    rule(State, Secret, "credentials", "secret: logins of channels and providers"),
    rule(State, Secret, "identity", "secret: identity of this device"),
    rule(State, Secret, "devices", "secret: paired devices"),
    rule(State, Secret, "nodes", "secret: paired nodes"),
    rule(State, Secret, "push", "secret: push keys"),
    rule(State, Secret, "secrets", "secret: stored secrets"),
    rule(State, Secret, "secrets.json", "secret: stored secrets"),
    rule(State, Secret, "gateway.token", "secret: token of the gateway"),
    rule(State, Secret, "gateway.password", "secret: password of the gateway"),
    rule(State, Secret, "exec-approvals.json", "secret: approvals with a token"),
    rule(State, Secret, "service-env", "secret: environment of the service"),
    rule(State, Secret, "fleet/auth-profile-secrets", "secret: logins of providers"),
    rule(State, Secret, "config-journal-fingerprint.key", "secret: key"),
    rule(State, Secret, ".env", "secret: environment with keys of providers"),
    rule(State, Secret, ".env.*", "secret: environment with keys of providers"),
    rule(AgentDir, Secret, "auth.json", "secret: logins of providers"),
    rule(AgentDir, Secret, "**/auth.json", "secret: logins of providers"),
    rule(State, Secret, "agents/*/copilot/**/auth.json", "secret: logins of providers"),
    rule(AnyName, Secret, "auth-profiles.json*", "secret: logins of providers"),
    // Exists only while a process works with it.
    rule(AnyName, Transient, ".fs-safe-{atomic,write}-*.lock", "lock file of OpenClaw"),
    rule(GitName, Transient, "*.lock", "lock file of git"),
    rule(AnyName, Transient, "Singleton{Cookie,Lock,Socket}", "lock of a browser"),
    rule(HostName, Transient, "*.lock", "lock file"),
    rule(HostName, Transient, "*.tmp", "temporary file"),
    rule(HostName, Transient, "*.sock", "socket"),
    rule(HostName, Transient, "*.tmp.*", "temporary file"),
    rule(HostName, Transient, "*.pid", "process id"),
];

#[cfg(test)]
mod tests {
    use super::super::documented::lists;
    use super::*;

    fn row(rule: &Rule) -> String {
        let place = match rule.area {
            State => "in the state directory",
            AgentDir => "in an agent's directory",
            HostName => "anywhere but in workspaces",
            AnyName => "anywhere",
            GitName => "in a git directory",
        };
        let back = match rule.class {
            Secret => "`includeSecrets`",
            class if class.is_hard() => "nothing",
            _ => "`include`",
        };
        format!("| `{}` | {place} | {} | {back} |", rule.glob, rule.reason)
    }

    #[test]
    fn the_documentation_has_every_rule_and_no_other() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/what-is-saved.md");
        let page = std::fs::read_to_string(path).unwrap();
        let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
        let table: Vec<String> = RULES.iter().map(row).collect();
        assert!(
            rows == table,
            "the table of docs/what-is-saved.md has to be:\n{}",
            table.join("\n")
        );
    }

    #[test]
    fn the_page_names_every_file_of_every_class() {
        let code =
            |names: &[&str]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>();
        lists("confidential", code(CONFIDENTIAL_NAMES));
        lists("plain", code(PLAIN_SECRETS));
    }
}
