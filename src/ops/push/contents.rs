//! The contents of a snapshot: everything that changed is read, and the sealed manifest left in the spool.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::assemble::{complete, count, packs_in_use, problems, schemas, tails};
use super::capture::{Capture, Chunker, runs};
use super::changes::Scan;
use super::drafts::{Owned, drafts};
use super::frames::FramePipe;
use super::sparse;
use super::summary::summary;
use super::together::PATIENCE;
use super::writer::Writer;
use crate::chunk::Cutter;
use crate::engine::file_cache::Memory;
use crate::engine::problem::{self, FileProblem};
use crate::engine::roots;
use crate::engine::session::{Session, millis};
use crate::error::{Error, Result};
use crate::format::{
    Counts, Entry, Manifest, PackRef, Reason, Remark, SnapshotId, TreeRef, is_bounded,
};
use crate::local::{Captured, Newest};
use crate::repo::{Known, PackIndex, Snapshot};
use crate::source::Found;

/// What is known before the first file is read.
pub(super) struct Start {
    pub(super) known: Known,
    /// Opened footers by pack number: of the newest manifest and of adopted packs.
    pub(super) indexes: BTreeMap<u32, (PackRef, PackIndex)>,
    pub(super) adopted: Vec<(PackRef, bool)>,
    pub(super) next_pack: u32,
}

/// What capturing came to.
pub(super) enum Outcome {
    /// A snapshot of which only the commit is left.
    Captured(Box<Captured>),
    /// Files were touched, but say the same as before. Holds what to remember, so that they are not read
    /// again, and what could not be read.
    Unchanged { files: Vec<u8>, counts: Counts, skipped: Vec<FileProblem> },
}

impl Outcome {
    pub(super) fn counts(&self) -> Counts {
        match self {
            Self::Captured(captured) => captured.counts,
            Self::Unchanged { counts, .. } => *counts,
        }
    }
}
/// What the capturing thread needs to know of the writer.
pub(super) struct Plan {
    key: crate::crypto::RepoKey,
    repository: crate::format::RepositoryId,
    slots: Vec<Vec<u8>>,
    entropy: Arc<dyn crate::ambient::Entropy>,
    clock: Arc<dyn crate::ambient::Clock>,
    spool: crate::local::Spool,
    temporary: PathBuf,
    local: crate::local::Local,
    redact: bool,
    id: SnapshotId,
    lineage: Option<Newest>,
    base: Option<String>,
    manifest: Manifest,
}

impl Plan {
    pub(super) fn new(
        session: &Session,
        writer: &Writer,
        scan: &Scan,
        reason: Reason,
    ) -> Result<Self> {
        let now = millis(session.ambient.clock.now());
        let safety = reason == Reason::Safety;
        let lineage = writer.lineage.clone();
        let last =
            lineage.as_ref().and_then(|newest| SnapshotId::parse(&newest.snapshot)?.seconds());
        // Names are unique per machine: a clock that stands or goes back must not name two snapshots alike.
        // The last day of the calendar that names can hold; room above it keeps the search below finite.
        let mut seconds = now.div_euclid(1000).min(253_402_214_400);
        let taken = |seconds| {
            let names = [true, false]
                .map(|safety| SnapshotId::new(seconds, writer.machine, safety).to_string());
            names.iter().any(|name| writer.pruning.knows(name))
                || lineage
                    .as_ref()
                    .is_some_and(|newest| newest.written.iter().any(|name| names.contains(name)))
        };
        while last == Some(seconds) || taken(seconds) {
            seconds += 1;
        }
        let manifest = Manifest {
            sequence: lineage.as_ref().map_or(0, |newest| newest.sequence) + 1,
            previous: lineage.as_ref().map(|newest| newest.sha256),
            reason,
            local_time_ms: now,
            server_time_ms: session.server_now_ms(),
            host_version: session.settings.host_version.clone(),
            program_version: env!("CARGO_PKG_VERSION").to_owned(),
            includes_secrets: session.settings.include_secrets,
            roots: scan.roots.iter().map(roots::record).collect(),
            counts: Counts::default(),
            packs: vec![],
            tree: TreeRef { bytes: 0, sha256: [0; 32], runs: vec![], tails: vec![] },
            remarks: vec![],
            changes: None,
            missing: Some(scan.missing.clone()).filter(|missing| !missing.is_empty()),
            machine_name: session.settings.machine_name.clone(),
            host_install: session.settings.host_install.clone(),
            host_schemas: None,
        };
        Ok(Self {
            key: writer.key.clone(),
            repository: writer.record.repository,
            slots: writer.record.for_manifest(),
            entropy: Arc::clone(&session.ambient.entropy),
            clock: Arc::clone(&session.ambient.clock),
            spool: writer.spool.clone(),
            temporary: session.local.temporary()?,
            local: session.local.clone(),
            redact: !session.settings.include_secrets,
            id: SnapshotId::new(seconds, writer.machine, safety),
            lineage,
            base: writer.base.as_ref().map(|newest| newest.snapshot.clone()),
            manifest,
        })
    }

