//! The runtime of Yoke: everything that touches the world for the core's machines.
#![warn(missing_docs)]

pub mod guard;
pub mod postgres;
