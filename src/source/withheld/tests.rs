use super::*;

const KEY: &str = "K004Abc/defGHIjklMNOpqrSTUvwx12";

fn withheld(everything: bool) -> (tempfile::TempDir, Withheld) {
    let state = tempfile::tempdir().unwrap();
    let text = format!(
        "{{ plugins: {{ entries: {{ 'b2-backup': {{ config: {{ applicationKey: '{KEY}', passphrase: 'tiny \"one\"' }} }} }} }} }}"
    );
    std::fs::write(state.path().join("openclaw.json"), text).unwrap();
    let withheld =
        Withheld::new(state.path(), None, OwnSecrets::default(), everything, crate::crypto::sha256)
            .unwrap();
    (state, withheld)
}

fn replaced(withheld: &Withheld, text: &str) -> String {
    match withheld.content(text.as_bytes().to_vec(), Form::Config) {
        Content::Replaced(bytes) => String::from_utf8(bytes).unwrap(),
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn our_key_is_found_however_it_is_written() {
    let (_state, withheld) = withheld(false);
    let each = |write: fn(u32) -> String| {
        KEY.chars().map(|c| write(u32::from(c))).collect::<Vec<_>>().concat()
    };
    let unicode = each(|c| format!("\\u{c:04X}"));
    let hex = each(|c| format!("\\x{c:02x}"));
    for (written, expected) in [
        (format!("{{ a: '{KEY}' }}"), "{ a: '@' }"),
        (format!("{{ a: \"x{}y\" }}", KEY.replace('/', "\\/")), "{ a: \"x@y\" }"),
        (format!("{{ a: \"{unicode}\" }}"), "{ a: \"@\" }"),
        (format!("{{ a: \"{hex}\" }}"), "{ a: \"@\" }"),
        (format!("{{ a: 'K004\\\n{}' }}", &KEY[4..]), "{ a: '@' }"),
        (format!("{{ a: 'K0\\\r04\\\u{2028}A\\\u{2029}{}' }}", &KEY[5..]), "{ a: '@' }"),
        (format!("// don't: {KEY}\n{{ broken"), "// don't: @\n{ broken"),
        (format!("B2_APPLICATION_KEY={KEY}\n"), "B2_APPLICATION_KEY=@\n"),
    ] {
        assert_eq!(replaced(&withheld, &written), expected.replace('@', APPLICATION_KEY));
    }
}

#[test]
fn a_short_passphrase_is_replaced_where_it_is_a_whole_value() {
    let (_state, withheld) = withheld(false);
    assert_eq!(
        replaced(&withheld, r#"{ a: "tiny \"one\"", b: "so tiny \"one\"!" }"#),
        format!(r#"{{ a: "{PASSPHRASE}", b: "so tiny \"one\"!" }}"#)
    );
}

#[test]
fn a_copy_of_before_has_its_own_key_replaced() {
    let (_state, withheld) = withheld(false);
    let older =
        "{ plugins: { entries: { 'b2-backup': { config: { applicationKey: 'K001older' } } } } }";
    assert_eq!(replaced(&withheld, older), older.replace("K001older", APPLICATION_KEY));
    let included = "{ 'b2-backup': { config: { passphrase: 'before', recoveryCode: 'x y z' } } }";
    let expected = included.replace("before", PASSPHRASE).replace("x y z", OTHER);
    assert_eq!(replaced(&withheld, included), expected);
    let others = "{ plugins: { entries: { other: { config: { applicationKey: 'mine' } } } } }";
    assert_eq!(withheld.content(others.into(), Form::Config), Content::AsItIs(others.into()));
}

#[test]
fn a_recovery_code_is_known_by_its_form() {
    let (_state, withheld) = withheld(false);
    let code = "01230-4567M-89AB9-CDEFS-GHJKJ-MNPQ6-RSTVV";
    assert_eq!(
        replaced(&withheld, &format!("{{}} // {}\n", code.to_lowercase())),
        format!("{{}} // {OTHER}\n")
    );
    let other = format!("{{}} // {}", code.replace('4', "5"));
    assert_eq!(withheld.content(other.clone().into(), Form::Config), Content::AsItIs(other.into()));
}

#[test]
fn what_is_here_comes_back() {
    let (_state, withheld) = withheld(false);
    for text in [format!("{{ a: '{KEY}', b: \"tiny \\\"one\\\"\" }}"), format!("KEY={KEY}\n")] {
        let stored = replaced(&withheld, &text);
        assert!(!stored.contains(KEY));
        assert_eq!(withheld.put_back(stored.as_bytes(), None), (text.into_bytes(), [0, 0]));
    }
    let unknown = format!("{{ a: '{OTHER}' }}");
    assert_eq!(withheld.put_back(unknown.as_bytes(), None), (unknown.into_bytes(), [1, 0]));
}

#[test]
fn without_encryption_every_value_that_openclaw_calls_a_secret_is_withheld() {
    let (_state, withheld) = withheld(true);
    let text = r#"{
        channels: { telegram: { botToken: "secret-1" }, slack: [{ signingSecret: "secret-2" }] },
        models: { providers: { x: { apiKey: "secret-3", headers: { "X-Any": "secret-4" }, maxTokens: "100", contextTokens: "200" } } },
        mcp: { servers: { y: { env: { ANYTHING: "secret-5" }, command: "npx", url: "https://u:secret-6@h/p" } } },
        gateway: { auth: { password: "secret-7", mode: "password" } },
        google: { serviceAccount: { type: "secret-8", lines: ["secret-9"] } },
        tls: { key: "secret-10" }, web: "https://h/?token=secret-11&x=1",
        kept: { token: "${TOKEN}", apiKey: { source: "env", provider: "default", id: "API_KEY" } },
        port: 1, sessionKey: "plain",
    }"#;
    let stored = replaced(&withheld, text);
    assert!(!stored.contains("secret-"), "{stored}");
    for kept in ["\"100\"", "\"200\"", "npx", "${TOKEN}", "API_KEY", "mode: \"password\"", "plain"]
    {
        assert!(stored.contains(kept), "{kept}: {stored}");
    }
    assert!(json5::parse(&stored).is_ok());
    // What is here now comes back, each where it was.
    let now = text.replace("secret-", "newer-");
    let (back, left) = withheld.put_back(stored.as_bytes(), Some(now.as_bytes()));
    assert_eq!((String::from_utf8(back).unwrap(), left), (now, [0, 0]));
    let (_, left) = withheld.put_back(stored.as_bytes(), None);
    assert_eq!(left, [0, 11]);
    // Beside a reference, or in what only looks like one, nothing is taken for its name.
    for text in [
        "{ x: { id: 'a', source: 'npm', apiKey: 'secret-1' } }",
        "{ apiKey: { id: 'A', source: 'env', provider: 'p', token: 'secret-1' } }",
        "{ env: { id: 'secret-1', source: 'secret-2' } }",
    ] {
        let stored = replaced(&withheld, text);
        assert!(!stored.contains("secret-"), "{stored}");
    }
    assert_eq!(withheld.content(b"{ broken: 'x'".to_vec(), Form::Config), Content::Unknown);
    let empty = b"{ broken".to_vec();
    assert_eq!(withheld.content(empty.clone(), Form::Config), Content::AsItIs(empty));
}

#[test]
fn the_print_tells_of_a_change_and_of_nothing_else() {
    let state = tempfile::tempdir().unwrap();
    let print = |key: &str| {
        let key = Secret::new(key.to_owned());
        let secrets = OwnSecrets { application_key: Some(&key), ..OwnSecrets::default() };
        Withheld::new(state.path(), None, secrets, false, crate::crypto::sha256).unwrap().print()
    };
    assert_eq!(print("a"), print("a"));
    assert_ne!(print("a"), print("b"));
}

#[test]
fn every_field_of_a_name_and_every_comment_is_looked_at() {
    let (_state, withheld) = withheld(true);
    let text = r#"{
        // "botToken": "secret-1", was it
        channels: { telegram: { botToken: "secret-2", /* token = secret-3 */ botToken: "secret-4" } },
        env: {
            // FOO: 'secret-5',
            // BAR: `secret-6`
            A: "secret-7", 'A': "secret-8", // at https://u:secret-9@h/x
        },
        channels: { telegram: { botToken: "secret-a" }, slack: { webhookUrl: "https://example.org/secret-b" } },
        // hooks: {
        //   url: "https://hooks.slack.com/services/T/B/secret-c", tokens: ["kept-1"],
        //   secrets: ["secret-d",
        //     'secret-e'],
        // }, maxTokens: 5, mode: "kept-2" and what isn't: "kept-3"
        apiKey: { source: "env", id: "secret-f", id: "NAME" },
        plugins: { entries: { "b2-backup": { config: { healthcheckUrl: "https://example.org/secret-g" } } } },
    }"#;
    let stored = replaced(&withheld, text);
    assert!(!stored.contains("secret-"), "{stored}");
    for kept in ["was it", "kept-1", "kept-2", "kept-3", "maxTokens: 5", "// at "] {
        assert!(stored.contains(kept), "{kept}: {stored}");
    }
    assert!(json5::parse(&stored).is_ok());
    // What is here now comes back, each where it was.
    let now = text.replace("secret-", "newer-");
    let (back, left) = withheld.put_back(stored.as_bytes(), Some(now.as_bytes()));
    assert_eq!((String::from_utf8(back).unwrap(), left), (now, [0, 0]));
}

#[test]
fn our_own_secrets_of_before_are_found_wherever_they_stand() {
    let (_state, withheld) = withheld(false);
    for text in [
        r#"{ plugins: { entries: { "b2-backup": { config: { passphrase: "before", passphrase: 'tiny "one"' } } } } }"#,
        r#"{ plugins: { entries: { "b2-backup": { config: { passphrase: "before" } }, "b2-backup": {} } } }"#,
        r#"{ plugins: { entries: { "b2-backup": { config: { // "passphrase": "before",
            } } } } }"#,
        "{} /* passphrase: before and after */",
        "{} // B2_APPLICATION_KEY=before",
        r#"{ plugins: { entries: { "b2-backup": { config: { "recoveryCode": "before", broken "#,
    ] {
        let stored = replaced(&withheld, text);
        assert!(!stored.contains("before"), "{stored}");
    }
    // Others keep theirs, and so does what names one.
    for text in [
        r#"{ // botToken: "x", keyFile: "y"
        }"#,
        r#"{ // passphrase: { source: "env", id: "X" }, or passphrase: "${PASS}"
        }"#,
    ] {
        assert_eq!(
            withheld.content(text.into(), Form::Config),
            Content::AsItIs(text.into()),
            "{text}"
        );
    }
}

