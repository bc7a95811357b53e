//! What machines do: push, prune, restore.

use std::fs;
use std::sync::atomic::Ordering;
use std::time::Duration;

use b2_backup::error::{Error, Result};
use b2_backup::format::Reason;
use b2_backup::ops::{self, PruneOptions, Session};

use super::bucket::Way;
use super::life::Life;
use super::sums::{DELETED, FAILED, PACKS, PUSHES};
use crate::support::machine::{push_options, restore_with};
use crate::support::plain::picture;

impl Life {
    pub(crate) async fn push(&mut self, who: usize, reason: Reason, hangs_after: u64) {
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
            Some(Ok(report)) => {
                if report.snapshot.is_some() {
                    self.waste.pushed(who);
                }
                format!("{:?} {:?}", report.snapshot, report.warnings)
            }
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

    pub(crate) async fn prune(&mut self, who: usize, hangs_after: u64) {
        let options = PruneOptions {
            keep: self.beings[who].keep,
            dry_run: self.rng.chance(5),
            more_than_half: self.rng.chance(70),
            wait: Duration::ZERO,
        };
        let (machine, way) = self.machine(who, hangs_after);
        let ambient = self.ambient(&machine);
        let tricks = self.bucket.tricks();
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
        if !options.dry_run {
            let done = pruned.as_ref().and_then(|it| it.as_ref().ok());
            let did = done.is_some_and(|report| !report.snapshots.is_empty());
            let clean = did && tricks == self.bucket.tricks();
            self.pruned(who, clean);
        }
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
    pub(crate) async fn restore(&mut self) {
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

    pub(crate) async fn restores(&mut self, id: &str) {
        let to = self.folder();
        let report = restore_with(&self.reader, id, &to).await;
        let report = report.unwrap_or_else(|error| panic!("{id}: {error}\n{}", self.story));
        assert_eq!(report.failed, [], "{id}\n{}", self.story);
        let restored = picture(&to);
        assert!(self.pictures.contains(&restored), "{id} is no state that was\n{}", self.story);
        fs::remove_dir_all(to).unwrap();
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
