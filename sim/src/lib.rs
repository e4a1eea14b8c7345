//! The simulator: Yoke's real node, steward and guard on simulated hosts, networks, disks, clocks, databases and clients,
//! with every promise judged after every event.
//!
//! A seed makes a [`Scenario`], which is data; small choices come from a hash of what they are about ([`choices`]), so
//! that a changed scenario keeps all choices that it does not touch. Integers only, one queue, no hash maps: equal seeds,
//! equal digests, whatever the build and the number of threads.
//!
//! ```text
//! cargo run --release -p sim -- --seeds 0..2000             what was covered, and whether a promise was broken
//! cargo run --release -p sim -- --seed 7 --print-scenario   as a file that --scenario reads
//! cargo run --release -p sim -- --seed 7 --trace            the story in words, one line an event
//! cargo run --release -p sim -- --seed 7 --step             step by step, forwards and back, with what each step changed
//! cargo run --release -p sim -- --seed 7 --html page.html   lanes of members, messages, roles, gates, for a browser
//! cargo run --release -p sim -- --seed 7 --shrink           the smallest scenario that breaks the same promise
//! cargo run --release -p sim -- --bench                     how fast it is
//! cargo run --release -p sim --features mutants -- mutants --seeds 0..2000
//! ```
//! What was found once is kept in `sim/scenarios/` and run by the tests.
//!
//! That equal seeds are equal runs is one of the promises: one seed in twenty is run beside its twin, and the first step
//! in which they part is named. `--record FILE` and `--compare FILE` do the same across builds and machines.
//!
//! # What puts each rule to the test
//! | rule | what happens to it ([`scenario::What`]) | which oracle notices first |
//! | --- | --- | --- |
//! | R1 | daemons and hosts die between a write of the state and its sync, and between any two actions | `one_leader`, `newest_record` |
//! | R2, R3 | messages held back for seconds, lost, doubled; elections on unbounded clocks | `gate`, `newest_record` |
//! | R4 | every election | `eligible` |
//! | R5, R10 | paused daemons and hosts, restarts, clocks 10 % apart, slow answers | `two_primaries` |
//! | R6 | a daemon dies right after it proposed, and is elected or resumes | `gate`, `lost_write` |
//! | R7, R8, R9 | gates that take effect late, walsender by walsender; late acknowledgements; records that shrink and grow | `gate`, `lost_write` |
//! | R11, R15 | clones and rewinds that break off, rewinds that lie, equal timeline numbers, directories and snapshots restored, base backups of others | `gate`, `half_written`, `lost_write` |
//! | R12 | state files lost and restored, on any member, alone and while others are down | `gate`, `liveness` |
//! | R14 | a secondary that begins with a database of its own | `liveness` |
//! | R16 | orders that outlive their daemon | `gate`, `two_primaries` |
//! | R18 | sessions that stay open across a promotion, writes revealed by a crash recovery | `dirty_read` |
//! | R19 | databases and disks that die or hang | `liveness` |
//! | R20 | standbys that restart without a leader | `gate`, `liveness` |
//!
//! R13 is the connection's (`runtime/src/peer/handshake.rs`); R17 is not there yet.

mod choices;
mod client;
mod clock;
mod coverage;
mod daemon;
mod digest;
mod disk;
mod generate;
mod guardian;
mod host;
mod loss;
mod many;
mod network;
mod node;
mod operator;
mod oracle;
#[cfg(feature = "mutants")]
mod original;
mod page;
mod postgres;
mod record;
mod run;
pub mod scenario;
mod shrink;
mod states;
mod step;
pub mod story;
mod trace;
mod twin;
mod word;
mod world;

pub use coverage::Coverage;
pub use generate::scenario as scenario_of;
pub use many::{run_many, run_until};
pub use page::page;
pub use record::{compare, record};
pub use run::{How, Report, Session, catch_panics, run, run_bytes};
pub use scenario::Scenario;
pub use shrink::{Shrunk, shrink};
pub use step::debug;
pub use story::Story;
pub use twin::run_twice;
pub use world::Violation;
