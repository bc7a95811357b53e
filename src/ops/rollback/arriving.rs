//! What a machine that has nothing may be given, and what of it stays as it is.

use std::path::PathBuf;

use super::live::Live;
use super::wanted::Wanted;
use crate::crypto::sha256_hex;
use crate::engine::session::{Session, Settings};
use crate::error::Result;
use crate::local::Local;
use crate::source::blank::{self, Bootstrap, Content};

/// What shows that somebody uses this machine already; `None` where it has nothing. Opens databases.
///
/// # Errors
/// `B2_CONFIG`, `B2_DATABASE_IN_PROCESS`, and those of the file system.
pub(in crate::ops) async fn in_use(session: &Session) -> Result<Option<String>> {
    session.local.temporary()?;
    let live = Live::scan(session).await?;
    let (_, content) = live.content(session.local.temporary_path("look")).await?;
    match content? {
        Content::Used(path) => Ok(Some(path.to_string())),
        Content::Blank(_) => Ok(None),
    }
}

/// What a machine that has nothing may be given.
#[derive(Clone, Debug)]
pub(super) struct Arriving {
    /// Files that the host makes by itself.
    pub(super) bootstrap: Bootstrap,
    /// Whether nobody agreed to a plan: then nothing else is replaced.
    pub(super) by_itself: bool,
}

impl Arriving {
    /// Finds out whether the machine has nothing, for a snapshot that another machine made. The live state is
    /// given back.
    pub(super) async fn of(
        local: &Local,
        settings: &Settings,
        wanted: &Wanted,
        live: Live,
        with_secrets: bool,
    ) -> Result<(Live, Option<Self>)> {
        let name = format!("look-{}", std::process::id());
        let scratch = local.temporary_path(&name);
        let (mut live, content) = live.content(scratch).await?;
        let bootstrap = match content {
            Ok(Content::Blank(bootstrap)) => bootstrap,
            Err(error) if wanted.by_itself => return Err(error),
            // Somebody looks at the plan: an ordinary rollback is right for whatever is here.
            Ok(Content::Used(_)) | Err(_) => return Ok((live, None)),
        };
        if with_secrets {
            live.take_secrets(settings)?;
        }
        Ok((live, Some(Self { bootstrap, by_itself: wanted.by_itself })))
    }
}

impl Live {
    /// Whether anything of a user's is here. Opens databases.
    pub(super) async fn content(self, scratch: PathBuf) -> Result<(Self, Result<Content>)> {
        Session::blocking(move || {
            let content = blank::read(&self.roots, &self.inside, &self.walk, &scratch, sha256_hex);
            Ok((self, content))
        })
        .await
    }
}
