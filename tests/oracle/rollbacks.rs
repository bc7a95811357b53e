//! Wild states that are rolled back: to a snapshot that they had, wholly or in overlay, while somebody still writes; then,
//! perhaps, back again.
//!
//! What a rollback may leave as it is, it has to name. Everything else has to be as it was when the snapshot was made, what
//! the snapshot does not have as it was right before, and all that was there right before in the snapshot that an undo
//! goes by.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use b2_backup::ambient::{FailPoints, NoFailPoints};
use b2_backup::error::Error;
use b2_backup::ops::{self, Action, Mode, Outcome, RollbackPlan, RollbackReport, RollbackRequest};

use crate::campaign;
use crate::disks::Disk;
use crate::judge::{self, Rules, Said};
use crate::lives;
use crate::moment::Moment;
use crate::picture::{LOGS, Picture};
use crate::wild::write_late;
use crate::world::{Kept, World, left_out};

/// Somebody who writes once everything is staged, and looks at the state right after that.
struct Late {
    base: PathBuf,
    restores: PathBuf,
    /// Those that were carried out before.
    others: BTreeSet<OsString>,
    /// What is written is drawn from it.
    seed: u64,
    done: AtomicBool,
    seen: Mutex<Option<Moment>>,
}

impl std::fmt::Debug for Late {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Late")
    }
}

impl FailPoints for Late {
    fn step(&self, _: &'static str) -> std::io::Result<()> {
        let is_staged = |name: &OsString| {
            !self.others.contains(name) && self.restores.join(name).join("phase").exists()
        };
        if folders(&self.restores).iter().any(is_staged) && !self.done.swap(true, Ordering::SeqCst)
        {
            write_late(&self.base, self.seed);
            *self.seen.lock().unwrap() = Some(Moment::of(&self.base));
        }
        Ok(())
    }
}

/// Names of what is in a directory.
fn folders(of: &Path) -> BTreeSet<OsString> {
    let inside = std::fs::read_dir(of).into_iter().flatten();
    inside.map(|entry| entry.unwrap().file_name()).collect()
}

/// What a plan says about paths.
struct Named {
    stays: BTreeSet<String>,
    goes: BTreeSet<String>,
}

impl Named {
    fn by(plan: &RollbackPlan) -> Self {
        let with = |action: Action| {
            let entries = plan.entries.iter().filter(|entry| entry.action == action);
            entries.map(|entry| entry.path.clone()).collect()
        };
        Self { stays: with(Action::Keep), goes: with(Action::Delete) }
    }
}

/// One rollback, and what it was said to do.
struct Done {
    plan: RollbackPlan,
    report: RollbackReport,
    /// What was there right before.
    before: Moment,
    /// What somebody wrote that no step is about, after it was planned.
    aside: BTreeSet<(Option<PathBuf>, Vec<u8>)>,
    /// What somebody removed after it was planned: it comes back with an undo.
    removed: BTreeSet<(Option<PathBuf>, Vec<u8>)>,
}

impl Done {
    fn new(plan: RollbackPlan, report: RollbackReport, planned: &Moment, before: Moment) -> Self {
        // Where permission bits alone change, what was written stays.
        let steps = plan.entries.iter().filter(|entry| {
            entry.action != Action::Keep && entry.reason.as_deref() != Some("permissions only")
        });
        let steps: BTreeSet<&str> = steps.map(|entry| entry.path.as_str()).collect();
        let (mut aside, mut removed) = (BTreeSet::new(), BTreeSet::new());
        for (name, now) in before.places() {
            let then = planned.place(name).cloned().unwrap_or_default();
            for path in then.tree.keys().chain(now.tree.keys()) {
                let other = then.difference(now, path).or_else(|| then.time(now, path)).is_some();
                if other && !steps.contains(judge::shown(name, path).as_str()) {
                    aside.insert((name.map(Path::to_owned), path.clone()));
                } else if other && !now.tree.contains_key(path) {
                    removed.insert((name.map(Path::to_owned), path.clone()));
                }
            }
        }
        Self { plan, report, before, aside, removed }
    }

