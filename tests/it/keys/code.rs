//! Recovery codes: the way back when every other secret is lost.

use b2_backup::ops::{Mode, RollbackRequest, Session};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn the_bucket_and_a_code_are_enough() {
    let (dir, machine, store) = machine();
    let before = (push(&machine).await, picture(live(&machine)));
    let made = recovery(&machine).await;
    assert_eq!((made.added.slots.len(), made.added.slots[0].kind), (1, "recovery-code"));
    let after = day(&machine, 1).await;
    assert_eq!(in_manifest(&store, &before.0), ["application-key"]);
    assert_eq!(in_manifest(&store, &after.0), ["application-key", "recovery-code"]);

    let blank = stranger(&machine, &dir.path().join("blank"));
    for snapshot in [&before, &after] {
        assert_eq!(refused(&blank, snapshot).await, "B2_WRONG_KEY");
    }
    let listed = blank.list().await.snapshots;
    assert!(listed.iter().all(|one| one.problem_code == Some("B2_WRONG_KEY")), "{listed:?}");
    // As somebody types it who has it on paper.
    let typed = made.code.expose().to_lowercase().replace('-', " ");
    let reader = with_code(&blank, &typed);
    for snapshot in [&before, &after] {
        comes_back(&reader, snapshot).await;
    }
    assert!(reader.list().await.snapshots.iter().all(|one| one.authenticated));
    assert!(!live(&reader).exists(), "reading leaves nothing behind");
    // Another code is another secret.
    let (_other_dir, other, _) = super::machine();
    push(&other).await;
    let wrong = with_code(&blank, recovery(&other).await.code.expose());
    assert_eq!(refused(&wrong, &after).await, "B2_WRONG_KEY");
    // A code that came later takes nothing from an earlier one.
    recovery(&machine).await;
    comes_back(&reader, &before).await;

    // The slots in the manifests are enough where `keys/` was lost.
    for name in slots(&store) {
        store.raw_remove(&format!("keys/{name}"));
    }
    comes_back(&reader, &after).await;
    assert_eq!(refused(&reader, &before).await, "B2_WRONG_KEY");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistyped_code_is_refused_before_anything_is_tried() {
    let (_dir, machine, store) = machine();
    push(&machine).await;
    let mut code = recovery(&machine).await.code.expose().to_owned();
    let other = if code.remove(13) == '7' { '8' } else { '7' };
    code.insert(13, other);
    store.clear_calls();
    let error = Session::open(with_code(&machine, &code).settings, machine.ambient()).await;
    let error = error.unwrap_err();
    assert_eq!(error.code(), "B2_RECOVERY_CODE");
    assert_eq!(error.to_string(), "the recovery code is mistyped: group 3 is mistyped");
    assert_eq!(store.calls(), []);
}

/// A new machine rolls its empty state back to what the old one had. From then on it is one of the repository's.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_machine_goes_on_in_the_same_repository() {
    let (dir, machine, store) = machine();
    let old = (push(&machine).await, picture(live(&machine)));
    let code = recovery(&machine).await.code;
    let new = stranger(&machine, &dir.path().join("new"));
    fs::create_dir_all(live(&new)).unwrap();
    let request = RollbackRequest {
        snapshot: "latest".into(),
        paths: vec![],
        mode: Mode::Overlay,
        partial: false,
        allow_unauthenticated: false,
    };
    let locked = ops::plan_rollback(&new.session().await, &request).await.unwrap_err();
    assert_eq!(locked.code(), "B2_WRONG_KEY");
    let session = with_code(&new, code.expose()).session().await;
    let plan = ops::plan_rollback(&session, &request).await.unwrap();
    let report = ops::roll_back(&session, &request, &plan.hash).await.unwrap();
    assert_eq!((report.outcome, &report.failed[..]), (ops::Outcome::Applied, &[][..]));
    let found = fs::read(live(&new).join("workspace/MEMORY.md")).unwrap();
    assert_eq!(found, fs::read(live(&machine).join("workspace/MEMORY.md")).unwrap());

    // Its own secret has a slot now: nobody needs the code any more.
    let next = day(&new, 1).await;
    assert_eq!(repositories(&store).len(), 1);
    let blank = stranger(&machine, &dir.path().join("blank"));
    comes_back(&blank, &next).await;
    comes_back(&blank, &old).await;
    assert_eq!(warned(&new).await, Vec::<String>::new());
    // Its manifests carry the code's slot, which was made elsewhere.
    assert!(in_manifest(&store, &next.0).contains(&"recovery-code"));
}

