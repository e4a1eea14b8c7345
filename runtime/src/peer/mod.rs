//! The members' connections to each other.
//!
//! Each daemon dials every other one and sends on that connection only; what it receives comes on the connections that
//! the others dialled. Messages may get lost: nothing waits for a peer, and nothing is sent twice.

pub mod directory;
pub mod handshake;
pub mod link;
pub mod listen;
pub mod mailbox;
mod socket;

pub use directory::Directory;
pub use handshake::Hello;
pub use mailbox::Mailbox;

#[cfg(test)]
mod tests;
