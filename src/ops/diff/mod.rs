//! Diff: what is different between a snapshot and another one, or the state as it is now.

mod live;
mod pairs;
mod report;
pub(super) mod text;

pub use report::{Change, DiffEntry, DiffReport};

use std::time::Instant;

use crate::engine::roots::Places;
use crate::engine::select::Selection;
use crate::engine::session::Session;
use crate::engine::tree::{entries, source};
use crate::error::{Error, Result};
use crate::repo::PackSource;

use live::Live;
use pairs::Item;
use text::After;

/// What a snapshot is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiffTo {
    /// The state as it is now.
    Live,
    /// Another snapshot: its id, or `latest`.
    Snapshot(String),
}

/// The name of the present state.
pub const LIVE: &str = "live";

/// What to compare.
#[derive(Clone, Debug)]
pub struct DiffOptions {
    /// Id of a snapshot, or `latest`.
    pub from: String,
    /// The other side.
    pub to: DiffTo,
    /// Paths or globs below the state directory; all when empty. A directory stands for everything in it.
    pub paths: Vec<String>,
    /// Whether to say which lines of small text files differ.
    pub text: bool,
    /// Whether snapshots may be used that are not authenticated.
    pub allow_unauthenticated: bool,
}

/// Compares a snapshot with another one or with the present state.
///
/// Compared with the state it opens files of it, so it must not run in the gateway's process. What is not as it
/// was at the newest push is read and hashed, but no database: what a snapshot holds of one is a copy with rows
/// removed, which has other bytes than the file it was made of. A database counts as changed when its file or
/// its log were written since the newest push, which need not have changed a row of it, or when the newest
/// snapshot holds another copy than the compared one.
///
/// What the settings leave out of backups is on neither side of a comparison with the state.
///
/// # Errors
/// `B2_SNAPSHOT_NOT_FOUND`, `B2_WRONG_KEY`, `B2_NOT_AUTHENTICATED`, `B2_DAMAGED` when a manifest or a tree is,
/// `B2_DATABASE_IN_PROCESS`, `B2_CONFIG`, and those of the store and the file system.
pub async fn diff(session: &Session, options: &DiffOptions) -> Result<DiffReport> {
    let started = Instant::now();
    let mut report = session.cancellable(run(session, options)).await?;
    let traffic = session.traffic();
    report.downloaded_bytes = traffic.received_bytes;
    report.requests = traffic.requests;
    report.duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(report)
}

/// One snapshot of a comparison.
struct Side {
    source: PackSource,
    items: Vec<Item>,
    warnings: Vec<String>,
}

async fn side(session: &Session, wanted: &str, confirmed: bool, paths: &Selection) -> Result<Side> {
    let (source, warnings) = source(session, wanted, confirmed).await?;
    let all = entries(&source).await?.into_iter();
    let roots = &source.snapshot().manifest.roots;
    let items = all.filter(|entry| paths.wants_entry(entry, roots)).map(Item::from).collect();
    Ok(Side { source, items, warnings })
}

async fn run(session: &Session, options: &DiffOptions) -> Result<DiffReport> {
    let paths = Selection::new(&options.paths)?;
    let confirmed = options.allow_unauthenticated;
    let Side { source: from, items: before, warnings } =
        side(session, &options.from, confirmed, &paths).await?;
    let id = |source: &PackSource| source.snapshot().id.to_string();
    let mut report = DiffReport { from: id(&from), ..DiffReport::default() };
    report.warnings = session.warnings.iter().cloned().chain(warnings).collect();
    let (places, before, after, content) = match &options.to {
        DiffTo::Live => {
            let live = Live::read(session, &from, before, paths.clone()).await?;
            LIVE.clone_into(&mut report.to);
            report.skipped = live.skipped;
            report.warnings.extend(live.warnings);
            (live.places, live.before, live.after, After::State(live.directories))
        }
        DiffTo::Snapshot(wanted) => {
            let Side { source: to, items: mut after, warnings } =
                side(session, wanted, confirmed, &paths).await?;
            report.to = id(&to);
            report.warnings.extend(warnings);
            let roots = |source: &PackSource| source.snapshot().manifest.roots.clone();
            let places = Places::of(&roots(&from), &roots(&to));
            for item in &mut after {
                item.place = places.of_second(item.entry.root);
            }
            (places, before, after, After::Snapshot(to))
        }
    };
    if before.is_empty() && after.is_empty() && !paths.is_all() {
        let message = format!(
            "neither {} nor {} has anything at {}",
            report.from,
            report.to,
            options.paths.join(", ")
        );
        return Err(Error::config("--path", message));
    }
    let differences = session.ring.cpu().run(move || pairs::differences(before, after)).await?;
    report.describe(&differences, &places);
    if options.text {
        text::add(session, &from, &content, &places, &differences, &mut report).await?;
    }
    Ok(report)
}
