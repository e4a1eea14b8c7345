//! The production daemon.