    /// Whether a sentence of the judge is about what somebody did meanwhile, and no step is about.
    fn excuses(&self, loss: &str) -> bool {
        self.aside.iter().chain(&self.removed).any(|(name, path)| {
            let inside =
                name.as_ref().map(|name| format!("{}: {}: ", name.display(), judge::escaped(path)));
            let shown = format!("{}: ", judge::shown(name.as_deref(), path));
            // What a link leads to may have come back in its place.
            let links = self.before.state.links.iter().filter(|(_, to)| Some(*to) == name.as_ref());
            let mut by_link = links.map(|(link, _)| [link, &b"/"[..], path].concat());
            loss.starts_with(&shown)
                || inside.is_some_and(|inside| loss.starts_with(&inside))
                || by_link.any(|it| loss.starts_with(&format!("{}: ", judge::escaped(&it))))
        })
    }
}

/// What every path has to be after a rollback.
struct Expected<'a> {
    kept: &'a Kept,
    done: &'a Done,
    exact: bool,
    named: Named,
    /// What a rule left out right before.
    said: Said,
    with_secrets: bool,
    starts: &'a dyn Fn(&Path) -> &'static [u8],
}

impl Expected<'_> {
    /// The snapshot's picture of a place, if it has it and it is written there.
    fn then(&self, name: Option<&Path>) -> Option<&Picture> {
        let Some(path) = name else { return Some(&self.kept.moment.state) };
        let stays = format!("{} is in the snapshot", judge::escaped(&crate::tree::bytes_of(path)));
        let mapped = self.kept.roots.iter().any(|root| root == path)
            && !self.done.plan.warnings.iter().any(|told| told.starts_with(&stays));
        self.kept.moment.place(name).filter(|_| mapped)
    }

    fn told(&self, said: &Said, picture: &Picture, name: Option<&Path>, path: &[u8]) -> bool {
        let start = name.map_or(&b""[..], |name| (self.starts)(name));
        let precious = |path: &[u8], is_dir| {
            !judge::may_be_left_out(&[start, path].concat(), is_dir, self.with_secrets)
        };
        let rules = Rules {
            said,
            precious: &precious,
            covered: &|_| true,
            inside: &|_| Picture::default(),
        };
        rules.told(picture, name, path)
    }

    /// What is not as it has to be.
    fn wrong(&self, now: &Moment) -> Vec<String> {
        let nothing = Picture::default();
        let mut wrong = Vec::new();
        for (name, before) in self.done.before.places() {
            let now = now.place(name).unwrap_or(&nothing);
            let then = self.then(name);
            let all = [Some(before), then, Some(now)];
            let pictures = || all.iter().copied().flatten();
            let paths: BTreeSet<&Vec<u8>> = pictures().flat_map(|it| it.tree.keys()).collect();
            for path in paths {
                if pictures().any(|picture| picture.is_log(path) || picture.is_trace(path)) {
                    continue;
                }
                if let Some(what) = self.at(name, path, before, then, now) {
                    wrong.push(format!("{}: {what}", judge::shown(name, path)));
                }
            }
        }
        wrong
    }

    fn at(
        &self,
        name: Option<&Path>,
        path: &[u8],
        before: &Picture,
        then: Option<&Picture>,
        now: &Picture,
    ) -> Option<String> {
        let shown = judge::shown(name, path);
        let same = |what: &str, picture: &Picture| {
            // One name of a file was to get other permission bits, and so has the other.
            let shared = before.tree.get(path).is_some_and(|item| item.shared);
            let other = picture.difference(now, path).filter(|it| !shared || !it.contains("mode"));
            let other = other.or_else(|| {
                let time = picture.time(now, path).filter(|_| !is_configuration(name, path));
                // What was only touched stays.
                time.filter(|_| {
                    before.difference(now, path).or_else(|| before.time(now, path)).is_some()
                })
            });
            other.map(|other| format!("{other} ({what})"))
        };
        // A database that SQLite cannot read stays with its logs, and is named alone.
        let log_of = |log| shown.strip_suffix(log).is_some_and(|it| self.named.stays.contains(it));
        if self.named.stays.contains(&shown) || LOGS.into_iter().any(log_of) {
            return same("it was said to stay", before);
        }
        if self.named.goes.contains(&shown) {
            let left = self.done.report.left.contains(&shown);
            return same("it was said to go", &Picture::default()).filter(|_| !left);
        }
        if self.done.aside.contains(&(name.map(Path::to_owned), path.to_vec())) {
            return same("it was written later, and no step is about it", before)
                .filter(|it| !it.contains("mode"));
        }
        let Some(then) = then else { return same("of a place that is not rolled back", before) };
        if then.tree.contains_key(path) && !self.told(&self.kept.said, then, name, path) {
            return same("it was so in the snapshot", then);
        }
        let has_more = now
            .tree
            .keys()
            .any(|other| other.strip_prefix(path).is_some_and(|rest| rest.starts_with(b"/")));
        if self.exact && !has_more && !self.told(&self.said, before, name, path) {
            return same("the snapshot does not have it", &Picture::default());
        }
        same("the snapshot does not have it, and it was so before", before)
    }
}

