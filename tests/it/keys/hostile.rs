//! Slots that somebody else put there.

use b2_backup::crypto::{MasterKey, sha256};
use b2_backup::format::{Header, ObjectKind, SecretKind};
use b2_backup::ops::{DoctorOptions, Level};
use b2_backup::repo::{KeyRing, Secrets};
use minicbor::Encoder;

use super::*;

/// A slot that opens with nothing, of any cost.
fn junk(number: u32, repository: RepositoryId, kind: u8, (log_n, r, p): (u8, u32, u32)) -> Vec<u8> {
    let salt = sha256(&number.to_le_bytes());
    let header = Header::new(ObjectKind::Slot, true, repository, salt, [7; 32]);
    let mut wire = Encoder::new(Vec::new());
    wire.map(7).unwrap().u8(0).unwrap().u8(kind).unwrap().u8(1).unwrap().u8(log_n).unwrap();
    wire.u8(2).unwrap().u32(r).unwrap().u8(3).unwrap().u32(p).unwrap();
    // Newer than all others, if one believes it.
    wire.u8(4).unwrap().i64(4_000_000_000 + i64::from(number)).unwrap();
    wire.u8(5).unwrap().bytes(&[0; 48]).unwrap();
    wire.u8(6).unwrap().str("p").unwrap();
    [header.encode().to_vec(), wire.into_writer()].concat()
}

/// The least that is allowed: tries are counted, not timed.
const CHEAP: (u8, u32, u32) = (14, 1, 1);

fn name(number: u32) -> String {
    format!("keys/{number:032x}")
}

#[tokio::test(flavor = "multi_thread")]
async fn costs_beyond_the_bounds_are_refused_at_once() {
    let (dir, machine, store) = machine();
    let snapshot = (push(&machine).await, picture(live(&machine)));
    let repository = *repositories(&store).first().unwrap();
    // 64 GiB, more than there are bits, and hours of work.
    let costs = [(26, 8, 1), (63, 8, 1), (17, u32::MAX, 1), (17, 8, u32::MAX), (255, 0, 0)];
    for (number, cost) in (0..).zip(costs) {
        let slot = junk(number, repository, 0, cost);
        assert_eq!(KeySlot::decode(&slot).unwrap().work(), None, "{cost:?}");
        store.raw_replace(&name(number), slot);
    }
    let blank = machine.blank(dir.path().join("blank"));
    comes_back(&blank, &snapshot).await;
    let listed = keys(&blank).await;
    assert_eq!(listed.iter().filter(|key| key.opens == Some(true)).count(), 1);
    assert_eq!(listed.iter().filter(|key| key.opens == Some(false)).count(), costs.len());
    // A machine that has to find its key among them does.
    fs::remove_dir_all(live(&machine).join("b2-backup")).unwrap();
    day(&machine, 1).await;
    assert_eq!(repositories(&store).len(), 1);
}