    /// Writes into the manifest what its entries are.
    fn describe(
        &mut self,
        entries: &[Entry],
        problems: Vec<FileProblem>,
        previous: Option<&Memory>,
        indexes: &BTreeMap<u32, (PackRef, PackIndex)>,
    ) -> Result<()> {
        let first_new = self.first_new();
        let Manifest { roots, counts, packs, tree, remarks, changes, .. } = &mut self.manifest;
        *counts = count(entries);
        *remarks = problems.into_iter().map(Remark::from).collect();
        *packs = packs_in_use(entries, &tree.runs, indexes)?;
        *changes = previous.map(|previous| summary(entries, roots, packs, previous, first_new));
        Ok(())
    }

    /// What reads the files.
    fn capture<'a, 'p>(
        &self,
        owned: &'a Owned,
        chunker: Chunker<'p>,
        seed: u64,
        progress: crate::progress::Sink,
    ) -> Capture<'a, 'p> {
        Capture {
            chunker,
            roots: &owned.roots,
            elsewhere: &owned.elsewhere,
            sealed: self.key.is_sealed(),
            seed,
            redact: self.redact,
            clock: Arc::clone(&self.clock),
            patience: PATIENCE,
            withheld: Arc::clone(&owned.withheld),
            temporary: self.temporary.clone(),
            local: self.local.clone(),
            entropy: Arc::clone(&self.entropy),
            progress,
            total_bytes: owned.changes.read_bytes,
            done_bytes: 0,
            done_files: 0,
            skipped: owned.skipped.clone(),
            gone: Vec::new(),
        }
    }

    /// The lowest number of a pack that the lineage did not have before.
    fn first_new(&self) -> u32 {
        self.lineage.as_ref().map_or(0, |newest| newest.next_pack)
    }
}

