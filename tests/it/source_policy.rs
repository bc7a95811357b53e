//! The policy over recorded listings of real states.

use b2_backup::source::policy::{Decision, Inside, Policy};
use b2_backup::source::{EntryKind, RelPath, RootKind};

fn check(name: &str, listing: &str) {
    let without = Policy::new(&[], &[], false).unwrap();
    let with = Policy::new(&[], &[], true).unwrap();
    let mut wrong = Vec::new();
    for line in listing.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (verdict, rest) = line.split_once(' ').unwrap();
        let (path, reason) =
            rest.split_once(" | ").map_or((rest, None), |(path, reason)| (path, Some(reason)));
        assert_eq!(verdict == "+", reason.is_none(), "{name}: {line}");
        let kind = if path.ends_with('/') { EntryKind::Directory } else { EntryKind::File };
        let decide = |policy: &Policy| match policy.decide(
            RootKind::State,
            &RelPath::from_bytes(path.trim_end_matches('/').into()),
            kind,
        ) {
            Decision::Include => None,
            Decision::Exclude { reason } => Some(reason),
        };
        let expected_with = if verdict == "s" { None } else { reason };
        for (policy, expected) in [(&without, reason), (&with, expected_with)] {
            let actual = decide(policy);
            if actual != expected {
                wrong.push(format!("{path}: expected {expected:?}, is {actual:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{name}:\n{}", wrong.join("\n"));
}

#[test]
fn listing_of_2026_9_6() {
    check("2026.9.6", include_str!("../fixtures/listing-2026.9.6.txt"));
}

#[test]
fn listing_of_february_2026() {
    check("2026-02", include_str!("../fixtures/listing-2026-02.txt"));
}

#[test]
fn other_roots_have_their_own_rules() {
    let policy = Policy::new(&[], &[], false).unwrap();
    let included = |kind, path: &str| {
        policy.decide(kind, &RelPath::from_bytes(path.into()), EntryKind::File) == Decision::Include
    };
    assert!(
        included(RootKind::Workspace, "cache/x") && included(RootKind::Workspace, "extensions/x")
    );
    assert!(included(RootKind::Workspace, "b2-backup/x") && included(RootKind::Workspace, ".env"));
    assert!(
        !included(RootKind::Workspace, ".git/index.lock")
            && !included(RootKind::Workspace, "auth-profiles.json")
    );
    assert!(included(RootKind::AgentDir, "models.json") && included(RootKind::AgentDir, "cache/x"));
    assert!(!included(RootKind::AgentDir, "auth.json") && !included(RootKind::AgentDir, "a/tmp/x"));
    assert!(included(RootKind::Config, "more.json5"));
}

fn reason(policy: &Policy, kind: RootKind, path: &str) -> Option<&'static str> {
    let directory = path.ends_with('/');
    let entry = if directory { EntryKind::Directory } else { EntryKind::File };
    match policy.decide(
        kind,
        &RelPath::from_bytes(path.trim_end_matches('/').as_bytes().to_vec()),
        entry,
    ) {
        Decision::Include => None,
        Decision::Exclude { reason } => Some(reason),
    }
}

#[test]
fn what_pins_versions_is_no_lock() {
    let policy = Policy::new(&[], &[], false).unwrap();
    let state = |path| reason(&policy, RootKind::State, path);
    for path in ["mine/Cargo.lock", "agents/a/agent/yarn.lock", "renv.lock", "workspace/uv.lock"] {
        assert_eq!(state(path), None, "{path}");
    }
    assert_eq!(reason(&policy, RootKind::AgentDir, "poetry.lock"), None);
    assert_eq!(state("mine/own.lock"), Some("lock file"));
    assert_eq!(state("mine/1-Cargo.lock"), Some("lock file"));
    assert_eq!(state("mine/.git/Cargo.lock"), Some("lock file of git"));
    assert_eq!(state("credentials/Cargo.lock"), Some("secret: logins of channels and providers"));
}

fn globs(list: &[&str]) -> Vec<String> {
    list.iter().map(|glob| (*glob).to_owned()).collect()
}

#[test]
fn include_brings_back_but_not_everything() {
    let policy = Policy::new(
        &globs(&["media/inbound/**", "b2-backup/**", "**/*.lock.sqlite"]),
        &globs(&["**/*.log"]),
        false,
    )
    .unwrap();
    let state = |path| reason(&policy, RootKind::State, path);
    assert_eq!(state("media/inbound/a.jpg"), None);
    assert_eq!(state("media/outbound/a.jpg"), Some("media files"));
    assert_eq!(state("media/inbound/a.log"), Some("excluded by the setting `exclude`"));
    assert_eq!(state("b2-backup/machine"), Some("local folder of this plugin"));
    assert_eq!(state("x.lock.sqlite"), Some("lock file of OpenClaw"));
    assert_eq!(state("media/inbound/x.lock.sqlite"), Some("lock file of OpenClaw"));
    let policy = Policy::new(&globs(&["media/inbound/**"]), &[], false).unwrap();
    let prunes =
        |path: &str| policy.prunes(RootKind::State, &RelPath::from_bytes(path.as_bytes().to_vec()));
    assert!(!prunes("media"));
    assert!(!prunes("media/inbound"));
    assert!(prunes("media/outbound"));
    assert!(prunes("cache"));
    assert!(!prunes("workspace"));
}

#[test]
fn globs_name_directories_and_stay_in_theirs() {
    let policy =
        Policy::new(&[], &globs(&["./workspace/big/", "*.md", "**/target"]), false).unwrap();
    let state = |path| reason(&policy, RootKind::State, path).is_some();
    assert!(state("workspace/big/") && state("workspace/big/a/b") && state("a.md"));
    assert!(state("workspace/x/target/debug/y"));
    assert!(!state("workspace/bigger") && !state("workspace/a.md"));
}

#[test]
fn a_glob_that_does_not_parse_is_named() {
    for (include, exclude, field) in
        [(&["a[" as &str] as &[&str], &[] as &[&str], "include"), (&[], &["{a"], "exclude")]
    {
        let error = Policy::new(&globs(include), &globs(exclude), false).unwrap_err();
        assert_eq!(error.code(), "B2_CONFIG");
        assert!(error.to_string().contains(field), "{error}");
    }
    assert_eq!(Policy::new(&globs(&["/"]), &[], false).unwrap_err().code(), "B2_CONFIG");
}

#[test]
fn configured_places_inside_the_state_keep_their_content() {
    let inside = vec![
        Inside { kind: RootKind::Workspace, path: RelPath::from_bytes(b"tools/mine".to_vec()) },
        Inside { kind: RootKind::AgentDir, path: RelPath::from_bytes(b"other".to_vec()) },
    ];
    let policy = Policy::new(&[], &[], false).unwrap().with_inside(inside);
    assert_eq!(reason(&policy, RootKind::State, "tools/mine/cache/x"), None);
    assert_eq!(reason(&policy, RootKind::State, "tools/mine/"), None);
    assert!(reason(&policy, RootKind::State, "tools/other").is_some());
    assert!(!policy.prunes(RootKind::State, &RelPath::from_bytes(b"tools".to_vec())));
    assert!(reason(&policy, RootKind::State, "other/auth.json").is_some());
}
