//! One life: some machines, a bucket, and what happens to them day by day.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use b2_backup::ambient::{Clock, Entropy};
use b2_backup::cpu::CpuPool;
use b2_backup::error::{Error, Result};
use b2_backup::format::{Reason, SnapshotId};
use b2_backup::ops::{self, Ambient, Keep, PruneOptions, Session};
use b2_backup::repo::{KeyRing, Secrets, Snapshot};
use b2_backup::secret::Secret;
use b2_backup::store::ObjectStore;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use tempfile::TempDir;

use crate::bucket::{Bucket, Way};
use crate::calendar::{Calendar, DAY, HOUR};
use crate::machine::{Machine, push_options, restore_with};
use crate::plain::{Picture, copy_all, noise, picture};
use crate::rng::Rng;

static PUSHES: AtomicU64 = AtomicU64::new(0);
static SNAPSHOTS: AtomicU64 = AtomicU64::new(0);
static DELETED: AtomicU64 = AtomicU64::new(0);
static PACKS: AtomicU64 = AtomicU64::new(0);
static FAILED: AtomicU64 = AtomicU64::new(0);
/// In thousandths of what is needed.
static WORST: AtomicU64 = AtomicU64::new(0);

/// What all lives came to.
pub(crate) fn sums() -> String {
    let of = |sum: &AtomicU64| sum.load(Ordering::SeqCst);
    format!(
        "{} pushes made {} snapshots; {} of them and {} packs were deleted; {} operations failed; at most {}.{:03} \
         times the space that is needed was taken",
        of(&PUSHES),
        of(&SNAPSHOTS),
        of(&DELETED),
        of(&PACKS),
        of(&FAILED),
        of(&WORST) / 1000,
        of(&WORST) % 1000,
    )
}

/// Where states lie: nothing here tests a disk.
fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { TempDir::new_in(memory).unwrap() } else { TempDir::new().unwrap() }
}

/// Secrets that a machine rotates between.
const SECRETS: [&str; 2] = ["correct horse", "battery staple"];

/// A repository whose keys both secrets open, so that not every life has to stretch them.
pub(crate) struct Template {
    local: TempDir,
    keys: BTreeMap<String, Bytes>,
}

impl Template {
    pub(crate) async fn make() -> Self {
        let calendar = Calendar::start();
        let bucket = Bucket::new(calendar, true, 0);
        bucket.trouble.store(false, Ordering::SeqCst);
        let local = scratch();
        let state = local.path().join("state");
        fs::create_dir(&state).unwrap();
        for secret in SECRETS {
            fs::write(state.join("openclaw.json"), secret).unwrap();
            let way = Way::new(bucket.clone(), Arc::default(), u64::MAX);
            let mut machine = Machine::new(&state, way);
            machine.settings.passphrase = Some(Secret::new(secret.into()));
            machine.push().await.unwrap();
        }
        let keys = bucket.store.objects().into_iter().filter(|(key, _)| key.starts_with("keys/"));
        let keys: BTreeMap<_, _> = keys.collect();
        assert_eq!(keys.len(), 2);
        for repository in fs::read_dir(state.join("b2-backup/repositories")).unwrap() {
            let repository = repository.unwrap().path();
            for made in ["newest", "files"] {
                fs::remove_file(repository.join(made)).unwrap();
            }
        }
        fs::remove_file(state.join("b2-backup/machine")).unwrap();
        Self { local, keys }
    }

    /// Gives a machine the keys, as if it had opened them before.
    fn give_keys(&self, state: &Path) {
        fs::create_dir_all(state).unwrap();
        copy_all(&self.local.path().join("state/b2-backup"), &state.join("b2-backup"));
    }
}

/// A machine's own clock, ahead of the server's by some seconds.
#[derive(Debug)]
struct Watch {
    calendar: Arc<Calendar>,
    ahead: Arc<AtomicI64>,
}