/// Reads everything that changed and leaves packs and the sealed manifest in the spool. Blocks.
pub(super) fn read_all(
    mut plan: Plan,
    mut owned: Owned,
    start: Start,
    mut pipe: FramePipe,
    cancel: tokio_util::sync::CancellationToken,
    progress: crate::progress::Sink,
) -> Result<Outcome> {
    let seed = plan.key.chunker_seed(&plan.repository.0);
    let ids = plan.key.chunk_ids(&plan.repository.0);
    let Start { known, mut indexes, adopted: _, next_pack: _ } = start;
    let same = std::mem::take(&mut owned.changes.same);
    let mut all = std::mem::take(&mut owned.found);
    let chunker = Chunker::new(ids, known, &mut pipe, cancel);
    let mut capture = plan.capture(&owned, chunker, seed, progress);
    let drafts = drafts(&mut capture, &owned, &mut all, same)?;
    let schemas = schemas(drafts.iter().map(|(_, draft, _)| draft), &owned.schemas);
    plan.manifest.host_schemas = Some(schemas).filter(|schemas| !schemas.is_empty());
    let places = capture.chunker.pipe.places()?;
    let mut entries = Vec::with_capacity(drafts.len());
    let mut prints = Vec::with_capacity(drafts.len());
    let mut indices = Vec::with_capacity(drafts.len());
    for (index, draft, print) in drafts {
        entries.push(complete(draft, &places)?);
        prints.push(print);
        indices.push(index);
    }
    let found = problems(&capture.skipped, entries.iter(), &owned.roots);
    let same =
        |memory: &Arc<Memory>| memory.says(&entries) && problem::same(&found, &owned.remarks);
    if let Some(memory) = owned.memory.clone().filter(same) {
        let skipped = found;
        drop(capture.chunker);
        pipe.finish()?;
        let base = plan.base.as_deref().unwrap_or_default();
        let tree = memory.tree.as_ref().ok_or_else(|| Error::internal("memory without a tree"))?;
        let files = Memory::encode(
            owned.began_ns,
            owned.young.as_deref(),
            base,
            &owned.policy,
            &owned.roots,
            tree,
            prints.iter().zip(&entries).map(|(print, entry)| memory.kept(print, entry)),
        );
        return Ok(Outcome::Unchanged { files, counts: count(&entries), skipped });
    }
    // There is a new snapshot: now is the time to leave packs of which little is used.
    if sparse::has_time(plan.manifest.reason) {
        let new_bytes = capture.chunker.new_bytes;
        let leave =
            sparse::sparse(&entries, &owned.old_tree, &indexes, plan.first_new(), new_bytes);
        if !leave.is_empty() {
            let found: Vec<&Found> = indices.iter().filter_map(|index| all.get(*index)).collect();
            let again = sparse::read_again(&mut capture, &leave, &entries, &found)?;
            let places = capture.chunker.pipe.places()?;
            sparse::point(&mut entries, &mut prints, again, &places)?;
        }
    }
    let Capture { mut chunker, skipped, .. } = capture;
    // Files may have been read once more.
    let found = problems(&skipped, entries.iter(), &owned.roots);
    let tree = tree_of(&entries)?;
    // Where much is new, a whole new tree costs next to nothing, and a restore finds it in one place.
    if chunker.new_bytes / 16 > tree.len() as u64 {
        chunker.known = Known::default();
    }
    let first_tree_frame = chunker.pipe.next() as usize;
    let content = chunker
        .take(&Cutter::tree(seed), &mut tree.as_slice(), &mut |_| {})
        .map_err(|_| Error::internal("the tree cannot be chunked"))?;
    drop(chunker);
    let places = pipe.places()?;
    let tree_runs = runs(&content.stretches, &places)?;
    let end = pipe.finish()?;
    for pack in &end.packs {
        let mut index = opened(&plan, pack)?;
        index.forget_ids();
        indexes.insert(pack.number, (*pack, index));
    }

    let tails = tails(
        &owned.old_tails,
        &tree_runs,
        places.get(first_tree_frame..).unwrap_or_default(),
        &indexes,
    );
    plan.manifest.tree =
        TreeRef { bytes: content.size, sha256: content.sha256, runs: tree_runs, tails };
    plan.describe(&entries, found, owned.previous.as_deref(), &indexes)?;
    let files = Memory::encode(
        owned.began_ns,
        owned.young.as_deref(),
        &plan.id.to_string(),
        &owned.policy,
        &owned.roots,
        &plan.manifest.tree,
        prints.iter().zip(&entries),
    );
    seal(&plan, end.next_pack, &files).map(|captured| Outcome::Captured(Box::new(captured)))
}

fn tree_of(entries: &[Entry]) -> Result<Vec<u8>> {
    let mut tree = Vec::new();
    for entry in entries {
        entry.encode(&mut tree);
    }
    if !is_bounded(&tree) {
        // No snapshot rather than one that no restore would take.
        return Err(Error::config(
            "exclude",
            format!("there is too much to back up in one snapshot: {} entries", entries.len()),
        ));
    }
    Ok(tree)
}

/// Fixes the snapshot's content on disk.
fn seal(plan: &Plan, next_pack: u32, files: &[u8]) -> Result<Captured> {
    let manifest = &plan.manifest;
    let object = Snapshot::seal(
        manifest,
        &plan.id,
        &plan.key,
        plan.repository,
        &plan.slots,
        &*plan.entropy,
    )?;
    let mut written =
        plan.lineage.as_ref().map(|newest| newest.written.clone()).unwrap_or_default();
    written.push(plan.id.to_string());
    let newest = Newest {
        snapshot: plan.id.to_string(),
        sequence: manifest.sequence,
        sha256: crate::crypto::sha256(&object),
        next_pack,
        written,
        object,
    };
    let new = manifest.packs.iter().filter(|pack| pack.number >= plan.first_new());
    let captured = Captured {
        newest,
        packs: new.map(|pack| pack.name).collect(),
        base: plan.base.clone(),
        counts: manifest.counts,
        remarks: manifest.remarks.clone(),
    };
    plan.spool.seal(&captured, files)?;
    Ok(captured)
}

fn opened(plan: &Plan, pack: &PackRef) -> Result<PackIndex> {
    let local = plan.spool.tail(pack)?;
    PackIndex::open(&plan.key, plan.repository, plan.id.machine, pack, &local)
}
