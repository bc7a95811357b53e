//! A store in memory for tests: keeps versions and hide markers like B2, and fails exactly when told to.
//!
//! Faults are decided per call by a [`FaultPlan`]; every call is logged, so that tests can count requests.

mod fault;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::{Debug, Formatter};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use sha2::Digest as _;

pub use self::fault::{Call, Fault, FaultPlan, Operation};
use super::{Listing, ObjectInfo, ObjectKey, ObjectStore, ObjectVersion, Traffic};
use crate::ambient::{Clock, SystemClock};
use crate::error::{Error, Result};

#[derive(Clone, Debug)]
struct Version {
    id: String,
    /// `None` is a hide marker.
    body: Option<Bytes>,
    modified: SystemTime,
}

type Objects = BTreeMap<String, Vec<Version>>;

#[derive(Default)]
struct State {
    objects: Objects,
    frozen: Objects,
    plan: Option<FaultPlan>,
    calls: Vec<Call>,
    counts: HashMap<Operation, u64>,
    traffic: Traffic,
    next_version: u64,
    versionless: bool,
    server_offset_ms: i64,
}

/// The store. Cheap to share behind an `Arc`.
pub struct MemoryStore {
    name: String,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

impl Debug for MemoryStore {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryStore").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new(Arc::new(SystemClock))
    }
}

impl MemoryStore {
    /// An empty store; `clock` gives the objects' times and waits for delays.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let name = format!("memory:{}", NEXT.fetch_add(1, Ordering::Relaxed));
        Self { name, clock, state: Mutex::default() }
    }

    /// A store that keeps no versions: a put replaces, a delete removes, `list_versions` is `None`.
    #[must_use]
    pub fn without_versions(self) -> Self {
        self.lock().versionless = true;
        self
    }

    /// An independent store with the same objects and versions, as after a crash at this point.
    #[must_use]
    pub fn fork(&self) -> Self {
        let copy = Self::new(Arc::clone(&self.clock));
        {
            let (mine, mut theirs) = (self.lock(), copy.lock());
            theirs.objects = mine.objects.clone();
            theirs.next_version = mine.next_version;
            theirs.versionless = mine.versionless;
        }
        copy
    }

    /// Replaces the fault plan.
    pub fn set_faults(&self, plan: impl FnMut(&Call) -> Vec<Fault> + Send + 'static) {
        self.lock().plan = Some(Box::new(plan));
    }

    /// Plans one fault for the `number`-th call of `operation` (counted from 1 since the store was made).
    pub fn fail_once(&self, operation: Operation, number: u64, fault: Fault) {
        let mut fault = Some(fault);
        self.set_faults(move |call| {
            if call.operation == operation && call.number == number {
                fault.take().into_iter().collect()
            } else {
                vec![]
            }
        });
    }

    /// From now on nothing goes wrong.
    pub fn clear_faults(&self) {
        self.lock().plan = None;
    }

    /// Remembers the present objects for [`Fault::StaleListing`].
    pub fn freeze_listings(&self) {
        let mut state = self.lock();
        state.frozen = state.objects.clone();
    }

    /// Every call so far, in order.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    /// Forgets the calls so far, but not their numbers.
    pub fn clear_calls(&self) {
        self.lock().calls.clear();
    }

    /// What [`ObjectStore::server_offset_ms`] returns.
    pub fn set_server_offset_ms(&self, offset: i64) {
        self.lock().server_offset_ms = offset;
    }

    /// Visible objects and their bytes, without a log entry.
    #[must_use]
    pub fn objects(&self) -> BTreeMap<String, Bytes> {
        let state = self.lock();
        state
            .objects
            .iter()
            .filter_map(|(key, versions)| Some((key.clone(), current(versions)?.0.clone())))
            .collect()
    }

    /// The bytes of one visible object, without a log entry.
    #[must_use]
    pub fn raw_read(&self, key: &str) -> Option<Bytes> {
        self.lock()
            .objects
            .get(key)
            .and_then(|versions| current(versions))
            .map(|(body, _)| body.clone())
    }

    /// Changes an object's newest version in place, or makes the object: damage, not a put.
    pub fn raw_replace(&self, key: &str, body: impl Into<Bytes>) {
        let now = self.clock.now();
        let mut state = self.lock();
        let id = state.version_id();
        let versions = state.objects.entry(key.to_owned()).or_default();
        let (id, modified) = versions.pop().map_or((id, now), |old| (old.id, old.modified));
        versions.push(Version { id, body: Some(body.into()), modified });
    }

    /// Removes an object with all its versions. Returns whether there was one.
    pub fn raw_remove(&self, key: &str) -> bool {
        self.lock().objects.remove(key).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panicking fault plan must not hide the test's own failure behind a poisoned lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Logs the call and sorts its faults. Delays and failures before the effect happen here.
    async fn enter(&self, operation: Operation, key: &str, bytes: u64) -> Result<Effects> {
        let faults = {
            let mut state = self.lock();
            let number = state.counts.entry(operation).or_default();
            *number += 1;
            let call = Call { operation, key: key.to_owned(), number: *number, bytes };
            state.calls.push(call.clone());
            state.traffic.requests += 1;
            if operation == Operation::Put {
                state.traffic.sent_bytes += bytes;
            }
            state.plan.as_mut().map_or_else(Vec::new, |plan| plan(&call))
        };
        let mut effects = Effects::default();
        for fault in faults {
            match fault {
                Fault::FailBefore(error) => return Err(error),
                Fault::FailAfter(error) => effects.lost = Some(error),
                Fault::Delay(duration) => self.clock.sleep(duration).await,
                Fault::Truncate(length) => effects.truncate = Some(length),
                Fault::Flip(place) => effects.flip = Some(place),
                Fault::StaleListing => effects.stale = true,
                Fault::EmptyListing => effects.empty = true,
            }
        }
        Ok(effects)
    }

    fn read(&self, key: &ObjectKey) -> Result<Bytes> {
        self.raw_read(key.as_str()).ok_or_else(|| Error::ObjectMissing { object: key.to_string() })
    }

    fn read_version(&self, key: &ObjectKey, id: &str) -> Result<Bytes> {
        let state = self.lock();
        let versions = state.objects.get(key.as_str()).into_iter().flatten();
        let found = versions.filter(|version| version.id == id).find_map(|one| one.body.clone());
        found.ok_or_else(|| Error::ObjectMissing { object: key.to_string() })
    }

    fn part(body: &Bytes, key: &ObjectKey, start: u64, end: u64) -> Result<Bytes> {
        if end > body.len() as u64 {
            return Err(super::ends_early(key, end));
        }
        let (Ok(start), Ok(end)) = (usize::try_from(start), usize::try_from(end)) else {
            return Err(super::ends_early(key, end));
        };
        Ok(body.slice(start..end))
    }

    fn answer(&self, body: &Bytes, effects: Effects) -> Result<Bytes> {
        let mut body = body.clone();
        if let Some(length) = effects.truncate {
            body.truncate(length);
        }
        if let Some(place) = effects.flip {
            let mut bytes = body.to_vec();
            if let Some(byte) = bytes.get_mut(place) {
                *byte = !*byte;
            }
            body = bytes.into();
        }
        self.lock().traffic.received_bytes += body.len() as u64;
        effects.finish(body)
    }
}

