//! What the fuzz targets do with their bytes. The same functions run over the committed corpora in normal tests.
//!
//! | target | what the bytes are | what has to hold |
//! | --- | --- | --- |
//! | [`frames`] | what comes over a connection | no panic, memory in proportion to what came, what decodes encodes to the same value |
//! | [`ini`] | a configuration file | no panic; an error names its line and what stands there; what is read, printed again, is read alike |
//! | [`hard_state`] | the state file | never a fresh start; torn, foreign and other forms are told apart; no state makes a node panic |
//! | [`events`] | what happens to one member | no panic; terms, votes, records and permissions go one way only |
//! | [`schedule`] | a whole run of the simulator | every promise |
#![cfg_attr(test, allow(clippy::unwrap_used))]

#[cfg(feature = "daemon")]
pub mod events;
#[cfg(feature = "daemon")]
pub mod frames;
#[cfg(feature = "daemon")]
pub mod hard_state;
#[cfg(feature = "daemon")]
pub mod ini;
pub mod memory;
pub mod schedule;
