//! The protocol of Yoke, as three small machines without I/O, clock, thread or randomness.
//!
//! ```text
//!   peers, operators, time ──► Node ── PgTarget ──► Steward ── Order ──► Guard ── Execute ──► PostgreSQL
//!                               │ ▲                  │   ▲                 │
//!                               │ └──── PgStatus ────┘   └──── Outcome ────┘
//!                               └────────── Permission ───────────────────►
//! ```
//!
//! - [`Node`] holds the protocol: terms, votes, the record, leases. It says what its database should be.
//! - [`Steward`] chooses the next primitive step towards that, and alone says what the database is.
//! - [`Guard`] is the postmaster's parent: it holds the permission, fences at its end, carries out one order at a time.
//!
//! # Driving them
//! All three are driven alike: `handle` one event with the host's present time, then take actions from `poll_action`
//! until `None`, then ask `next_timeout` when to come again. A late or spurious timeout does no harm. "Now" is read
//! *after* what is handed in was received.
//!
//! # Where each rule is kept
//! The rules stand in the design; each tag stands in the code that keeps it and in the test that shows it.
//!
//! | rules | file |
//! | --- | --- |
//! | R1 durable | [`outbox`] |
//! | R2 one vote, R4 eligible, R5 promise | `node/election.rs`, `node/promise.rs` |
//! | R3 newest record, R11 discards, R20 start | `node/following.rs`, `node/asking.rs`; done by `steward/rejoin.rs` |
//! | R6 take over | `node/register.rs`, `node/leader.rs` (resume); done by `steward/promotion.rs` |
//! | R7 gate, R18 doors | `node/serving.rs`; proven by `steward/proof.rs`; one connection a name by `steward/slots.rs` |
//! | R8 shrink first, R9 grow last | `node/in_sync.rs` |
//! | R10 lease | `node/lease.rs`; ended by [`guard`] |
//! | R12 genesis, amnesia | `node/asking.rs`, `node/amnesia.rs`; why a member stays out: `node/stays_out.rs` |
//! | R15 notes of the own copy | `node/noted.rs` |
//! | R14 a database is made at genesis only | `node/asking.rs`, `steward/plan.rs` |
//! | R14 same database, R15 same history | [`record`], `steward/rejoin.rs`, `steward/promotion.rs` |
//! | what the database should be: R1, R11 | `node/target.rs` |
//! | R16 one order | [`guard`], [`steward`] |
//! | pauses; a copy replaced on an operator's word (R11) | `node/pausing.rs`, `node/reinit.rs` |
//! | R19 give way | `node/give_way.rs`, `node/hand_over.rs`, `node/hanging.rs` |
#![forbid(unsafe_code)]

pub mod action;
pub mod assertion;
pub mod config;
pub mod event;
pub mod guard;
pub mod hard_state;
pub mod member;
pub mod message;
#[cfg(feature = "mutants")]
pub mod mutant;
pub mod node;
pub mod operator;
pub mod outbox;
pub mod permission;
pub mod postgres;
pub mod reason;
pub mod record;
pub mod step;
pub mod steward;
pub mod time;
pub mod view;

pub use action::Action;
pub use config::Config;
pub use event::{Boot, Event};
pub use guard::Guard;
pub use hard_state::HardState;
pub use message::Message;
pub use node::Node;
pub use steward::Steward;
pub use time::{Duration, Instant};
