//! The production daemon.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod clock;
pub mod codec;
