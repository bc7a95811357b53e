//! One life: some machines, a bucket, and what happens to them day by day.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use b2_backup::cpu::CpuPool;
use b2_backup::format::Reason;
use b2_backup::ops::{Ambient, Keep, Session};
use b2_backup::secret::Secret;
use tempfile::TempDir;

use super::bucket::{Bucket, Way};
use super::checks::Needs;
use super::rng::Rng;
use super::senses::{Dice, Watch};
use super::template::{SECRETS, Template, scratch};
use super::truth::Truth;
use super::waste::Waste;
use crate::support::calendar::{Calendar, DAY, HOUR};
use crate::support::machine::Machine;
use crate::support::plain::{Picture, copy_all, noise};

pub(crate) struct Being {
    pub(crate) state: PathBuf,
    pub(crate) ahead: Arc<AtomicI64>,
    pub(crate) keep: Keep,
    secret: usize,
}

pub(crate) struct Life {
    pub(crate) rng: Rng,
    pub(crate) dir: TempDir,
    template: Arc<Template>,
    pub(crate) bucket: Arc<Bucket>,
    pub(crate) sealed: bool,
    pub(crate) beings: Vec<Being>,
    /// Every state that was ever pushed.
    pub(crate) pictures: Vec<Picture>,
    pub(crate) known: BTreeMap<String, Needs>,
    /// Packs of known snapshots that are gone.
    pub(crate) gone: BTreeSet<String>,
    pub(crate) waste: Waste,
    pub(crate) reader: Session,
    pub(crate) cpu: CpuPool,
    copies: u64,
    pub(crate) story: String,
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
                life.clone_one().await;
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
            gone: BTreeSet::new(),
            waste: Waste::default(),
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
            // A first push of nothing is refused.
            fs::write(state.join("openclaw.json"), "{}").unwrap();
            life.add(state);
        }
        life
    }

    pub(crate) fn folder(&mut self) -> PathBuf {
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
    async fn clone_one(&mut self) {
        let from = usize::try_from(self.rng.below(3)).unwrap();
        let to = self.folder();
        copy_all(&self.beings[from].state, &to);
        let (keep, secret) = (self.beings[from].keep, self.beings[from].secret);
        self.add(to);
        let last = self.beings.last_mut().unwrap();
        (last.keep, last.secret) = (keep, secret);
        self.tell(&format!("machine {from} is cloned"));
        if self.rng.chance(50) {
            let twin = self.beings.len() - 1;
            let (sleeps, prunes) = if self.rng.chance(70) { (twin, from) } else { (from, twin) };
            self.twins(sleeps, prunes).await;
        }
    }

    /// One of two machines that are still the same is cut off in a push. The other one prunes for days, and makes no
    /// snapshot by which the first could tell that it has a twin. Then the first goes on.
    async fn twins(&mut self, sleeps: usize, prunes: usize) {
        self.change(sleeps);
        let requests = 2 + self.rng.below(3);
        self.push(sleeps, Reason::Scheduled, requests).await;
        for _ in 0..3 {
            self.bucket.calendar.pass(26 * HOUR);
            self.bucket.settle(false).await;
            self.prune(prunes, u64::MAX).await;
            self.check().await;
        }
        self.push(sleeps, Reason::Scheduled, u64::MAX).await;
        self.check().await;
    }

    pub(crate) fn tell(&mut self, what: &str) {
        let hours = (self.bucket.calendar.seconds() - crate::support::calendar::START) / HOUR;
        writeln!(self.story, "day {} hour {}: {what}", hours / 24, hours % 24).unwrap();
    }

    pub(crate) fn change(&mut self, who: usize) {
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

    pub(crate) fn machine(&self, who: usize, hangs_after: u64) -> (Machine, Arc<Way>) {
        let being = &self.beings[who];
        let way = Way::new(self.bucket.clone(), being.ahead.clone(), hangs_after);
        let mut machine = Machine::new(&being.state, way.clone());
        machine.settings.encrypt = self.sealed;
        machine.settings.passphrase = Some(Secret::new(SECRETS[being.secret].into()));
        let (calendar, ahead) = (self.bucket.calendar.clone(), being.ahead.clone());
        machine.clock = Arc::new(Watch { calendar, ahead });
        (machine, way)
    }

    pub(crate) fn ambient(&mut self, machine: &Machine) -> Ambient {
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
            65..76 => self.prune(who, u64::MAX).await,
            76..82 => self.prunes(who).await,
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

    /// Old snapshots go, and the same machine prunes again a few hours later, or as soon as their packs may go: when
    /// the answer to a DELETE was not true, the snapshots are there again by then.
    async fn prunes(&mut self, who: usize) {
        for _ in 0..3 {
            self.prune(who, u64::MAX).await;
            self.check().await;
            let hours = if self.rng.chance(50) { 1 + self.rng.below(10) } else { 25 };
            let hours = i64::try_from(hours).unwrap();
            self.bucket.calendar.pass(hours * HOUR);
            self.bucket.settle(false).await;
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
}
