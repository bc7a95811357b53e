//! Unpacking: fetches what a snapshot holds, and writes it into a fresh directory.

pub(crate) mod target;
pub(crate) mod work;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::StreamExt as _;

use super::session::Session;
use crate::error::{Error, Result};
use crate::format::Run;
use crate::progress::Phase;
use crate::repo::{KeyRing, PackSource};

use work::{Piece, Work};

/// Packs that are fetched and opened at the same time.
const PARALLEL: usize = 3;

/// Fetches everything that is wanted and writes it. With `whole` most of each pack is. Damage is noted in `work`.
pub(crate) async fn fetch(
    session: &Session,
    source: &PackSource,
    work: &Arc<Work>,
    whole: bool,
) -> Result<()> {
    let preparing = Arc::clone(work);
    Session::blocking(move || preparing.prepare()).await?;

    let jobs = work
        .pieces()
        .into_iter()
        .map(|(number, pieces)| fetch_pack(&session.ring, source, work, number, pieces, whole));
    let mut jobs = futures_util::stream::iter(jobs).buffer_unordered(PARALLEL);
    while let Some(done) = jobs.next().await {
        done?;
        let bytes = work.done_bytes.load(Ordering::Relaxed);
        session.report(
            Phase::Restore,
            bytes,
            Some(work.total_bytes),
            work.done_files.load(Ordering::Relaxed),
        );
    }
    let finishing = Arc::clone(work);
    session.ring.cpu().run(move || finishing.finish()).await?
}

/// Fetches what is needed of one pack and writes it. An error is one of writing or of the connection; damage
/// is noted with the files that it costs.
async fn fetch_pack(
    ring: &KeyRing,
    source: &PackSource,
    work: &Arc<Work>,
    number: u32,
    pieces: Vec<Piece>,
    whole: bool,
) -> Result<()> {
    let damaged = |error: Error| match error {
        Error::Damaged { .. } | Error::ObjectMissing { .. } | Error::Version { .. } => {
            work.fail(&pieces, &error);
            Ok(())
        }
        error => Err(error),
    };
    let reference = match source.pack(number) {
        Ok(reference) => reference,
        Err(error) => return damaged(error),
    };
    // When most of a pack is wanted, one request brings it together with its footer.
    let mostly = whole && reference.used_bytes.saturating_mul(2) >= reference.bytes;
    let (index, have) =
        match source.index(&reference, if mostly { reference.bytes } else { 0 }).await {
            Ok(opened) => opened,
            Err(error) => return damaged(error),
        };
    let runs: Vec<Run> = pieces.iter().map(|piece| piece.run).collect();
    let frames = index.frames_of(&runs);
    let (regions, failed) = source.regions(&reference, &index, &frames, have).await;
    match failed {
        None | Some(Error::Damaged { .. } | Error::ObjectMissing { .. }) => {}
        Some(error) => return Err(error),
    }
    let (writing, object) = (Arc::clone(work), reference.name.object(source.snapshot().id.machine));
    ring.cpu().run(move || writing.write_pack(&index, &regions, &pieces, &frames, &object)).await?
}