impl World {
    async fn plan_and_roll_back(
        &self,
        request: Option<&RollbackRequest>,
    ) -> Result<(RollbackPlan, RollbackReport), Error> {
        let session = self.machine.session().await;
        let Some(request) = request else {
            let plan = ops::plan_undo(&session).await?;
            let report = ops::undo(&session, &plan.hash).await?;
            return Ok((plan, report));
        };
        let plan = ops::plan_rollback(&session, request).await?;
        let report = ops::roll_back(&session, request, &plan.hash).await?;
        Ok((plan, report))
    }

    /// Rolls back, or undoes the last rollback without a request. Whatever comes of it: nothing may be half done.
    async fn roll_back(
        &mut self,
        request: Option<&RollbackRequest>,
        losses: &mut Vec<String>,
    ) -> Option<Done> {
        let planned = Moment::of(&self.wild.base);
        let restores = self.wild.state().join("b2-backup/restore");
        let late = self.wild.rng().chance(0.3).then(|| {
            Arc::new(Late {
                base: self.wild.base.clone(),
                others: folders(&restores),
                restores,
                seed: self.wild.rng().between(0, 1 << 30) as u64,
                done: AtomicBool::new(false),
                seen: Mutex::new(None),
            })
        });
        if let Some(late) = &late {
            self.machine.steps = Arc::<Late>::clone(late);
        }
        let done = self.plan_and_roll_back(request).await;
        self.machine.steps = Arc::new(NoFailPoints);
        let seen = late.and_then(|late| late.seen.lock().unwrap().take());
        let before = seen.unwrap_or_else(|| planned.clone());
        match done {
            Ok((plan, report)) if plan.is_empty() || report.outcome == Outcome::Applied => {
                Some(Done::new(plan, report, &planned, before))
            }
            Ok((_, report)) => {
                losses.push(format!("it is not applied: {report:?}"));
                None
            }
            Err(error) => {
                let now = before.again(&self.wild.base);
                losses.extend(changed(&before, &now).map(|it| format!("refused, and {it}")));
                // Somebody is in the midst of a transaction.
                if !matches!(error, Error::DatabaseBusy { .. }) {
                    losses.push(format!("refused: {error} [{}]", error.code()));
                }
                None
            }
        }
    }

    /// A rollback to a snapshot that was made, and what is wrong with it.
    async fn back_to(&mut self, at: usize, exact: bool) -> Vec<String> {
        let mut losses = Vec::new();
        let request = RollbackRequest {
            snapshot: self.kept[at].snapshot.clone(),
            paths: vec![],
            mode: if exact { Mode::Exact } else { Mode::Overlay },
            partial: false,
            allow_unauthenticated: false,
        };
        let left_out = left_out(&self.machine).await;
        let Some(done) = self.roll_back(Some(&request), &mut losses).await else { return losses };
        let now = done.before.again(&self.wild.base);
        let mut said = left_out.clone();
        for told in &done.report.warnings {
            let starts = ["the safety snapshot lacks ", "in the safety snapshot, "];
            let named = starts.iter().find_map(|start| told.strip_prefix(start));
            if let Some((path, _)) = named.and_then(|named| named.rsplit_once(": ")) {
                said.specials.insert(path.to_owned());
            }
        }
        let expected = Expected {
            kept: &self.kept[at],
            exact,
            named: Named::by(&done.plan),
            said,
            with_secrets: self.machine.settings.include_secrets,
            starts: &|root| self.start(root),
            done: &done,
        };
        losses.extend(expected.wrong(&now));
        // Nobody goes on with what is no longer there.
        self.wild.let_go();
        if !done.plan.is_empty() {
            losses.extend(self.all_is_saved(&done, left_out).await);
            if self.wild.rng().chance(0.4) {
                losses.extend(self.round().await.into_iter().map(|it| format!("pushed: {it}")));
            }
            if self.wild.rng().chance(0.6) {
                losses.extend(self.undone(&done).await);
            }
        }
        losses
    }

