//! Which rows of the host's databases are not what they say: secrets, queues, leases, paths.
//!
//! The tables are those of OpenClaw 2026.9.6; a table that is not there is passed over.

use crate::source::database::Redact;

/// Tables of the shared database whose rows are secrets: those the host itself redacts.
pub(super) const SHARED_TABLES: &[&str] = &[
    "apns_registrations",
    "audit_identity_keys",
    "channel_ingress_events",
    "channel_pairing_requests",
    "clawhub_promotion_claims",
    "config_revision_keys",
    "device_auth_tokens",
    "device_bootstrap_tokens",
    "device_identities",
    "device_pairing_join_codes",
    "device_pairing_paired",
    "gateway_origin_device_tokens",
    "mcp_oauth_pending_authorizations",
    "mcp_oauth_stores",
    "native_hook_relay_bridges",
    "secret_store_entries",
    "web_push_subscriptions",
    "worker_environment_credentials",
];
/// Tables of an agent's database whose rows are secrets.
pub(super) const AGENT_TABLES: &[&str] =
    &["auth_profile_state", "auth_profile_store", "session_suggestions"];
/// A table of settings of which only some are secret.
pub(super) const SETTINGS_TABLE: &str = "config_machine_state";
/// The secret ones, as GLOB patterns of SQL.
pub(super) const SECRET_SETTINGS: &[&str] = &["authProfiles*", "nodeHost*", "webPush.vapidKeys*"];
/// Tables of the shared database with a column that says when a row expires; those that do are copies of private data.
pub(super) const EXPIRING: &[(&str, &str)] = &[("plugin_blob_entries", "expires_at")];
/// What the agents may run without asking, and a token with it, as JSON in `raw_json`.
pub(super) const APPROVALS_TABLE: &str = "exec_approvals_config";
/// Approvals that allow nothing, as the host writes them for those that it cannot read.
pub(super) const CLOSED_APPROVALS: &str = r#"{"version":1,"defaults":{"security":"deny","ask":"off","askFallback":"deny","autoAllowSkills":false},"agents":{}}"#;
/// Settings that are about what is installed on this machine, as GLOB patterns.
pub(super) const MACHINE_SETTINGS: &[&str] = &["plugins.installedIndex"];

/// Tables of the shared database whose rows say who may do what: a rollback gives back nothing that was taken away.
const SHARED_GRANTS: &[&str] = &[
    "channel_pairing_allow_entries",
    "device_pair_setup_completions",
    "device_pairing_pending",
    "exec_approvals_config",
    "operator_approvals",
    "plugin_binding_approvals",
    "user_profile_emails",
    "user_profile_identities",
    "user_profiles",
    "web_push_approval_deliveries",
    "worker_turn_tool_authorities",
];
/// The same of an agent's database.
const AGENT_GRANTS: &[&str] = &["session_members"];
/// What a session may do, in the JSON of its row.
pub(super) const SESSION_GRANTS: &[&str] = &[
    "elevatedLevel",
    "execAsk",
    "execHost",
    "execNode",
    "execSecurity",
    "permissionMode",
    "sandbox",
    "sendPolicy",
    "toolOverrides",
];

/// Leases of processes and queues of what is to be sent: of no use later, and sending it again would be wrong.
/// The host drops them from its own backups, too.
pub(super) const DROPPED_TABLES: &[&str] =
    &["state_leases", "agent_database_leases", "delivery_queue_entries"];

/// What is about the gateway's process that runs now. A notice of a restart that is long over would be told again, and
/// of starts that the snapshot's process never ended the host counts as crashes: after some it starts no channel.
pub(super) const PROCESS_TABLES: &[&str] = &[
    "gateway_boot_lifecycle",
    "gateway_restart_sentinel",
    "gateway_restart_intent",
    "gateway_restart_handoff",
];

/// Columns that hold a path below the state directory, and that the host looks rows up by.
pub(super) const PATH_COLUMNS: &[(&str, &str)] = &[
    ("cron_jobs", "store_key"),
    ("cron_run_receipts", "store_key"),
    ("cron_job_scratch", "store_key"),
    ("workspace_setup_state", "workspace_path"),
    ("workspace_path_aliases", "alias_path"),
    ("workspace_path_aliases", "workspace_path"),
];
/// Columns that hold the SHA-256 of a workspace's path, as hex.
pub(super) const PATH_KEY_COLUMNS: &[(&str, &str)] = &[
    ("workspace_setup_state", "workspace_key"),
    ("workspace_path_aliases", "alias_key"),
    ("workspace_path_aliases", "workspace_key"),
    ("workspace_generated_bootstrap_hashes", "workspace_key"),
];

/// The tables of one of the host's databases that say who may do what.
pub(super) fn grant_tables(kind: Redact) -> &'static [&'static str] {
    match kind {
        Redact::None | Redact::BySchema => &[],
        Redact::Shared => SHARED_GRANTS,
        Redact::Agent => AGENT_GRANTS,
    }
}

/// The tables of secrets of one of the host's databases.
pub(super) fn secret_tables(kind: Redact) -> &'static [&'static str] {
    match kind {
        Redact::None | Redact::BySchema => &[],
        Redact::Shared => SHARED_TABLES,
        Redact::Agent => AGENT_TABLES,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::documented::lists;

    #[test]
    fn the_page_names_every_table() {
        let whole =
            |tables: &[&str]| tables.iter().map(|table| format!("`{table}`")).collect::<Vec<_>>();
        let mut shared = whole(SHARED_TABLES);
        shared
            .extend(SECRET_SETTINGS.iter().map(|key| format!("`{SETTINGS_TABLE}`, keys `{key}`")));
        shared.extend(
            EXPIRING.iter().map(|(table, column)| format!("`{table}`, rows with `{column}`")),
        );
        shared.push(format!("`{APPROVALS_TABLE}`, `socket.token`"));
        lists("shared", shared);
        lists("agent", whole(AGENT_TABLES));
    }
}
