//! The simulator: Yoke's real node, steward and guard on simulated hosts, networks, disks, clocks, databases and clients,
//! with every promise judged after every event.
//!
//! A seed makes a [`Scenario`], which is data; small choices come from a hash of what they are about ([`choices`]), so
//! that a changed scenario keeps all choices that it does not touch. Integers only, one queue, no hash maps: equal seeds,
//! equal digests, whatever the build and the number of threads.
//!
//! ```text
//! cargo run --release -p sim -- --seeds 0..2000             what was covered, and whether a promise was broken
//! cargo run --release -p sim -- --seed 7 --trace            what happened, one line an event
//! cargo run --release -p sim -- --seed 7 --print-scenario   as a file that --scenario reads
//! cargo run --release -p sim --features mutants -- mutants --seeds 0..2000
//! ```
//! What was found once is kept in `sim/scenarios/` and run by the tests.

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
mod network;
mod operator;
mod oracle;
mod postgres;
mod run;
pub mod scenario;
mod trace;
mod world;

pub use coverage::Coverage;
pub use generate::scenario as scenario_of;
pub use run::{How, Report, catch_panics, run, run_bytes, run_many};
pub use scenario::Scenario;
pub use world::Violation;
