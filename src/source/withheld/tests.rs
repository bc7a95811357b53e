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
    match withheld.content(text.as_bytes().to_vec(), true) {
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
    assert_eq!(withheld.content(others.into(), true), Content::AsItIs(others.into()));
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
    assert_eq!(withheld.content(other.clone().into(), true), Content::AsItIs(other.into()));
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
    assert_eq!(withheld.content(b"{ broken: 'x'".to_vec(), true), Content::Unknown);
    let empty = b"{ broken".to_vec();
    assert_eq!(withheld.content(empty.clone(), true), Content::AsItIs(empty));
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
