//! The policy over recorded listings of real states.

use b2_backup::source::policy::{Decision, Policy};
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
    check("2026.9.6", include_str!("fixtures/listing-2026.9.6.txt"));
}

#[test]
fn listing_of_february_2026() {
    check("2026-02", include_str!("fixtures/listing-2026-02.txt"));
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
        !included(RootKind::Workspace, "a.lock")
            && !included(RootKind::Workspace, "auth-profiles.json")
    );
    assert!(included(RootKind::AgentDir, "models.json") && included(RootKind::AgentDir, "cache/x"));
    assert!(!included(RootKind::AgentDir, "auth.json") && !included(RootKind::AgentDir, "a/tmp/x"));
    assert!(included(RootKind::Config, "more.json5"));
}
