//! Which packs are read this time, and what is remembered of it.

use std::collections::{HashMap, HashSet};

use super::check::{Checked, Packs};
use super::report::Reading;
use super::turns::{self, Turn};
use crate::engine::session::{Session, millis};
use crate::error::{Error, Result};
use crate::format::{MachineId, PackName};
use crate::local::{LocalRepository, PackRead, Proof};
use crate::store::ObjectInfo;

/// A pack that could be read: whose it is, its name, its bytes, and what the listing says of it.
pub(super) type Candidate<'a> = (MachineId, PackName, u64, Option<&'a ObjectInfo>);

/// What this machine has read of its packs, and when.
pub(super) struct Rotation {
    machine: Option<MachineId>,
    local: LocalRepository,
    proof: Proof,
    now_ms: i64,
    /// Why something could not be noted.
    failed: Option<Error>,
}

impl Rotation {
    pub(super) fn load(session: &Session, machine: Option<MachineId>) -> Result<Self> {
        let local = session.local_repository(session.settings.encrypt);
        let proof = local.proof()?.unwrap_or_default();
        let now_ms = millis(session.ambient.clock.now());
        Ok(Self { machine, local, proof, now_ms, failed: None })
    }

    /// The packs to read.
    pub(super) fn choose(
        &self,
        reading: Reading,
        packs: &[Candidate<'_>],
    ) -> HashSet<(MachineId, PackName)> {
        let read: HashMap<PackName, i64> =
            self.proof.reads.iter().map(|read| (read.name, read.at_ms)).collect();
        let bad: HashSet<PackName> = self.proof.bad.iter().copied().collect();
        let turn = |(_, name, bytes, info): &Candidate<'_>| Turn {
            bytes: *bytes,
            uploaded_ms: info.and_then(|info| info.modified).map(millis),
            read_ms: read.get(name).copied(),
            bad: bad.contains(name),
        };
        let all: Vec<Turn> = packs.iter().map(turn).collect();
        let chosen = match reading {
            Reading::Structure => vec![],
            Reading::All => (0..packs.len()).collect(),
            Reading::Sample { percent } => turns::sample(&all, percent, self.now_ms),
            Reading::Due { weeks, most_bytes } => turns::due(&all, weeks, most_bytes, self.now_ms),
        };
        let chosen = chosen.into_iter().filter_map(|at| packs.get(at));
        chosen.map(|(machine, name, ..)| (*machine, *name)).collect()
    }

    /// Remembers at once that a pack was read: what is cut off is not read a second time.
    pub(super) fn note_read(&mut self, (machine, name): (MachineId, PackName), checked: &Checked) {
        if !checked.read || !self.remembers(machine) {
            return;
        }
        self.proof.reads.retain(|read| read.name != name);
        self.proof.bad.retain(|bad| *bad != name);
        if checked.error.is_none() {
            self.proof.reads.push(PackRead { name, at_ms: self.now_ms });
        } else {
            self.proof.bad.push(name);
        }
        self.save();
    }

    /// A disk that is full must not keep what is wrong with the bucket from being said.
    fn save(&mut self) {
        if let Err(error) = self.local.save_proof(&self.proof) {
            self.failed.get_or_insert(error);
        }
    }

    /// Why something could not be noted; the next one begins with it again.
    pub(super) fn failed(self) -> Option<Error> {
        self.failed
    }

    fn remembers(&self, machine: MachineId) -> bool {
        self.machine == Some(machine) && self.local.dir().is_dir()
    }

    /// Remembers what was bad of this machine's packs without being read, and which key slots were; forgets packs that no
    /// snapshot names any more.
    pub(super) fn note(&mut self, packs: &Packs, bad_slots: Vec<String>) {
        let Some(machine) = self.machine.filter(|machine| self.remembers(*machine)) else {
            return;
        };
        let own: HashMap<PackName, _> = packs
            .iter()
            .filter(|((of, _), _)| *of == machine)
            .map(|((_, name), checked)| (*name, checked))
            .collect();
        let proof = &mut self.proof;
        proof.bad_slots = bad_slots;
        proof.reads.retain(|read| own.contains_key(&read.name));
        proof.bad.retain(|name| own.contains_key(name));
        // Those that were read are noted already; others can be missing, or of another size.
        for (name, checked) in own {
            if checked.error.is_some() && !proof.bad.contains(&name) {
                proof.bad.push(name);
            }
        }
        proof.reads.sort_by_key(|read| read.name);
        proof.bad.sort_unstable();
        self.save();
    }
}