/// What the doctor says of the key slots, and whether it names those that cannot be read.
async fn by_doctor(machine: &Machine) -> (Vec<Level>, bool) {
    let options = DoctorOptions::default();
    let report = ops::doctor(machine.settings.clone(), machine.ambient(), options).await;
    let findings = report.unwrap().findings.into_iter();
    let keys: Vec<_> = findings.filter(|finding| finding.check == "keys").collect();
    let named = keys.last().unwrap().message.contains("cannot be read as key slots");
    (keys.iter().map(|finding| finding.level).collect(), named)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_only_slot_that_is_damaged_is_named() {
    let (dir, machine, store) = machine();
    let first = (push(&machine).await, picture(live(&machine)));
    assert_eq!(by_doctor(&machine).await, (vec![Level::Ok], false));
    for slot in slots(&store) {
        store.raw_replace(&format!("keys/{slot}"), &b"damaged"[..]);
    }
    assert_eq!(by_doctor(&machine).await, (vec![Level::Note], true));
    comes_back(&machine.blank(dir.path().join("blank")), &first).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_slots_are_passed_over() {
    let (dir, machine, store) = machine();
    let first = (push(&machine).await, picture(live(&machine)));
    let good = slots(&store).first().cloned().unwrap();
    let whole = store.raw_read(&format!("keys/{good}")).unwrap();
    let mut flipped = whole.to_vec();
    flipped[100] ^= 1;
    let mut sealed = whole.to_vec();
    *sealed.last_mut().unwrap() ^= 1;
    let manifest = store.raw_read(&format!("{}/manifest", first.0)).unwrap();
    let large = vec![0; 1 << 20];
    let kinds: Vec<Vec<u8>> = vec![
        vec![],
        whole[..95].to_vec(),
        whole[..150].to_vec(),
        flipped,
        sealed,
        manifest.to_vec(),
        large,
    ];
    for (number, bytes) in (0..).zip(kinds) {
        store.raw_replace(&name(number), bytes);
    }
    store.raw_replace("keys/not-a-slot", &b"x"[..]);
    store.raw_replace("keys/deeper/0123456789abcdef0123456789abcdef", whole.clone());
    comes_back(&machine.blank(dir.path().join("blank")), &first).await;
    assert_eq!(by_doctor(&machine).await, (vec![Level::Ok, Level::Note], true));
    fs::remove_dir_all(live(&machine).join("b2-backup")).unwrap();
    day(&machine, 1).await;
    let report = ops::keys(&machine.session().await).await.unwrap();
    assert!(report.slots.iter().any(|key| key.id == good && key.opens == Some(true)));
    assert!(report.warnings[0].contains("cannot be read as key slots"), "{:?}", report.warnings);
}

/// At most 16 are tried for one manifest, and no more than 256 in all, however many there are.
#[tokio::test(flavor = "multi_thread")]
async fn many_slots_are_bounded() {
    let (repository, master) = (RepositoryId([1; 16]), MasterKey::new([2; 32]));
    let kind = SecretKind::Passphrase;
    let real = KeySlot::seal(&master, (repository, "p"), "phrase", kind, [3; 32], 0).unwrap();
    let decoy = |number| KeySlot::decode(&junk(number, repository, 1, CHEAP)).unwrap();
    let ring = || {
        let secrets = Secrets { passphrase: secret("phrase"), ..Secrets::default() };
        KeyRing::new(secrets, machine().1.ambient().cpu).below("p", None)
    };
    // The newest is tried first.
    for (decoys, opens) in [(15, true), (16, false)] {
        let all: Vec<KeySlot> = [real.clone()].into_iter().chain((0..decoys).map(decoy)).collect();
        let key = ring().unlock(repository, true, &all).await.unwrap();
        assert_eq!(key.is_some(), opens, "{decoys}");
    }
    // The one that was not reached is tried when asked for again: it has not been found wanting.
    let ring_of_two = ring();
    let all: Vec<KeySlot> = [real.clone()].into_iter().chain((0..16).map(decoy)).collect();
    assert!(ring_of_two.unlock(repository, true, &all).await.unwrap().is_none());
    assert!(ring_of_two.unlock(repository, true, &all).await.unwrap().is_some());

    // Manifest after manifest of them.
    let tired = ring();
    for manifest in 0..16 {
        let all: Vec<KeySlot> =
            (0..16).map(|number| decoy(1000 + manifest * 16 + number)).collect();
        assert!(tired.unlock(repository, true, &all).await.unwrap().is_none());
    }
    assert!(tired.unlock(repository, true, &[real]).await.unwrap().is_none(), "enough was tried");
    assert_eq!(tired.opens(&decoy(9999)).await.unwrap(), None);
}

/// Whoever may write to the bucket puts slots of this very repository there. A machine takes note of them, but its
/// manifests keep what it knows to be good, and only some of the rest.
#[tokio::test(flavor = "multi_thread")]
async fn slots_of_others_do_not_push_out_our_own() {
    let (dir, machine, store) = machine();
    push(&machine).await;
    let code = recovery(&machine).await.code;
    let repository = *repositories(&store).first().unwrap();
    for number in 0..100 {
        store.raw_replace(&name(number), junk(number, repository, (number % 3) as u8, CHEAP));
    }
    let snapshot = day(&machine, 1).await;
    let carried = in_manifest(&store, &snapshot.0);
    assert_eq!(carried.len(), 16 + 2);
    assert_eq!(carried[16..], ["application-key", "recovery-code"]);
    for name in slots(&store) {
        store.raw_remove(&format!("keys/{name}"));
    }
    let blank = machine.blank(dir.path().join("blank"));
    comes_back(&blank, &snapshot).await;
    comes_back(&with_code(&stranger(&machine, live(&blank)), code.expose()), &snapshot).await;
}
