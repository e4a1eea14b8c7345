//! The guard's end of the connection to its daemon: never blocks.

use crate::guard::wire::{Frames, GuardReply, encode};
use crate::postgres::Said;
use serde::de::DeserializeOwned;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

/// A daemon that reads nothing while this much waits for it hangs: it is told only what it asked for, and what changed.
const MOST_UNSENT: usize = 4 << 20;

/// The connection.
#[derive(Debug)]
pub(super) struct Link {
    socket: UnixStream,
    frames: Frames,
    unsent: Vec<u8>,
}

impl Link {
    /// `socket` must not block.
    pub(super) fn new(socket: UnixStream) -> Link {
        Link {
            socket,
            frames: Frames::default(),
            unsent: Vec::new(),
        }
    }

    /// Reads what has come; false at the connection's end.
    pub(super) fn fill(&mut self) -> bool {
        let mut chunk = [0; 16 * 1024];
        loop {
            match self.socket.read(&mut chunk) {
                Ok(0) => return false,
                Ok(n) => self.frames.push(&chunk[..n]),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return e.kind() == ErrorKind::WouldBlock,
            }
        }
    }

    /// The next value that has come.
    pub(super) fn take<T: DeserializeOwned>(&mut self) -> Said<Option<T>> {
        self.frames.take()
    }

    /// Says something, as soon as the daemon reads.
    pub(super) fn send(&mut self, reply: &GuardReply) {
        let can_miss = matches!(reply, GuardReply::Explain(_) | GuardReply::Progress { .. });
        if self.unsent.len() > MOST_UNSENT && can_miss {
            return;
        }
        match encode(reply) {
            Ok(frame) => self.unsent.extend_from_slice(&frame),
            // Only an explanation or a sentence of a failure can be as long as that.
            Err(_) => self.send(&GuardReply::Explain("(too long to be told)".into())),
        }
    }

    /// Says something that is no frame: the greeting.
    pub(super) fn send_bytes(&mut self, bytes: &[u8]) {
        self.unsent.extend_from_slice(bytes);
    }

    /// Sends as much as goes without waiting.
    pub(super) fn flush(&mut self) {
        while !self.unsent.is_empty() {
            match self.socket.write(&self.unsent) {
                Ok(n @ 1..) => {
                    self.unsent.drain(..n);
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                // The daemon is gone; reading tells so.
                _ => self.unsent.clear(),
            }
        }
    }

    /// Whether something waits to be sent.
    pub(super) fn has_output(&self) -> bool {
        !self.unsent.is_empty()
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
