//! The JSON documents of a state that change from day to day.

use serde_json::{Value, json};

use super::Result;
use super::rng::Rng;
use super::text::Text;
use super::transcript::EPOCH_MS;

/// The configuration as of its `revision`-th change.
pub(crate) fn config(rng: &mut Rng, revision: u64) -> Result<String> {
    let allowed: Vec<String> =
        (0..6).map(|_| rng.between(100_000_000, 1_000_000_000).to_string()).collect();
    let touched = format!("2026-10-{:02}T08:00:00.000Z", 1 + revision % 27);
    Ok(serde_json::to_string_pretty(&json!({
        "meta": {"lastTouchedVersion": "2026.9.6", "lastTouchedAt": touched},
        "agents": {
            "defaults": {
                "workspace": "~/.openclaw/workspace",
                "model": {"primary": "anthropic/claude-sonnet-4-5"},
            },
            "list": [{"id": "main", "default": true}, {"id": "ops"}],
        },
        "channels": {"telegram": {"enabled": true, "dmPolicy": "pairing", "allowFrom": allowed}},
        "gateway": {"mode": "local", "port": 18789, "auth": {"mode": "token", "token": rng.hex(48)}},
        "hooks": {"internal": {"enabled": true}},
    }))?)
}

/// `sessions.json`: every entry repeats the same prompt of skills.
pub(crate) fn session_list(rng: &mut Rng, text: &Text, sessions: &[String]) -> Result<String> {
    let skills = text.prose(&mut Rng::new(5), 2200);
    let names: Vec<Value> =
        text.words.iter().skip(100).take(12).map(|word| json!({"name": word})).collect();
    let list: serde_json::Map<String, Value> = sessions
        .iter()
        .enumerate()
        .map(|(index, id)| {
            let entry = json!({
                "sessionId": id, "updatedAt": EPOCH_MS + index as u64 * 3_600_000, "chatType": "direct",
                "model": "claude-sonnet-4-5", "inputTokens": rng.between(10, 99_999),
                "outputTokens": rng.between(10, 9999), "totalTokens": rng.between(1000, 180_000),
                "compactionCount": rng.between(0, 5), "skillsSnapshot": {"prompt": skills, "skills": names},
                "origin": {
                    "provider": "telegram",
                    "from": format!("telegram:{}", rng.between(100_000_000, 1_000_000_000)),
                },
            });
            (format!("agent:main:telegram:{index}"), entry)
        })
        .collect();
    Ok(serde_json::to_string_pretty(&list)?)
}
