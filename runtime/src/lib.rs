//! The daemon around the core: everything that touches the world for the core's machines.
//!
//! ```text
//!   peer::listen ─┐                      ┌─► persister ─► state_file
//!   admin::server ┼─► driver (the node,  ┼─► peer::mailbox ─► peer::link
//!   persister ────┤    and the steward)  ┼─► hands ─► the guard, or SQL sessions
//!   hands ────────┘                      ├─► hooks::role
//!                                        └─► replies, log
//! ```
//! Another member's guard has its copy made by `copying::serve`, past the driver: that only says where this member stands.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod admin;
pub mod check;
pub mod clock;
pub mod codec;
pub mod config;
pub mod copying;
pub mod daemon;
pub mod demo;
pub mod driver;
pub mod guard;
pub mod hands;
pub mod hooks;
pub mod init;
pub mod log;
pub mod peer;
pub mod persister;
pub mod postgres;
mod proc_stat;
pub mod show;
pub mod signals;
pub mod state_file;
pub mod upgrade;