impl Clock for Watch {
    fn now(&self) -> SystemTime {
        let seconds = self.calendar.seconds() + self.ahead.load(Ordering::SeqCst);
        UNIX_EPOCH + Duration::from_secs(seconds.unsigned_abs())
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// Randomness that can be had again.
#[derive(Debug)]
struct Dice(Mutex<Rng>);

impl Entropy for Dice {
    fn fill(&self, buffer: &mut [u8]) -> Result<()> {
        let mut rng = self.0.lock().unwrap();
        for some in buffer.chunks_mut(8) {
            let bytes = rng.next().to_le_bytes();
            some.copy_from_slice(&bytes[..some.len()]);
        }
        Ok(())
    }
}

struct Being {
    state: PathBuf,
    ahead: Arc<AtomicI64>,
    keep: Keep,
    secret: usize,
}

/// What a snapshot needs, byte for byte.
struct Needs {
    manifest: Bytes,
    packs: BTreeMap<String, Bytes>,
}

pub(crate) struct Life {
    rng: Rng,
    dir: TempDir,
    template: Arc<Template>,
    bucket: Arc<Bucket>,
    sealed: bool,
    beings: Vec<Being>,
    /// Every state that was ever pushed.
    pictures: Vec<Picture>,
    known: BTreeMap<String, Needs>,
    reader: Session,
    cpu: CpuPool,
    copies: u64,
    story: String,
}

impl Life {
    pub(crate) async fn live(template: Arc<Template>, seed: u64, days: u64) {
        let mut life = Self::new(template, seed).await;
        let end = life.bucket.calendar.seconds() + i64::try_from(days).unwrap() * DAY;
        let clone_at =
            life.bucket.calendar.seconds() + i64::try_from(life.rng.below(days)).unwrap() * DAY;
        let mut cloned = false;
        while life.bucket.calendar.seconds() < end {
            let hours = 4 + i64::try_from(life.rng.below(40)).unwrap();
            life.bucket.calendar.pass(hours * HOUR);
            let freeze = life.rng.chance(30);
            life.bucket.settle(freeze).await;
            if !cloned && life.bucket.calendar.seconds() > clone_at {
                life.clone_one();
                cloned = true;
            }
            life.step().await;
            life.check().await;
        }
        life.end().await;
    }

    async fn new(template: Arc<Template>, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let dir = scratch();
        let calendar = Calendar::start();
        let bucket = Bucket::new(calendar, rng.chance(60), rng.next());
        let sealed = rng.chance(40);
        let reader_state = dir.path().join("reader");
        if sealed {
            template.give_keys(&reader_state);
            for (key, body) in &template.keys {
                bucket.store.raw_replace(key, body.clone());
            }
        }
        let mut reader = Machine::new(&reader_state, Arc::new(Truth(bucket.clone())));
        reader.settings.encrypt = sealed;
        let reader = reader.session().await;
        let mut life = Self {
            rng,
            dir,
            template,
            bucket,
            sealed,
            beings: Vec::new(),
            pictures: Vec::new(),
            known: BTreeMap::new(),
            reader,
            cpu: CpuPool::new(1).unwrap(),
            copies: 0,
            story: String::new(),
        };
        for _ in 0..3 {
            let state = life.folder();
            if sealed {
                life.template.give_keys(&state);
            }
            fs::create_dir_all(state.join("workspace")).unwrap();
            life.add(state);
        }
        life
    }

    fn folder(&mut self) -> PathBuf {
        self.copies += 1;
        self.dir.path().join(format!("state-{}", self.copies))
    }

    fn add(&mut self, state: PathBuf) {
        let rng = &mut self.rng;
        let mut some = |low: u64, range: u64| u32::try_from(low + rng.below(range)).unwrap();
        let keep = Keep::new(some(1, 4), some(0, 4), some(0, 3)).unwrap();
        let ahead = i64::from(some(0, 7200)) - 3600;
        self.beings.push(Being { state, ahead: Arc::new(AtomicI64::new(ahead)), keep, secret: 0 });
        self.change(self.beings.len() - 1);
    }

    /// The state is copied with all that the machine knows of itself, and both go on.
    fn clone_one(&mut self) {
        let from = usize::try_from(self.rng.below(3)).unwrap();
        let to = self.folder();
        copy_all(&self.beings[from].state, &to);
        let (keep, secret) = (self.beings[from].keep, self.beings[from].secret);
        self.add(to);
        let last = self.beings.last_mut().unwrap();
        (last.keep, last.secret) = (keep, secret);
        self.tell(&format!("machine {from} is cloned"));
    }

    fn tell(&mut self, what: &str) {
        let hours = (self.bucket.calendar.seconds() - crate::calendar::START) / HOUR;
        writeln!(self.story, "day {} hour {}: {what}", hours / 24, hours % 24).unwrap();
    }

    fn change(&mut self, who: usize) {
        let workspace = self.beings[who].state.join("workspace");
        for _ in 0..=self.rng.below(3) {
            let path = workspace.join(format!("{}.md", self.rng.below(7)));
            match self.rng.below(5) {
                0 => drop(fs::remove_file(path)),
                1 => {
                    let mut old = fs::read(&path).unwrap_or_default();
                    old.extend(noise(self.rng.next(), 100));
                    fs::write(path, old).unwrap();
                }
                _ => {
                    let length = usize::try_from(50 + self.rng.below(3000)).unwrap();
                    fs::write(path, noise(self.rng.next(), length)).unwrap();
                }
            }
        }
    }

    fn machine(&self, who: usize, hangs_after: u64) -> (Machine, Arc<Way>) {
        let being = &self.beings[who];
        let way = Way::new(self.bucket.clone(), being.ahead.clone(), hangs_after);
        let mut machine = Machine::new(&being.state, way.clone());
        machine.settings.encrypt = self.sealed;
        machine.settings.passphrase = Some(Secret::new(SECRETS[being.secret].into()));
        let (calendar, ahead) = (self.bucket.calendar.clone(), being.ahead.clone());
        machine.clock = Arc::new(Watch { calendar, ahead });
        (machine, way)
    }

    fn ambient(&mut self, machine: &Machine) -> Ambient {
        let entropy = Arc::new(Dice(Mutex::new(Rng::new(self.rng.next()))));
        Ambient {
            clock: machine.clock.clone(),
            entropy,
            cpu: self.cpu.clone(),
            cancel: machine.cancel.clone(),
            progress: machine.progress.clone(),
            store: Some(machine.store.clone()),
            steps: machine.steps.clone(),
        }
    }

    async fn step(&mut self) {
        let who = usize::try_from(self.rng.below(self.beings.len() as u64)).unwrap();
        match self.rng.below(100) {
            0..45 => {
                self.change(who);
                self.push(who, Reason::Scheduled, u64::MAX).await;
            }
            45..48 => self.push(who, Reason::Scheduled, u64::MAX).await,
            48..50 => {
                self.change(who);
                self.push(who, Reason::Safety, u64::MAX).await;
            }
            50..60 => {
                self.change(who);
                let requests = self.rng.below(6);
                self.push(who, Reason::Scheduled, requests).await;
            }
            60..65 => self.sleep(who).await,
            65..82 => self.prune(who, u64::MAX).await,
            82..88 => {
                let requests = self.rng.below(25);
                self.prune(who, requests).await;
            }
            88..91 => self.restore().await,
            91..95 => {
                self.beings[who].secret ^= 1;
                self.tell(&format!("machine {who} has another secret"));
            }
            95..99 => {
                let ahead = i64::try_from(self.rng.below(800)).unwrap() * HOUR - 400 * HOUR;
                self.beings[who].ahead.store(ahead, Ordering::SeqCst);
                self.tell(&format!("machine {who}'s clock is {} h ahead", ahead / HOUR));
            }
            // In encrypted lives every secret would have to be stretched again.
            _ if !self.sealed => {
                drop(fs::remove_dir_all(self.beings[who].state.join("b2-backup")));
                self.tell(&format!("machine {who} forgets who it is"));
            }
            _ => {}
        }
    }

    /// A push is cut off in the middle, and days pass in which somebody prunes.
    async fn sleep(&mut self, who: usize) {
        self.change(who);
        let requests = 2 + self.rng.below(3);
        self.push(who, Reason::Scheduled, requests).await;
        for _ in 0..3 {
            self.bucket.calendar.pass(30 * HOUR);
            self.bucket.settle(false).await;
            let pruner = usize::try_from(self.rng.below(self.beings.len() as u64)).unwrap();
            self.prune(pruner, u64::MAX).await;
            self.prune(who, u64::MAX).await;
            self.check().await;
        }
    }

    async fn push(&mut self, who: usize, reason: Reason, hangs_after: u64) {
        self.pictures.push(picture(&self.beings[who].state));
        PUSHES.fetch_add(1, Ordering::SeqCst);
        let (machine, way) = self.machine(who, hangs_after);
        let ambient = self.ambient(&machine);
        let pushed = unless_it_hangs(&way, async move {
            let session = Session::open(machine.settings.clone(), ambient).await?;
            loop {
                // Threads of an operation that was killed let go of the lock a moment later.
                match ops::push(&session, push_options(reason)).await {
                    Err(Error::Locked { .. }) => tokio::task::yield_now().await,
                    done => return done,
                }
            }
        })
        .await;
        let told = match pushed {
            None => format!("is killed after {hangs_after} requests"),
            Some(Ok(report)) => format!("{:?} {:?}", report.snapshot, report.warnings),
            Some(Err(error)) => self.failed(&error),
        };
        self.tell(&format!("machine {who} pushes: {told}"));
    }

    fn failed(&self, error: &Error) -> String {
        FAILED.fetch_add(1, Ordering::SeqCst);
        let code = error.code();
        let expected = matches!(code, "B2_NETWORK" | "B2_PRUNE_STOPPED" | "B2_OBJECT_MISSING");
        assert!(expected, "{error} ({code})\n{}", self.story);
        format!("fails: {error}")
    }

    async fn prune(&mut self, who: usize, hangs_after: u64) {
        let options = PruneOptions {
            keep: self.beings[who].keep,
            dry_run: self.rng.chance(5),
            more_than_half: self.rng.chance(70),
            wait: Duration::ZERO,
        };
        let (machine, way) = self.machine(who, hangs_after);
        let ambient = self.ambient(&machine);
        let pruned = unless_it_hangs(&way, async move {
            let session = Session::open(machine.settings.clone(), ambient).await?;
            loop {
                match ops::prune(&session, options).await {
                    Err(Error::Locked { .. }) => tokio::task::yield_now().await,
                    done => return done,
                }
            }
        })
        .await;
        let told = match pruned {
            None => format!("is killed after {hangs_after} requests"),
            Some(Ok(report)) => {
                if !options.dry_run {
                    DELETED.fetch_add(report.deleted_snapshots, Ordering::SeqCst);
                    PACKS.fetch_add(report.deleted_packs, Ordering::SeqCst);
                }
                let (snapshots, packs) = (report.deleted_snapshots, report.deleted_packs);
                format!("-{snapshots} snapshots, -{packs} packs, {:?}", report.warnings)
            }
            Some(Err(error)) => self.failed(&error),
        };
        self.tell(&format!("machine {who} prunes: {told}"));
    }

    /// Any snapshot, on a machine that has nothing.
    async fn restore(&mut self) {
        let objects = self.bucket.store.objects();
        let all: Vec<&str> =
            objects.keys().filter_map(|key| key.strip_suffix("/manifest")).collect();
        if all.is_empty() {
            return;
        }
        let id = all[usize::try_from(self.rng.below(all.len() as u64)).unwrap()].to_owned();
        self.restores(&id).await;
        self.tell(&format!("{id} is restored"));
    }

    async fn restores(&mut self, id: &str) {
        let to = self.folder();
        let report = restore_with(&self.reader, id, &to).await;
        let report = report.unwrap_or_else(|error| panic!("{id}: {error}\n{}", self.story));
        assert_eq!(report.failed, [], "{id}\n{}", self.story);
        let restored = picture(&to);
        assert!(self.pictures.contains(&restored), "{id} is no state that was\n{}", self.story);
        fs::remove_dir_all(to).unwrap();
    }

    /// Every snapshot in the bucket is whole.
    async fn check(&mut self) {
        let objects = self.bucket.store.objects();
        let manifests = objects.iter().filter_map(|(key, body)| {
            let id = key.strip_suffix("/manifest")?;
            Some((id.to_owned(), body.clone()))
        });
        let listed: BTreeMap<String, Bytes> = manifests.collect();
        for (id, manifest) in &listed {
            if !self.known.contains_key(id) {
                let needs = self.needs(id, manifest, &objects).await;
                self.known.insert(id.clone(), needs);
                self.restores(id).await;
                SNAPSHOTS.fetch_add(1, Ordering::SeqCst);
            }
            let needs = &self.known[id];
            assert!(needs.manifest == *manifest, "{id} is another\n{}", self.story);
            for (name, body) in &needs.packs {
                assert!(objects.get(name) == Some(body), "{id} lost {name}\n{}", self.story);
            }
        }
    }

    async fn opened(&self, id: &str, manifest: &Bytes) -> Snapshot {
        let ring = KeyRing::new(Secrets::default(), self.cpu.clone());
        let local = b2_backup::repo::Local::at(&self.dir.path().join("reader"));
        let local = local.repository("simulation", true);
        if let (Some(record), Some(key)) = (local.record().unwrap(), local.key().unwrap()) {
            ring.add(record.repository, key);
        }
        let id = SnapshotId::parse(id).unwrap();
        Snapshot::open(&ring, &id, manifest).await.unwrap()
    }

    async fn needs(&self, id: &str, manifest: &Bytes, objects: &BTreeMap<String, Bytes>) -> Needs {
        let snapshot = self.opened(id, manifest).await;
        let names =
            snapshot.manifest.packs.iter().map(|pack| pack.name.object(snapshot.id.machine));
        let packs = names.map(|name| match objects.get(&name) {
            Some(body) => (name, body.clone()),
            None => panic!("{id} never had {name}\n{}", self.story),
        });
        Needs { manifest: manifest.clone(), packs: packs.collect() }
    }

    /// The trouble is over. Everybody pushes and prunes until nothing waits: then all that is listed is restored,
    /// and hardly anything lies there that nobody needs.
    async fn end(&mut self) {
        self.bucket.trouble.store(false, Ordering::SeqCst);
        for being in &self.beings {
            being.ahead.store(0, Ordering::SeqCst);
        }
        for round in 0..5 {
            self.bucket.calendar.pass(5 * DAY);
            self.bucket.settle(false).await;
            for who in 0..self.beings.len() {
                // In the end only what waits its day has to go.
                if round < 4 {
                    self.change(who);
                    self.push(who, Reason::Scheduled, u64::MAX).await;
                    self.check().await;
                    self.bucket.calendar.pass(HOUR);
                }
                self.prune_all(who).await;
                self.check().await;
            }
        }
        let objects = self.bucket.store.objects();
        let listed: Vec<String> = self
            .known
            .keys()
            .filter(|id| objects.contains_key(&format!("{id}/manifest")))
            .cloned()
            .collect();
        for id in &listed {
            self.restores(id).await;
        }
        self.space(&listed, &objects).await;
    }

    async fn prune_all(&mut self, who: usize) {
        let all = PruneOptions {
            keep: self.beings[who].keep,
            dry_run: false,
            more_than_half: true,
            wait: Duration::ZERO,
        };
        let (machine, _) = self.machine(who, u64::MAX);
        let session = Session::open(machine.settings.clone(), self.ambient(&machine)).await;
        let session = session.unwrap();
        let report = loop {
            match ops::prune(&session, all).await {
                Err(Error::Locked { .. }) => tokio::task::yield_now().await,
                done => break done,
            }
        };
        let report = report.unwrap_or_else(|error| panic!("{error}\n{}", self.story));
        DELETED.fetch_add(report.deleted_snapshots, Ordering::SeqCst);
        PACKS.fetch_add(report.deleted_packs, Ordering::SeqCst);
    }

    /// Bytes of everything, all versions, against those that snapshots need: their manifests, and of their packs
    /// those frames that the one which uses most of it uses.
    async fn space(&self, listed: &[String], objects: &BTreeMap<String, Bytes>) {
        let mut needed: u64 = 0;
        let mut used: BTreeMap<String, u64> = BTreeMap::new();
        for id in listed {
            let snapshot = self.opened(id, &self.known[id].manifest).await;
            needed += self.known[id].manifest.len() as u64;
            for pack in &snapshot.manifest.packs {
                let bytes = pack.used_bytes + u64::from(pack.footer_bytes) + 96;
                let used = used.entry(pack.name.object(snapshot.id.machine)).or_default();
                *used = (*used).max(bytes);
            }
        }
        needed += used.values().sum::<u64>();
        needed += objects
            .iter()
            .filter(|(key, _)| key.starts_with("keys/"))
            .map(|(_, body)| body.len() as u64)
            .sum::<u64>();
        let versions = self.bucket.store.list_versions("").await.unwrap();
        let taken: u64 = versions.map_or_else(
            || objects.values().map(|body| body.len() as u64).sum(),
            |versions| versions.iter().map(|version| version.size).sum(),
        );
        WORST.fetch_max(taken * 1000 / needed, Ordering::SeqCst);
        let rubbish: BTreeSet<&String> = objects
            .keys()
            .filter(|key| key.starts_with("packs/") && !used.contains_key(*key))
            .collect();
        assert!(
            taken * 10 < needed * 18,
            "{taken} bytes for {needed}, {rubbish:?}\n{}",
            self.story
        );
    }
}

/// `None` when a request hangs: the operation is killed then.
async fn unless_it_hangs<T: Send + 'static>(
    way: &Way,
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Option<Result<T>> {
    let mut working = tokio::spawn(work);
    tokio::select! {
        done = &mut working => Some(done.unwrap()),
        () = way.hangs() => {
            working.abort();
            let _killed = working.await;
            None
        }
    }
}

/// The bucket as it is.
#[derive(Debug)]
struct Truth(Arc<Bucket>);

impl std::fmt::Debug for Bucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bucket(..)")
    }
}

