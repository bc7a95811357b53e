//! What a rollback would do: everything that is known before anything is done.

use std::sync::Arc;

use super::arriving::Arriving;
use super::compare::compare;
use super::items::Compared;
use super::live::Live;
use super::plan::{self, RollbackPlan, plan_of};
use super::wanted::Wanted;
use super::{consent, effects};
use crate::engine::select::nothing_at;
use crate::engine::session::Session;
use crate::engine::tree::{choose, entries, incomplete};
use crate::error::{Error, Result};
use crate::repo::PackSource;

/// Everything that is known before anything is done.
pub(super) struct Preview {
    pub(super) compared: Compared,
    pub(super) source: PackSource,
    pub(super) plan: RollbackPlan,
    /// That of the plan.
    pub(super) hash: [u8; 32],
}

pub(super) async fn preview(session: &Session, wanted: &Wanted) -> Result<Preview> {
    let live = Live::scan(session).await?;
    let (snapshot, mut warnings) = choose(session, &wanted.snapshot, wanted.confirmed).await?;
    warnings.extend(incomplete(session, &wanted.snapshot, &snapshot).await?);
    warnings.splice(0..0, session.warnings.iter().cloned());
    warnings.extend(live.warnings.iter().cloned());
    let local = Some(session.local_repository(snapshot.key.is_sealed()));
    let local = local.filter(|local| local.dir().is_dir());
    let source = PackSource::new(Arc::clone(&session.store), Arc::new(snapshot), local);
    let all = entries(&source).await?;
    let manifest = source.snapshot().manifest.clone();
    let (scope, mode) = (Arc::clone(&wanted.scope), wanted.mode);
    let foreign = session.local.machine()? != Some(source.snapshot().id.machine);
    let (live, arriving) = if foreign && wanted.paths.is_empty() && !scope.is_undo() {
        Arriving::of(&session.local, &session.settings, wanted, live, manifest.includes_secrets)
            .await?
    } else {
        (live, None)
    };
    let compared =
        Session::blocking(move || compare(live, &manifest, all, &scope, mode, arriving)).await?;
    if !compared.matched && !wanted.paths.is_empty() {
        let id = source.snapshot().id.to_string();
        let Some(root) = &compared.unconfigured else {
            let (all, roots) = (entries(&source).await?, &source.snapshot().manifest.roots);
            return Err(nothing_at("--path", &id, &wanted.paths, &all, roots));
        };
        let paths = wanted.paths.join(", ");
        let message = format!(
            "{paths} lies in {root}, which is not configured now; `restore {id} --to` brings it back"
        );
        return Err(Error::config("--path", message));
    }
    warnings.extend(compared.warnings.iter().cloned());
    let (effects, configured) = effects::of(session, &compared, &source).await?;
    let hash = plan::hash(&compared, source.snapshot(), wanted.mode, &effects);
    let mut plan = plan_of(&compared, source.snapshot(), hash, effects, warnings);
    plan.touches.configuration |= configured;
    let mut preview = Preview { compared, source, plan, hash };
    preview.plan.needs_approval = consent::reasons(
        session,
        &preview.compared,
        &preview.source,
        &preview.plan.effects,
        wanted.mode,
    )
    .await?;
    Ok(preview)
}
