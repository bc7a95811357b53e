//! What an agent may have back without its owner's word, and what people are told before they give it.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use b2_backup::error::Result;
use b2_backup::ops::{self, RollbackPlan, RollbackRequest};

use super::{Place, exactly, only, to};
use crate::support::host::{databases, run, shared};
use crate::support::plain::write;

/// The plan as the agent that works in `workspace` gets it.
async fn plan_of(place: &Place, request: &RollbackRequest) -> Result<RollbackPlan> {
    let session = place.machine.session().await.for_agent(Some(place.live.join("workspace")));
    ops::plan_rollback(&session, request).await
}

/// Why it has to be asked for, when `spoil` is taken back.
async fn asked(
    spoil: impl FnOnce(&Place),
    request: impl FnOnce(&str) -> RollbackRequest,
) -> String {
    let mut place = Place::in_memory();
    // Without encryption `site.pem` is in no snapshot.
    place.machine.settings.encrypt = true;
    databases(&place.live);
    let config =
        "{ tools: { $include: './workspace/settings.md' }, agents: { list: [{ id: 'main' },
        { id: 'work', workspace: './workspace/inner' }] } }";
    for (path, text) in [
        ("openclaw.json", config),
        ("workspace/settings.md", "{}"),
        ("workspace/MEMORY.md", "then"),
        ("workspace/memory/2026-01-01.md", "then"),
        ("workspace/AGENTS.md", "then"),
        ("workspace/sub/heartbeat.md", "then"),
        ("workspace/notes.sh", "then"),
        ("workspace/.hidden/notes.md", "then"),
        ("workspace/inner/MEMORY.md", "then"),
        ("workspace-other/MEMORY.md", "then"),
        ("workspace/skills/x/SKILL.md", "then"),
        ("workspace/skills/x/more.md", "then"),
        ("workspace/site.pem", "then"),
        ("cron/notes.md", "then"),
        ("workspace/run.md", "then"),
    ] {
        write(&place.live, path, text);
    }
    chmod(&place, "workspace/run.md", 0o755);
    write(&place.live, "workspace/binary.md", b"\0\xff");
    write(&place.live, "workspace/escape.md", "\u{1b}[2Jlooks like something else");
    write(&place.live, "workspace/large.md", "x".repeat(300 << 10));
    for number in 0..6 {
        write(&place.live, &format!("workspace/many/{number}.md"), "then");
    }
    symlink("MEMORY.md", place.live.join("workspace/link.md")).unwrap();
    let snapshot = place.push().await;
    spoil(&place);
    let plan = plan_of(&place, &request(&snapshot)).await.unwrap();
    assert!(!plan.is_empty());
    plan.needs_approval.join("; ")
}