/// Where a machine has a repository of its own already, a code does not take it out of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_code_does_not_take_a_machine_away_from_its_repository() {
    let (dir, machine, store) = machine();
    push(&machine).await;
    let code = recovery(&machine).await.code;
    let other = stranger(&machine, &dir.path().join("other"));
    first_day(live(&other));
    push(&other).await;
    fs::remove_dir_all(live(&other).join("b2-backup")).unwrap();
    let own = day(&with_code(&other, code.expose()), 1).await;
    comes_back(&stranger(&machine, &dir.path().join("blank")), &own).await;
    assert_eq!(repositories(&store).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn there_has_to_be_something_to_recover() {
    let (dir, machine, _store) = machine();
    let session = machine.session().await;
    let error = ops::new_recovery_code(&session, Duration::ZERO).await.unwrap_err();
    assert_eq!(error.code(), "B2_KEY_SLOT");
    assert!(error.to_string().contains("b2-backup push"), "{error}");
    push(&machine).await;
    let blank = stranger(&machine, &dir.path().join("blank"));
    let error = ops::new_recovery_code(&blank.session().await, Duration::ZERO).await.unwrap_err();
    assert_eq!(error.code(), "B2_WRONG_KEY");
    // While a push runs the slots stand still.
    let lock = b2_backup::local::Local::at(live(&machine)).lock().unwrap();
    let error = ops::new_recovery_code(&session, Duration::ZERO).await.unwrap_err();
    assert_eq!(error.code(), "B2_LOCKED");
    drop(lock);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passphrase_gets_a_slot_without_being_configured() {
    let (dir, machine, _store) = machine();
    let first = (push(&machine).await, picture(live(&machine)));
    let session = machine.session().await;
    let key = ops::NewKey::Passphrase(Secret::new("typed phrase".into()));
    let added = ops::add_key(&session, &key, Duration::ZERO).await.unwrap();
    assert_eq!((added.slots.len(), added.slots[0].kind), (1, "passphrase"));
    assert_eq!(ops::add_key(&session, &key, Duration::ZERO).await.unwrap().slots, []);
    let mut blank = stranger(&machine, &dir.path().join("blank"));
    blank.settings.passphrase = secret("typed phrase");
    comes_back(&blank, &first).await;
    for (key, field) in [
        (ops::NewKey::Passphrase(Secret::new(String::new())), "passphrase"),
        (ops::NewKey::ApplicationKey, "applicationKey"),
    ] {
        let mut none = machine.clone();
        none.settings.store.application_key = None;
        let error = ops::add_key(&none.session().await, &key, Duration::ZERO).await.unwrap_err();
        assert!(error.to_string().contains(field), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_in_no_text_and_no_object() {
    let (dir, machine, store) = machine();
    push(&machine).await;
    let made = recovery(&machine).await;
    let shown = made.code.expose().to_owned();
    let plain = shown.replace('-', "");
    let reader = with_code(&machine, &shown);
    let session = reader.session().await;
    let stray = with_code(&stranger(&machine, &dir.path().join("stray")), &shown);
    let first_day_elsewhere = live(&stray).to_owned();
    first_day(&first_day_elsewhere);
    let mut texts = vec![
        format!("{made:?} {made:#?}"),
        format!("{:?} {session:?} {session:#?}", reader.settings),
        format!("{:?}", ops::keys(&session).await.unwrap()),
        format!("{:?}", stray.push().await.unwrap()),
        // Put where the id of a slot belongs.
        format!("{:?}", remove(&machine, &shown, false).await.unwrap_err()),
        remove(&machine, &plain, false).await.unwrap_err().to_string(),
    ];
    for typed in [shown[1..].to_owned(), shown.replace('-', "!"), format!("{shown}0")] {
        let error = Session::open(with_code(&machine, &typed).settings, machine.ambient()).await;
        texts.push(format!("{0} {0:?}", error.unwrap_err()));
    }
    let mut places: Vec<(String, Vec<u8>)> =
        store.objects().into_iter().map(|(name, body)| (name, body.to_vec())).collect();
    places.extend(texts.into_iter().map(|text| (text.clone(), text.into_bytes())));
    for machine in [&machine, &stray] {
        let folder = fs::read_dir(local_file(machine, "key").parent().unwrap()).unwrap();
        for file in folder.map(|file| file.unwrap().path()).filter(|path| path.is_file()) {
            places.push((file.display().to_string(), fs::read(file).unwrap()));
        }
    }
    // Every single group of it would be a loss.
    for (place, bytes) in places {
        for part in shown.split('-').chain([&plain[..], &shown[..]]) {
            let found = bytes.windows(part.len()).any(|window| window == part.as_bytes());
            assert!(!found, "{part} in {place}");
        }
    }
}