#[derive(Debug, Default)]
struct Effects {
    lost: Option<Error>,
    truncate: Option<usize>,
    flip: Option<usize>,
    stale: bool,
    empty: bool,
}

impl Effects {
    fn finish<T>(self, value: T) -> Result<T> {
        self.lost.map_or(Ok(value), Err)
    }
}

impl State {
    fn version_id(&mut self) -> String {
        self.next_version += 1;
        format!("v{:08}", self.next_version)
    }

    fn shown(&self, effects: &Effects) -> Objects {
        match (effects.empty, effects.stale) {
            (true, _) => Objects::new(),
            (false, true) => self.frozen.clone(),
            (false, false) => self.objects.clone(),
        }
    }
}

fn current(versions: &[Version]) -> Option<(&Bytes, SystemTime)> {
    versions.last().and_then(|version| Some((version.body.as_ref()?, version.modified)))
}

/// Equal for equal content, as B2's are.
fn etag(body: &Bytes) -> String {
    hex::encode(sha2::Sha256::digest(body))
}

#[async_trait]
impl ObjectStore for MemoryStore {
    fn identity(&self) -> String {
        self.name.clone()
    }

    async fn put(&self, key: &ObjectKey, body: Bytes) -> Result<()> {
        let effects = self.enter(Operation::Put, key.as_str(), body.len() as u64).await?;
        let modified = self.clock.now();
        {
            let mut state = self.lock();
            let id = state.version_id();
            let versionless = state.versionless;
            let versions = state.objects.entry(key.to_string()).or_default();
            if versionless {
                versions.clear();
            }
            versions.push(Version { id, body: Some(body), modified });
        }
        effects.finish(())
    }