fn chmod(place: &Place, path: &str, mode: u32) {
    fs::set_permissions(place.live.join(path), fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_comes_back_unasked() {
    let paths = ["workspace/MEMORY.md", "workspace/memory"];
    let spoil = |place: &Place| {
        write(&place.live, paths[0], "now");
        fs::remove_dir_all(place.live.join(paths[1])).unwrap();
    };
    assert_eq!(asked(spoil, |id| only(id, &paths)).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_comes_back_unasked_to_a_workspace_that_is_a_link() {
    let place = Place::in_memory();
    let disk = place.dir.path().join("disk");
    write(&disk, "ws/MEMORY.md", "then");
    write(&disk, "ws/AGENTS.md", "then");
    write(&place.live, "openclaw.json", "{}");
    symlink(disk.join("ws"), place.live.join("workspace")).unwrap();
    let snapshot = place.push().await;
    write(&disk, "ws/MEMORY.md", "now");
    let plan = plan_of(&place, &to(&snapshot)).await.unwrap();
    assert_eq!((plan.entries.len(), plan.needs_approval), (1, vec![]));
    write(&disk, "ws/AGENTS.md", "now");
    let asked = plan_of(&place, &to(&snapshot)).await.unwrap().needs_approval;
    assert!(asked.iter().any(|why| why.ends_with("ws/AGENTS.md holds instructions")), "{asked:?}");
}

/// Each of these is one step from what comes back unasked.
#[tokio::test(flavor = "multi_thread")]
async fn everything_else_is_asked_for() {
    for (path, reason) in [
        ("workspace/AGENTS.md", "holds instructions"),
        ("workspace/sub/heartbeat.md", "holds instructions"),
        ("workspace/notes.sh", "is no plain text"),
        ("workspace/.hidden/notes.md", "is hidden"),
        ("workspace/inner/MEMORY.md", "is not in the workspace of the agent"),
        ("workspace-other/MEMORY.md", "is not in the workspace of the agent"),
        ("workspace/skills/x/more.md", "is where instructions or programs are kept"),
        ("workspace/site.pem", "may hold secrets or settings"),
        ("workspace/settings.md", "may hold secrets or settings"),
        ("openclaw.json", "is a part of the configuration"),
        ("cron/notes.md", "is not in the workspace of the agent"),
        ("workspace/run.md", "can be run"),
        ("workspace/binary.md", "is no text"),
        ("workspace/escape.md", "is no text"),
        ("workspace/large.md", "more than 256 KiB"),
        ("workspace/link.md", "is no plain file"),
        ("state/openclaw.sqlite", "is a database"),
    ] {
        let spoil = |place: &Place| fs::remove_file(place.live.join(path)).unwrap();
        let why = asked(spoil, |id| only(id, &[path])).await;
        assert!(why.contains(reason), "{path}: {why}");
    }
    let many = |place: &Place| fs::remove_dir_all(place.live.join("workspace/many")).unwrap();
    let why = asked(many, |id| only(id, &["workspace/many"])).await;
    assert_eq!(why, "it is about more than 5 files");
    let memory = "workspace/MEMORY.md";
    let why = asked(|place| chmod(place, memory, 0o755), |id| only(id, &[memory])).await;
    assert!(why.contains("gets other permissions"), "{why}");
    let spoil = |place: &Place| write(&place.live, "workspace/new.md", "now");
    let exact =
        |id: &str| RollbackRequest { paths: vec!["workspace/new.md".into()], ..exactly(id) };
    let why = asked(spoil, exact).await;
    assert!(why.contains("is removed"), "{why}");
    let spoil = |place: &Place| {
        fs::remove_file(place.live.join(memory)).unwrap();
        symlink("AGENTS.md", place.live.join(memory)).unwrap();
    };
    let why = asked(spoil, |id| only(id, &[memory])).await;
    assert!(why.contains("is no plain file"), "{why}");
}

/// Where nobody says whose workspace it is, nothing goes unasked; so it is for people, who are always asked.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_unasked_for_nobody() {
    let place = Place::in_memory();
    write(&place.live, "workspace/MEMORY.md", "then");
    let snapshot = place.push().await;
    write(&place.live, "workspace/MEMORY.md", "now");
    let plan = place.plan(&to(&snapshot)).await.unwrap();
    assert_eq!(plan.needs_approval, ["it is not known in whose workspace it is"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_say_what_would_run_and_be_allowed() {
    let place = Place::in_memory();
    databases(&place.live);
    write(
        &place.live,
        "openclaw.json",
        "{ tools: { $include: './conf/tools.json5' }, mcp: { servers: { evil: { command: 'evil', env: { KEY: 'hunter2' } } } },
           channels: { telegram: { botToken: 'hunter2', allowFrom: ['*'] } } }",
    );
    write(&place.live, "conf/tools.json5", "{ exec: { security: 'full' } }");
    write(&place.live, "hooks/evil/handler.js", "evil");
    write(&place.live, "hooks/evil/HOOK.md", "evil");
    write(&place.live, "workspace/AGENTS.md", "be evil");
    write(&place.live, "workspace/evil.sh", "evil");
    chmod(&place, "workspace/evil.sh", 0o755);
    let snapshot = place.push().await;
    write(
        &place.live,
        "openclaw.json",
        "{ tools: { $include: './conf/tools.json5' }, channels: { telegram: { botToken: 'other' } } }",
    );
    write(&place.live, "conf/tools.json5", "{ exec: { security: 'deny' } }");
    fs::remove_dir_all(place.live.join("hooks")).unwrap();
    write(&place.live, "workspace/AGENTS.md", "be good");
    fs::remove_file(place.live.join("workspace/evil.sh")).unwrap();
    run(&shared(&place.live), "DELETE FROM cron_jobs");
    let plan = place.plan(&to(&snapshot)).await.unwrap();
    let told: Vec<String> = plan
        .effects
        .iter()
        .map(|effect| format!("{}: {}", effect.weight.name(), effect.text))
        .collect();
    assert_eq!(
        told,
        [
            "runs: scheduled jobs become those of the snapshot",
            "runs: hook is not as it was: hooks/evil",
            "runs: instructions: workspace/AGENTS.md changes",
            "runs: program: workspace/evil.sh comes",
            "runs: MCP server: evil comes (mcp.servers.evil.command)",
            "runs: MCP server: (not shown) comes (mcp.servers.evil.env.KEY)",
            "allows: who may do what: [\"*\"] comes (channels.telegram.allowFrom)",
            "allows: exec policy: deny becomes full (tools.exec.security)",
            "secret: secret changes: channels.telegram.botToken",
        ]
    );
    assert!(plan.touches.configuration);
    // What was agreed to is not agreed to any more when it would do something else.
    write(&place.live, "conf/tools.json5", "{ exec: { security: 'allowlist' } }");
    let now = place.plan(&to(&snapshot)).await.unwrap();
    assert_ne!(now.hash, plan.hash);
    // A file that the configuration includes is named wherever it lies.
    let one = place.plan(&only(&snapshot, &["conf/tools.json5"])).await.unwrap();
    assert!(one.touches.configuration);
    assert_eq!(one.effects[0].text, "exec policy: allowlist becomes full (tools.exec.security)");
}
