//! The simulator: Yoke's real node, steward and guard on simulated hosts, networks, disks, clocks, databases and clients,
//! with every promise judged after every event.
//!
//! A seed makes a [`Scenario`], which is data; small choices come from a hash of what they are about ([`choices`]), so
//! that a changed scenario keeps all choices that it does not touch. Integers only, one queue, no hash maps: equal seeds,
//! equal digests, whatever the build and the number of threads.
//!
//! ```text
//! cargo run --release -p sim -- --seeds 0..2000             what was covered, and whether a promise was broken
//! cargo run --release -p sim -- --seeds 0..2000 --profile chaos   the same out of one profile: see [`Profile`]
//! cargo run --release -p sim -- --seeds 0..2000 --scenario sim/scenarios   known runs told again, a little otherwise
//! cargo run --release -p sim -- --seed 7 --print-scenario   as a file that --scenario reads
//! cargo run --release -p sim -- --seed 7 --trace            the story in words, one line an event
//! cargo run --release -p sim -- --seed 7 --step             step by step, forwards and back, with what each step changed
//! cargo run --release -p sim -- --seed 7 --html page.html   lanes of members, messages, roles, gates, for a browser
//! cargo run --release -p sim -- --seed 7 --shrink           the smallest scenario that breaks the same promise
//! cargo run --release -p sim -- --bench                     how fast it is
//! cargo run --release -p sim -- pairs                       one failover, one hand-over: every action x every fault
//! cargo run --release -p sim -- --seeds 0..3000 --require-probes   fails if a situation was never come by
//! cargo run --release -p sim -- --seed 7 --probe LeaseLost --shrink   the fewest faults that come by this one
//! cargo run --release -p sim -- study --svg study.svg       failovers and unavailability a year, by decision_timeout
//! cargo run --release -p sim --features mutants -- mutants --seeds 0..2000
//! ```
//! What was found once is kept in `sim/scenarios/` and run by the tests. What chance would hardly write is also told again
//! by some seeds, with a few of its small choices and times changed (`generate/remembered.rs`).
//!
//! That equal seeds are equal runs is one of the promises: one seed in twenty is run beside its twin, and the first step
//! in which they part is named. `--record FILE` and `--compare FILE` do the same across builds and machines.
//!
//! # What puts each rule to the test
//! | rule | what happens to it ([`scenario::What`]) | which oracle notices first |
//! | --- | --- | --- |
//! | R1 | daemons and hosts die between a write of the state and its sync, and between any two actions; full disks, slow syncs | `one_leader`, `newest_record` |
//! | R2, R3 | messages held back for seconds, lost, doubled, repeated long after; partitions of groups, links that come and go; elections on unbounded clocks | `gate`, `newest_record` |
//! | R4 | every election | `eligible` |
//! | R5, R10 | paused daemons, guards and hosts, restarts, clocks 10 % apart that change their rate, slow answers | `two_primaries`, `guard_view` |
//! | R6 | a daemon dies right after it proposed, at any step of a promotion, and is elected or resumes | `gate`, `lost_write` |
//! | R7, R8, R9 | gates that take effect late, walsender by walsender; late acknowledgements; records that shrink and grow | `gate`, `lost_write` |
//! | R11, R15 | clones and rewinds that break off, rewinds that lie, equal timeline numbers, directories and snapshots restored, base backups of others | `gate`, `half_written`, `lost_write` |
//! | R12 | state files lost, torn and restored, on any member, alone and while others are down | `gate`, `liveness` |
//! | R13 | configurations edited host by host, which would make two majorities | `specification`, `two_primaries` |
//! | R14 | a secondary that begins with a database of its own | `liveness` |
//! | R16 | orders that outlive their daemon, and steps that come late | `specification`, `guard_view`, `gate` |
//! | R17 | copies that an operator's word leaves out, also where the last that held all is lost (`lose-last`: S1's exception) | `specification`, `vanished` |
//! | R18 | sessions that stay open across a promotion, writes revealed by a crash recovery | `dirty_read` |
//! | R19 | databases and disks that die or hang, some until they are started again; networks that stand as they are | `liveness`, `standing` |
//! | R20 | standbys that restart without a leader | `specification`, `liveness` |
//!
//! Not there: a copy that is adopted (R17) while a host with power is cut off. Operators stop that one first.

mod choices;
mod client;
mod clock;
mod coverage;
mod daemon;
mod digest;
mod disk;
mod edited;
mod event;
pub mod exhaustive;
mod generate;
mod guardian;
mod guided;
mod host;
mod loss;
mod many;
pub mod matrix;
mod network;
mod node;
mod operator;
mod oracle;
#[cfg(feature = "mutants")]
mod original;
mod page;
pub mod pairs;
mod postgres;
mod probe;
mod queue;
mod record;
mod run;
pub mod scenario;
mod shrink;
mod states;
mod step;
pub mod story;
pub mod study;
mod trace;
mod trouble;
mod twin;
mod word;
mod world;

pub use coverage::Coverage;
pub use generate::{Profile, retold, scenario as scenario_of, scenario_in};
pub use guided::{Search, Situations, watched};
pub use many::{run_many, run_scenarios, run_until};
pub use page::page;
pub use probe::{Probe, Reached, Tally, fewest_faults};
pub use record::{compare, record};
pub use run::{How, Report, Session, catch_panics, run};
pub use scenario::Scenario;
pub use shrink::{Shrunk, shrink};
pub use step::debug;
pub use story::Story;
pub use trouble::Trouble;
pub use twin::run_twice;
pub use world::Violation;