    /// Whether all that was there before a rollback is in the snapshot that an undo goes by.
    async fn all_is_saved(&mut self, done: &Done, mut said: Said) -> Vec<String> {
        let plan = match ops::plan_undo(&self.machine.session().await).await {
            Ok(plan) => plan,
            Err(error) => return vec![format!("no undo: {error} [{}]", error.code())],
        };
        let (restored, to) = match self.restored(&plan.snapshot).await {
            Ok(restored) => restored,
            Err(problem) => return vec![problem],
        };
        for remark in &restored.remarks {
            said.problem(&remark.path, &remark.code);
        }
        let (lost, _) = self.lost(&done.before, &said, &restored, &to);
        std::fs::remove_dir_all(&to).unwrap();
        let lost = lost.into_iter().filter(|loss| !done.excuses(loss));
        lost.map(|loss| format!("not in the safety snapshot: {loss}")).collect()
    }

    /// Undoes a rollback, and what is not as it was.
    async fn undone(&mut self, done: &Done) -> Vec<String> {
        let mut losses = Vec::new();
        if let Some(undone) = self.roll_back(None, &mut losses).await {
            let stays = Named::by(&undone.plan).stays;
            let now = done.before.again(&self.wild.base);
            let named =
                |loss: &String| stays.iter().any(|path| loss.starts_with(&format!("{path}: ")));
            let excused = |loss: &String| named(loss) || done.excuses(loss) || undone.excuses(loss);
            losses.extend(changed(&done.before, &now).filter(|loss| !excused(loss)));
        }
        self.wild.let_go();
        losses.into_iter().map(|loss| format!("undone: {loss}")).collect()
    }
}

/// OpenClaw's configuration is merged: its time is that of the rollback.
fn is_configuration(name: Option<&Path>, path: &[u8]) -> bool {
    name.is_none() && path == b"openclaw.json"
}

/// What is other in some place than it was.
fn changed<'a>(before: &'a Moment, now: &'a Moment) -> impl Iterator<Item = String> + 'a {
    before.places().flat_map(|(name, before)| {
        let now = now.place(name).unwrap();
        let paths: BTreeSet<&Vec<u8>> = before.tree.keys().chain(now.tree.keys()).collect();
        let logs = move |path: &[u8]| {
            [before, now].iter().any(|picture| picture.is_log(path) || picture.is_trace(path))
        };
        let differs = move |path: &Vec<u8>| {
            let time = || before.time(now, path).filter(|_| !is_configuration(name, path));
            let what = before.difference(now, path).or_else(time)?;
            Some(format!("{}: {what}", judge::shown(name, path)))
        };
        paths.into_iter().filter(move |path| !logs(path)).filter_map(differs)
    })
}

/// The life of a state with rollbacks.
async fn life(base: PathBuf, seed: u64, disk: Disk) -> Vec<String> {
    let mut world = World::new(base, seed, disk).await;
    let mut found = Vec::new();
    for round in 0..world.wild.rng().between(2, 3) {
        let losses = world.round().await;
        found.extend(losses.into_iter().map(|loss| format!("round {round}: {loss}")));
        world.live_on(disk);
        world.wild.configure();
    }
    for number in 0..world.wild.rng().between(1, 3) {
        let (last, exact) = (world.kept.len().saturating_sub(1), world.wild.rng().chance(0.5));
        let at = world.wild.rng().between(0, last);
        let how = if exact { "exact" } else { "overlay" };
        for loss in world.back_to(at, exact).await {
            found.push(format!("rollback {number} to {at} ({how}): {loss}"));
        }
        world.live_on(disk);
    }
    found
}

async fn rolled_back(disk: Disk, bounded: u64, whole: u64) {
    lives("rollbacks of wild states", disk, campaign::cases(bounded, whole), life).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rollbacks_on_the_usual_disk() {
    rolled_back(Disk::Usual, 3, 300).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rollbacks_in_memory() {
    rolled_back(Disk::Memory, 6, 300).await;
}
