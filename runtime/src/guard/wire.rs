//! What daemon and guard say to each other, and its frames: a length (four bytes, little end first), then bincode.

use crate::postgres::{Said, Upstream};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use yoke_core::permission::{GuardView, Permission};
use yoke_core::step::{Order, Outcome};

/// No frame is longer: the largest carry a record's history.
const LONGEST: usize = 1 << 20;

/// From the daemon. Before the first of these, it sends its [`Context`](crate::postgres::Context).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum GuardRequest {
    /// How long a primary may serve.
    Permission(Permission),
    /// A step to carry out.
    Order {
        /// The order.
        order: Order,
        /// Where the database of the member listens that the step names, if it is known.
        upstream: Option<Upstream>,
    },
}

/// From the guard.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum GuardReply {
    /// What it holds has changed. The first reply of all is one.
    View(GuardView),
    /// What came of an order.
    Answer {
        /// The order's number.
        number: u64,
        /// What came of it.
        outcome: Outcome,
    },
    /// How far a clone is, in bytes.
    Progress {
        /// The order's number.
        number: u64,
        /// Copied.
        done: u64,
        /// To copy.
        total: u64,
    },
    /// What was decided and why, for the log.
    Explain(String),
}

/// One value as a frame.
///
/// # Errors
/// It is too long.
pub fn encode<T: Serialize>(value: &T) -> Said<Vec<u8>> {
    let body = bincode::serde::encode_to_vec(value, bincode::config::standard())
        .map_err(|e| format!("cannot encode a message of daemon and guard: {e}"))?;
    match u32::try_from(body.len()) {
        Ok(length) if body.len() <= LONGEST => Ok([&length.to_le_bytes()[..], &body].concat()),
        _ => Err(format!(
            "a message of daemon and guard has {} bytes: at most {LONGEST} are allowed",
            body.len()
        )),
    }
}

/// Bytes that came in, taken apart into frames.
#[derive(Default, Debug)]
pub struct Frames {
    bytes: Vec<u8>,
}

impl Frames {
    /// More bytes came in.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next value, if all of it has come.
    ///
    /// # Errors
    /// What came is no frame of ours: the connection is of no use any more.
    pub fn take<T: DeserializeOwned>(&mut self) -> Said<Option<T>> {
        let Some((length, rest)) = self.bytes.split_first_chunk::<4>() else {
            return Ok(None);
        };
        let length = u32::from_le_bytes(*length) as usize;
        if length > LONGEST {
            return Err(format!(
                "a frame of {length} bytes was announced: at most {LONGEST} are allowed"
            ));
        }
        let Some(body) = rest.get(..length) else {
            return Ok(None);
        };
        let decoded = bincode::serde::decode_from_slice(body, bincode::config::standard());
        let (value, used) =
            decoded.map_err(|e| format!("cannot decode a message of daemon and guard: {e}"))?;
        if used != length {
            return Err(format!("a frame holds {} bytes too many", length - used));
        }
        self.bytes.drain(..4 + length);
        Ok(Some(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_through_in_any_pieces() {
        let sent = [
            GuardReply::View(GuardView::NEW),
            GuardReply::Explain("why".into()),
        ];
        let bytes: Vec<u8> = sent
            .iter()
            .flat_map(|r| encode(r).expect("short"))
            .collect();
        let mut frames = Frames::default();
        let mut got = Vec::new();
        for byte in bytes {
            frames.push(&[byte]);
            while let Some(reply) = frames.take::<GuardReply>().expect("whole") {
                got.push(reply);
            }
        }
        assert_eq!(got, sent);
    }

    #[test]
    fn a_frame_too_long_or_with_more_in_it_is_refused() {
        let mut frames = Frames::default();
        frames.push(&[0xff; 8]);
        assert!(frames.take::<GuardReply>().is_err());
        let mut long = encode(&GuardReply::Explain(String::new())).expect("short");
        long[0] += 1;
        long.push(0);
        let mut frames = Frames::default();
        frames.push(&long);
        assert!(frames.take::<GuardReply>().is_err());
    }
}
