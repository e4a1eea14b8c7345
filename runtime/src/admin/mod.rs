//! What operators ask of a running daemon, on the advertised port.

pub mod client;
pub mod desk;
pub mod operate;
pub mod pausing;
pub mod protocol;
pub mod server;
pub mod word;

pub use protocol::{Report, Request, Response};
