//! Which lines differ, and whose are never shown.

use b2_backup::ops::TextOmitted;

use super::*;

/// Compares with text.
async fn text(machine: &Machine, from: &str, to: &str) -> DiffReport {
    let options = DiffOptions { text: true, ..diff_options(from, to) };
    machine.diff_with(options).await.unwrap()
}

/// By path, the text or why there is none.
fn told(report: &DiffReport) -> Vec<(&str, String)> {
    let told = |entry: &DiffEntry| match (&entry.text, entry.text_omitted) {
        (Some(text), None) => text.clone(),
        (None, Some(why)) => format!("omitted: {}", why.name()),
        (None, None) => "nothing".to_owned(),
        (Some(_), Some(_)) => "both".to_owned(),
    };
    report.entries.iter().map(|entry| (entry.path.as_str(), told(entry))).collect()
}

fn numbered(lines: u32, changed: u32) -> String {
    (1..=lines)
        .map(|n| if n == changed { "changed\n".to_owned() } else { format!("{n}\n") })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_small_text_files() {
    let (_dir, machine, _store) = plain_machine();
    let live = state(&machine);
    let limit = 64 << 10;
    let at_limit = "x\n".repeat(limit / 2);
    write(&live, "workspace/a.md", numbered(20, 0));
    write(&live, "workspace/gone.md", "gone\n");
    write(&live, "workspace/mode.md", "mode\n");
    write(&live, "workspace/nul.md", "a\0b");
    write(&live, "workspace/latin.md", b"caf\xe9");
    write(&live, "workspace/limit.md", &at_limit);
    write(&live, "workspace/large.md", "");
    chmod(&live.join("workspace/mode.md"), 0o644);
    let first = push(&machine).await;
    write(&live, "workspace/a.md", numbered(20, 10));
    fs::remove_file(live.join("workspace/gone.md")).unwrap();
    chmod(&live.join("workspace/mode.md"), 0o600);
    write(&live, "workspace/nul.md", "text");
    write(&live, "workspace/latin.md", "café");
    write(&live, "workspace/limit.md", at_limit.replacen("x\n", "y\n", 1));
    write(&live, "workspace/large.md", at_limit + "x");
    write(&live, "workspace/new.md", "näw\nno end");
    fs::create_dir(live.join("workspace/new dir")).unwrap();
    let now = text(&machine, &first, "live").await;
    let hunk = "@@ -7,7 +7,7 @@\n 7\n 8\n 9\n-10\n+changed\n 11\n 12\n 13\n";
    assert_eq!(
        told(&now),
        [
            ("workspace/a.md", hunk.to_owned()),
            ("workspace/gone.md", "@@ -1 +0,0 @@\n-gone\n".to_owned()),
            ("workspace/large.md", "omitted: too large".to_owned()),
            ("workspace/latin.md", "omitted: binary".to_owned()),
            ("workspace/limit.md", "@@ -1,4 +1,4 @@\n-x\n+y\n x\n x\n x\n".to_owned()),
            ("workspace/mode.md", "nothing".to_owned()),
            ("workspace/new dir", "nothing".to_owned()),
            (
                "workspace/new.md",
                "@@ -0,0 +1,2 @@\n+näw\n+no end\n\\ No newline at end of file\n".to_owned()
            ),
            ("workspace/nul.md", "omitted: binary".to_owned()),
        ]
    );
    let second = push(&machine).await;
    let blank = machine.blank(live.with_file_name("blank"));
    assert_eq!(essence(&text(&blank, &first, &second).await), essence(&now));
    let without = machine.diff(&first, &second).await.unwrap();
    assert!(told(&without).iter().all(|(_, told)| told == "nothing"), "only where it is asked for");
}

#[tokio::test(flavor = "multi_thread")]
async fn text_and_what_is_read_for_it_are_bounded() {
    let (_dir, machine, _store) = plain_machine();
    let live = state(&machine);
    let lines =
        |n: u32| (0..10_000).map(|line| format!("{}\n", line * 7 + n)).collect::<Vec<_>>().concat();
    for n in 0..6 {
        write(&live, &format!("workspace/{n}.md"), lines(n));
    }
    let first = push(&machine).await;
    for n in 0..6 {
        write(&live, &format!("workspace/{n}.md"), lines(n + 1));
    }
    write(&live, "workspace/small.md", "it still fits\n");
    let second = push(&machine).await;
    for to in ["live", second.as_str()] {
        let report = text(&machine, &first, to).await;
        let sum: usize =
            report.entries.iter().filter_map(|e| e.text.as_ref()).map(String::len).sum();
        assert!(sum > 100_000 && sum <= 256 << 10, "{sum}");
        let limited = |e: &&DiffEntry| e.text_omitted == Some(TextOmitted::Limit);
        let omitted = report.entries.iter().filter(limited).count();
        assert!((1..6).contains(&omitted), "{omitted}");
        assert_eq!(
            told(&report)[6],
            ("workspace/small.md", "@@ -0,0 +1 @@\n+it still fits\n".into())
        );
    }

    for n in 0..300 {
        write(&live, &format!("workspace/noise/{n:03}"), noise(n, 60_000));
    }
    let third = push(&machine).await;
    let report = text(&machine, &second, &third).await;
    assert!(report.downloaded_bytes < 20 << 20, "{}", report.downloaded_bytes);
    let told = told(&report);
    let count = |why: &str| told.iter().filter(|(_, told)| told == why).count();
    assert_eq!((count("omitted: binary"), count("omitted: limit")), (279, 21));
}

/// Values that must not be in any report.
const TOKEN: &str = "tok-planted-4711";

#[tokio::test(flavor = "multi_thread")]
async fn what_may_hold_secrets_is_never_shown() {
    let (dir, mut machine, _store) = plain_machine();
    machine.settings.encrypt = true;
    machine.settings.include_secrets = true;
    machine.settings.include = vec!["cache/**".into()];
    let live = state(&machine);
    let included = dir.path().canonicalize().unwrap().join("included.json5");
    let secrets = [
        ".env",
        "agents/main/agent/auth-profiles.json",
        "agents/main/agent/models.json",
        "cache/auth-profiles.json",
        "conf/more.json5",
        "credentials/oauth.json",
        "openclaw.json.bak",
        "secrets/deep/any.md",
        "workspace/project/.env",
    ];
    let put = |value: &str| {
        for path in secrets {
            write(&live, path, format!("value: {value}\n"));
        }
        fs::write(&included, format!("{{ token: '{value}' }}")).unwrap();
        let include = format!("['{}', 'conf/more.json5']", included.display());
        write(&live, "openclaw.json", format!("{{ $include: {include}, token: '{value}' }}"));
    };
    put(&format!("{TOKEN} old"));
    write(&live, "conf/more.json5", "{}");
    write(&live, "workspace/a.md", "before");
    let first = push(&machine).await;
    put(&format!("{TOKEN} new"));
    write(&live, "conf/more.json5", format!("{{ token: '{TOKEN}' }}"));
    write(&live, "workspace/a.md", "after");
    let second = push(&machine).await;
    for to in ["live", second.as_str()] {
        let report = text(&machine, &first, to).await;
        let told = told(&report);
        assert_eq!(told.len(), secrets.len() + 3, "{told:?}");
        for (path, told) in told {
            if path == "workspace/a.md" {
                assert!(told.contains("-before") && told.contains("+after"), "{told}");
            } else {
                assert_eq!(told, "omitted: secret", "{path}");
            }
        }
        assert!(!format!("{report:?}").contains(TOKEN));
    }
    // Also on a machine that knows nothing of the configuration, as far as names tell.
    let blank = machine.blank(dir.path().join("blank"));
    let report = text(&blank, &first, &second).await;
    let shown: Vec<&str> =
        report.entries.iter().filter(|e| e.text.is_some()).map(|e| e.path.as_str()).collect();
    assert_eq!(shown, ["conf/more.json5", "workspace/a.md"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_damaged_is_said_and_costs_only_its_text() {
    let (_dir, machine, store) = plain_machine();
    let live = state(&machine);
    write(&live, "workspace/a.md", "a, before\n");
    push(&machine).await;
    write(&live, "workspace/b.md", "b\n");
    let second = push(&machine).await;
    write(&live, "workspace/a.md", "a, after\n");
    write(&live, "workspace/c.md", "c\n");
    let third = push(&machine).await;
    // The first pack, but not the tree and the footer at its end; the others are too small to be it.
    let packs = store.objects().into_keys().filter(|key| key.starts_with("packs/"));
    let mut packs = packs.map(|key| (store.raw_read(&key).unwrap().to_vec(), key));
    let (mut bytes, first_pack) = packs.find(|(bytes, _)| bytes.len() > 20_000).unwrap();
    bytes[97..5000].fill(0);
    store.raw_replace(&first_pack, bytes);
    let report = text(&machine, &second, &third).await;
    assert_eq!(
        told(&report),
        [
            ("workspace/a.md", "omitted: unreadable".to_owned()),
            ("workspace/c.md", "@@ -0,0 +1 @@\n+c\n".to_owned())
        ]
    );
    let warned = |text: &String| text.contains(&first_pack) && text.contains("(B2_DAMAGED)");
    assert!(report.warnings.iter().any(warned), "{:?}", report.warnings);
}

/// An agent is told lines of plain files of its own workspace.
#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_told_lines_of_its_own_workspace() {
    let (_dir, mut machine, _store) = plain_machine();
    // Without encryption `.env` is in no snapshot.
    machine.settings.encrypt = true;
    let live = state(&machine);
    let files = [
        ("workspace/MEMORY.md", "@@ -1 +1 @@\n-then\n+now\n"),
        ("workspace/.private/diary.md", "omitted: hidden"),
        ("workspace/.env", "omitted: secret"),
        ("workspace-work/MEMORY.md", "omitted: not in the workspace of the agent"),
        ("agents/main/sessions/a.jsonl", "omitted: not in the workspace of the agent"),
        ("cron/jobs.json", "omitted: not in the workspace of the agent"),
    ];
    for (path, _) in files {
        write(&live, path, "then\n");
    }
    let first = push(&machine).await;
    for (path, _) in files {
        write(&live, path, "now\n");
    }
    let session = machine.session().await.for_agent(Some(live.join("workspace")));
    let options = DiffOptions { text: true, ..diff_options(&first, "live") };
    let report = ops::diff(&session, &options).await.unwrap();
    let mut found = told(&report);
    found.sort_unstable();
    let mut expected = files.map(|(path, told)| (path, told.to_owned()));
    expected.sort_unstable();
    assert_eq!(found, expected);
    push(&machine).await;
    for (path, expected) in files {
        let options =
            ops::HistoryOptions { path: path.into(), text: true, allow_unauthenticated: false };
        let report = ops::history(&session, &options).await.unwrap();
        let version = report.versions.last().unwrap();
        let told = version.text.clone().unwrap_or_else(|| {
            format!("omitted: {}", version.text_omitted.map_or("", TextOmitted::name))
        });
        assert_eq!(told, expected, "{path}");
    }
}
