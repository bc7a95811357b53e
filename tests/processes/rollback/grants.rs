//! What a rollback never gives back: who may do what.

use super::{Place, applied, to};
use crate::support::host::{agent, databases, run, shared, value};

/// What was taken away stays away: rows that say who may do what are those of the live database.
#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_gives_back_no_authority() {
    let place = Place::new();
    databases(&place.live);
    let (shared, agent) = (shared(&place.live), agent(&place.live, "main"));
    let grant = |who: &str| {
        format!(
            "INSERT INTO channel_pairing_allow_entries VALUES ('telegram', 'default', '{who}', 0, 1);
             INSERT INTO exec_approvals_config VALUES ('{who}', '{{\"defaults\":{{\"security\":\"full\"}}}}', NULL, 0, 'full', 'off', NULL, 1, 0, 1, 1);
             INSERT INTO device_pairing_pending (request_id, device_id, public_key, ts) VALUES ('{who}', '{who}', 'k', 1);
             INSERT INTO plugin_binding_approvals VALUES ('/{who}', 'telegram', 'default', 'p', NULL, 1);
             INSERT INTO user_profiles (id, role, created_at, updated_at) VALUES ('{who}', 'owner', 1, 1);
             INSERT INTO user_profile_emails VALUES ('{who}@example.org', '{who}', NULL, 1);
             INSERT INTO user_profile_identities VALUES ('github', '{who}', '{who}', NULL, 1);"
        )
    };
    let tables = [
        ("channel_pairing_allow_entries", "entry"),
        ("exec_approvals_config", "config_key"),
        ("device_pairing_pending", "device_id"),
        ("plugin_binding_approvals", "plugin_root"),
        ("user_profiles", "id"),
        ("user_profile_emails", "profile_id"),
        ("user_profile_identities", "subject"),
    ];
    run(&shared, &grant("then"));
    let mode = |full: &str| {
        format!(
            "UPDATE session_nodes SET entry_json = json_set(entry_json, '$.permissionMode', '{full}', '$.elevatedLevel', 'full', '$.toolOverrides', json('{{\"a\":[1]}}'))"
        )
    };
    run(&agent, &mode("full"));
    let snapshot = place.push().await;
    for (table, _) in tables {
        run(&shared, &format!("DELETE FROM {table}"));
    }
    run(&shared, &grant("now"));
    run(
        &agent,
        "UPDATE session_nodes SET entry_json = json_remove(json_set(entry_json, '$.permissionMode', 'guarded'), '$.elevatedLevel')",
    );
    applied(&place.roll_back(&to(&snapshot)).await.unwrap());
    for (table, column) in tables {
        let who = value(&shared, &format!("SELECT group_concat({column}) FROM {table}"));
        assert!(who.contains("now") && !who.contains("then"), "{table}: {who}");
    }
    let session = |path: &str| {
        value(
            &agent,
            &format!("SELECT json_extract(entry_json, '$.{path}') FROM session_nodes LIMIT 1"),
        )
    };
    assert_eq!(session("permissionMode"), "guarded");
    assert_eq!(session("elevatedLevel"), "NULL");
    assert_eq!(session("toolOverrides"), "{\"a\":[1]}");
    // A session that is not there any more comes back with what is configured.
    run(&agent, &mode("full"));
    let snapshot = place.push().await;
    run(&agent, "DELETE FROM session_nodes");
    applied(&place.roll_back(&to(&snapshot)).await.unwrap());
    assert_eq!(
        (session("permissionMode"), session("toolOverrides")),
        ("NULL".into(), "NULL".into())
    );
}
