//! Which packs are read this time, and what is remembered of it.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use super::{Packs, Reading};
use crate::error::Result;
use crate::format::{MachineId, PackName};
use crate::ops::session::{Session, millis};
use crate::repo::{LocalRepository, PackRead, Proof};
use crate::store::ObjectInfo;

/// A pack that could be read: whose it is, its name, its bytes, and what the listing says of it.
pub(super) type Candidate<'a> = (MachineId, PackName, u64, Option<&'a ObjectInfo>);

/// What this machine has read of its packs, and when.
pub(super) struct Rotation {
    machine: Option<MachineId>,
    local: LocalRepository,
    proof: Proof,
    now_ms: i64,
}

impl Rotation {
    pub(super) fn load(session: &Session, machine: Option<MachineId>) -> Result<Self> {
        let local = session.local_repository(session.settings.encrypt);
        let proof = local.proof()?.unwrap_or_default();
        Ok(Self { machine, local, proof, now_ms: millis(session.ambient.clock.now()) })
    }

    /// The packs to read. A pack that was never read counts as read when it was uploaded, since it was opened and
    /// compared just before: else those of each day would keep the old ones from being read.
    pub(super) fn choose(
        &self,
        reading: Reading,
        packs: &[Candidate<'_>],
    ) -> HashSet<(MachineId, PackName)> {
        let percent = match reading {
            Reading::Structure => return HashSet::new(),
            Reading::All => {
                return packs.iter().map(|(machine, name, ..)| (*machine, *name)).collect();
            }
            Reading::Sample { percent } => u128::from(percent.clamp(1, 100)),
        };
        let read: HashMap<PackName, i64> =
            self.proof.reads.iter().map(|read| (read.name, read.at_ms)).collect();
        let bad: HashSet<PackName> = self.proof.bad.iter().copied().collect();
        let last = |(_, name, _, info): &Candidate<'_>| {
            let uploaded = info.and_then(|info| info.modified).map_or(i64::MIN, millis);
            read.get(name).copied().unwrap_or(uploaded)
        };
        let mut order: Vec<&Candidate<'_>> = packs.iter().collect();
        // What was found bad is looked at every time: it may have been mended, and is worth naming until it is.
        order.sort_by_key(|pack| (Reverse(bad.contains(&pack.1)), last(pack), pack.1));
        let total: u128 = packs.iter().map(|(_, _, bytes, _)| u128::from(*bytes)).sum();
        let (mut chosen, mut bytes) = (HashSet::new(), 0u128);
        for (machine, name, size, _) in order {
            if bytes * 100 >= total * percent && !bad.contains(name) {
                break;
            }
            bytes += u128::from(*size);
            chosen.insert((*machine, *name));
        }
        chosen
    }

    /// Remembers what was read and what was bad, of this machine's packs, for as long as a snapshot names them, and
    /// which key slots were.
    pub(super) fn note(&mut self, packs: &Packs, bad_slots: Vec<String>) -> Result<()> {
        let Some(machine) = self.machine.filter(|_| self.local.dir().is_dir()) else {
            return Ok(());
        };
        let own: HashMap<PackName, _> = packs
            .iter()
            .filter(|((of, _), _)| *of == machine)
            .map(|((_, name), checked)| (*name, checked))
            .collect();
        let proof = &mut self.proof;
        proof.bad_slots = bad_slots;
        proof.reads.retain(|read| own.get(&read.name).is_some_and(|checked| !checked.read));
        proof.bad.retain(|name| own.get(name).is_some_and(|checked| !checked.read));
        for (name, checked) in own {
            if checked.read && checked.error.is_none() {
                proof.reads.push(PackRead { name, at_ms: self.now_ms });
            } else if checked.error.is_some() && !proof.bad.contains(&name) {
                proof.bad.push(name);
            }
        }
        proof.reads.sort_by_key(|read| read.name);
        proof.bad.sort_unstable();
        self.local.save_proof(proof)
    }
}