    async fn get(&self, key: &ObjectKey, max_bytes: u64) -> Result<Bytes> {
        let effects = self.enter(Operation::Get, key.as_str(), 0).await?;
        let body = self.read(key)?;
        if body.len() as u64 > max_bytes {
            return Err(super::too_large(key, max_bytes));
        }
        self.answer(&body, effects)
    }

    async fn get_range(&self, key: &ObjectKey, start: u64, length: u64) -> Result<Bytes> {
        let end = super::range_end(key, start, length)?;
        if length == 0 {
            return Ok(Bytes::new());
        }
        let effects = self.enter(Operation::GetRange, key.as_str(), length).await?;
        let part = Self::part(&self.read(key)?, key, start, end)?;
        self.answer(&part, effects)
    }

    async fn get_version(&self, key: &ObjectKey, version: &str, max_bytes: u64) -> Result<Bytes> {
        let effects = self.enter(Operation::Get, key.as_str(), 0).await?;
        let body = self.read_version(key, version)?;
        if body.len() as u64 > max_bytes {
            return Err(super::too_large(key, max_bytes));
        }
        self.answer(&body, effects)
    }

    async fn get_version_range(
        &self,
        key: &ObjectKey,
        version: &str,
        start: u64,
        length: u64,
    ) -> Result<Bytes> {
        let end = super::range_end(key, start, length)?;
        if length == 0 {
            return Ok(Bytes::new());
        }
        let effects = self.enter(Operation::GetRange, key.as_str(), length).await?;
        let part = Self::part(&self.read_version(key, version)?, key, start, end)?;
        self.answer(&part, effects)
    }

    async fn list(&self, prefix: &str, delimited: bool) -> Result<Listing> {
        let effects = self.enter(Operation::List, prefix, 0).await?;
        let shown = self.lock().shown(&effects);
        let mut listing = Listing::default();
        let mut prefixes = BTreeSet::new();
        for (key, versions) in
            shown.range(prefix.to_owned()..).take_while(|(key, _)| key.starts_with(prefix))
        {
            let Some((body, modified)) = current(versions) else { continue };
            let rest = key.get(prefix.len()..).unwrap_or_default();
            if let (true, Some(cut)) = (delimited, rest.find('/')) {
                prefixes.insert(format!("{prefix}{}", rest.get(..=cut).unwrap_or_default()));
                continue;
            }
            listing.objects.push(ObjectInfo {
                key: key.clone(),
                size: body.len() as u64,
                modified: Some(modified),
            });
        }
        listing.prefixes = prefixes.into_iter().collect();
        effects.finish(listing)
    }

    async fn list_versions(&self, prefix: &str) -> Result<Option<Vec<ObjectVersion>>> {
        let effects = self.enter(Operation::ListVersions, prefix, 0).await?;
        let (shown, versionless) = {
            let state = self.lock();
            (state.shown(&effects), state.versionless)
        };
        if versionless {
            return effects.finish(None);
        }
        let mut found = Vec::new();
        for (key, versions) in
            shown.range(prefix.to_owned()..).take_while(|(key, _)| key.starts_with(prefix))
        {
            for (age, version) in versions.iter().rev().enumerate() {
                found.push(ObjectVersion {
                    key: key.clone(),
                    version: version.id.clone(),
                    latest: age == 0,
                    hidden: version.body.is_none(),
                    size: version.body.as_ref().map_or(0, |body| body.len() as u64),
                    modified: Some(version.modified),
                    etag: version.body.as_ref().map(etag),
                });
            }
        }
        effects.finish(Some(found))
    }

    async fn delete(&self, key: &ObjectKey, version: Option<&str>) -> Result<()> {
        let effects = self.enter(Operation::Delete, key.as_str(), 0).await?;
        let modified = self.clock.now();
        let mut state = self.lock();
        let id = state.version_id();
        let versionless = state.versionless;
        if let Some(versions) = state.objects.get_mut(key.as_str()) {
            match version {
                Some(wanted) => versions.retain(|version| version.id != wanted),
                None if versionless => versions.clear(),
                // Like B2: hiding what is hidden already adds no second marker.
                None if current(versions).is_some() => {
                    versions.push(Version { id, body: None, modified });
                }
                None => {}
            }
            if versions.is_empty() {
                state.objects.remove(key.as_str());
            }
        }
        drop(state);
        effects.finish(())
    }

    fn server_offset_ms(&self) -> i64 {
        self.lock().server_offset_ms
    }

    fn traffic(&self) -> Traffic {
        self.lock().traffic
    }
}

#[cfg(test)]
mod tests;