#[test]
fn what_is_no_text_is_left_out_when_it_has_our_secrets() {
    let (_state, withheld) = withheld(false);
    let text = format!("{{ a: '{KEY}', b: 'ü' }}");
    let escaped = format!("{{ a: \"{}\" }}", KEY.replace('/', "\\/"));
    for text in [&text, &escaped] {
        for unit in [u16::to_le_bytes, u16::to_be_bytes] {
            let wide: Vec<u8> = text.encode_utf16().flat_map(unit).collect();
            for start in [&b""[..], &[0xff, 0xfe], &[0xfe, 0xff], &[0]] {
                let bytes = [start, &wide].concat();
                assert_eq!(withheld.content(bytes.clone(), Form::Config), Content::Binary);
                assert_eq!(withheld.content(bytes, Form::Other), Content::Binary);
            }
        }
    }
    let swap = [b"b0VIM 9.1\0\0", text.as_bytes(), b"\0"].concat();
    assert_eq!(withheld.content(swap.clone(), Form::Config), Content::Binary);
    assert!(matches!(withheld.content(swap, Form::Log), Content::Replaced(_)));
    let other = b"b0VIM\0 { a: 'b' }".to_vec();
    assert_eq!(withheld.content(other.clone(), Form::Config), Content::AsItIs(other));
}

#[test]
fn logins_in_settings_of_git_are_withheld() {
    let (_state, withheld) = withheld(true);
    let text = "[remote \"origin\"]\n\turl = https://me:secret-1@example.org/x.git\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n[url \"https://x:secret-2@h/\"]\n\tinsteadOf = gh:\n[http]\n\textraheader = AUTHORIZATION: basic secret-3\n[credential]\n\tpassword = secret-4\n";
    let Content::Replaced(stored) = withheld.content(text.into(), Form::Git) else { panic!() };
    let stored = String::from_utf8(stored).unwrap();
    assert!(!stored.contains("secret-") && stored.contains("+refs/heads/*:refs"), "{stored}");
    assert_eq!(stored.lines().count(), text.lines().count());
    let now = text.replace("secret-", "newer-");
    let (back, left) = withheld.put_back(stored.as_bytes(), Some(now.as_bytes()));
    assert_eq!((String::from_utf8(back).unwrap(), left), (now, [0, 0]));
}
