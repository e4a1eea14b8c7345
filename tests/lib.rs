//! End to end: real daemons, real PostgreSQL, and for some the network between them.
//!
//! | file | its one idea |
//! | --- | --- |
//! | `programs` | the programs under test, built once |
//! | `scene` | a cluster with clients, set up, judged and taken down around a test's body |
//! | `faults` | a fault, its return, and what the clients saw of it |
//! | `disk` | a node's directory on a disk that can hang |
//! | `host` | one host to be spoiled: its daemon refuses to start, and `yoke check` says why |
//! | `losses` | what a host can lose or get back from long ago, and the words that `yokeadm list` asks an operator for |
//! | `storm` | not a test, but a program: faults of all kinds, drawn from a seed, for as long as one likes |
//!
//! The cluster, its clients and its network are the demo's (`runtime/src/demo/`).
//!
//! Needs PostgreSQL 13 or newer and, for the network, root. Nothing sleeps and hopes: every wait is for a condition, with a
//! deadline; how long things took is printed (`cargo test -p tests -- --nocapture`), not asserted.

pub mod disk;
pub mod faults;
pub mod host;
pub mod losses;
pub mod programs;
pub mod scene;
pub mod storm;

pub use yoke::demo::network;

/// A result whose error is for people.
pub type Said<T> = Result<T, String>;