#[async_trait::async_trait]
impl ObjectStore for Truth {
    fn identity(&self) -> String {
        "simulation".into()
    }
    async fn put(&self, key: &b2_backup::store::ObjectKey, body: Bytes) -> Result<()> {
        self.0.store.put(key, body).await
    }
    async fn get(&self, key: &b2_backup::store::ObjectKey, max_bytes: u64) -> Result<Bytes> {
        self.0.store.get(key, max_bytes).await
    }
    async fn get_version(
        &self,
        key: &b2_backup::store::ObjectKey,
        version: &str,
        max_bytes: u64,
    ) -> Result<Bytes> {
        self.0.store.get_version(key, version, max_bytes).await
    }
    async fn get_range(
        &self,
        key: &b2_backup::store::ObjectKey,
        start: u64,
        length: u64,
    ) -> Result<Bytes> {
        self.0.store.get_range(key, start, length).await
    }
    async fn list(&self, prefix: &str, delimited: bool) -> Result<b2_backup::store::Listing> {
        self.0.store.list(prefix, delimited).await
    }
    async fn list_versions(
        &self,
        prefix: &str,
    ) -> Result<Option<Vec<b2_backup::store::ObjectVersion>>> {
        self.0.store.list_versions(prefix).await
    }
    async fn delete(&self, key: &b2_backup::store::ObjectKey, version: Option<&str>) -> Result<()> {
        self.0.store.delete(key, version).await
    }
    fn server_offset_ms(&self) -> i64 {
        0
    }
    fn traffic(&self) -> b2_backup::store::Traffic {
        b2_backup::store::Traffic::default()
    }
}
