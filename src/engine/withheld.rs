//! What a snapshot of these settings never holds.

use super::session::Settings;
use crate::error::Result;
use crate::source::withheld::{OwnSecrets, Withheld};

/// Our own secrets; where nothing is encrypted, all that are recognised. Reads the configuration.
pub(crate) fn withheld(settings: &Settings) -> Result<Withheld> {
    let secrets = OwnSecrets {
        application_key: settings.store.application_key.as_ref(),
        passphrase: settings.passphrase.as_ref(),
        recovery_code: settings.recovery_code.as_ref(),
        old_keys: &settings.old_keys,
    };
    let config = settings.config_path.as_deref();
    Withheld::new(&settings.state_dir, config, secrets, !settings.encrypt, crate::crypto::sha256)
}
