//! What finishes a rollback that is staged or was cut off, or takes it back: with nothing but what is on this machine.
//! Pushes, rollbacks and automatic restores stand on it.

mod apply;
mod aside;
mod blank;
mod config;
mod database;
mod moves;
mod places;
mod recover;
mod roots;

pub(in crate::ops) use aside::{AsideItem, SetAside, set_aside};
pub(in crate::ops) use blank::no_longer_blank;
#[cfg(feature = "testing")]
pub(in crate::ops) use config::{Change, merge};
pub(in crate::ops) use config::{Coming, MAX_CONFIG_BYTES, parse};
pub(in crate::ops) use database::keep;
pub(in crate::ops) use places::{LOGS, of_places};
pub use recover::{Gateway, Outcome, RecoverReport, recover};
pub(in crate::ops) use recover::{
    before_push, carry_out, databases, needs_stop, recover_locked, refuse_busy, runs,
};
