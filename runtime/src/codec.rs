//! Values to bytes and back: on the wire, towards the guard, and in the state file.
//!
//! The only module that knows bincode, whose upstream has ended: to replace it means to change this file. A change of the
//! bytes is a change of the protocol version and of the state file's version; the tests below hold the bytes.

use serde::{Serialize, de::DeserializeOwned};
use tokio::io::{AsyncRead, AsyncReadExt};

/// The largest frame, and the largest state. The largest real one is some hundred bytes.
pub const MAX_BYTES: usize = 1 << 20;

/// Why bytes are not a value, or a value does not become bytes.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// The bytes mean nothing, end too early, or ask for more memory than a frame may hold.
    #[error("undecodable bytes: {0}")]
    Undecodable(String),
    /// The value is complete, and bytes are left.
    #[error("{0} bytes follow after the end of the value")]
    Trailing(usize),
    /// Larger than `MAX_BYTES`.
    #[error("{0} bytes are more than a frame may hold ({MAX_BYTES})")]
    TooLarge(usize),
    /// The connection failed or ended inside a frame.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

fn format() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<MAX_BYTES>()
}

/// The value's bytes.
///
/// # Errors
/// It is larger than `MAX_BYTES`.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, CodecError> {
    let bytes = bincode::serde::encode_to_vec(value, format())
        .map_err(|e| CodecError::Undecodable(e.to_string()))?;
    if bytes.len() > MAX_BYTES {
        return Err(CodecError::TooLarge(bytes.len()));
    }
    Ok(bytes)
}

/// The value that exactly these bytes are.
///
/// # Errors
/// They are not one, or more than one.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let (value, read) = bincode::serde::decode_from_slice(bytes, format())
        .map_err(|e| CodecError::Undecodable(e.to_string()))?;
    match bytes.len() - read {
        0 => Ok(value),
        rest => Err(CodecError::Trailing(rest)),
    }
}

/// The value's bytes after their length (u32, big endian).
///
/// # Errors
/// It is larger than `MAX_BYTES`.
pub fn frame<T: Serialize>(value: &T) -> Result<Vec<u8>, CodecError> {
    let bytes = encode(value)?;
    let mut frame = Vec::with_capacity(4 + bytes.len());
    frame.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    frame.extend_from_slice(&bytes);
    Ok(frame)
}

/// Checks the length that a frame begins with, before anything is allocated for it.
fn checked_length(prefix: [u8; 4]) -> Result<usize, CodecError> {
    let length = u32::from_be_bytes(prefix) as usize;
    if length > MAX_BYTES {
        return Err(CodecError::TooLarge(length));
    }
    Ok(length)
}

/// Reads one frame. Not cancel safe: a read that is given up leaves the connection inside a frame.
///
/// # Errors
/// The connection ended or failed, or the frame is not a `T`.
pub async fn read_frame<T: DeserializeOwned>(
    from: &mut (impl AsyncRead + Unpin),
) -> Result<T, CodecError> {
    let mut prefix = [0; 4];
    from.read_exact(&mut prefix).await?;
    let mut bytes = vec![0; checked_length(prefix)?];
    from.read_exact(&mut bytes).await?;
    decode(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use yoke_core::member::MemberId;
    use yoke_core::message::{
        Body, Candidacy, Heartbeat, HeartbeatReply, Presence, Reached, Report, Sighting,
    };
    use yoke_core::postgres::{Lsn, SystemId, Timeline};
    use yoke_core::record::{Copy, CopyId, History, Promotion, Record, RecordKey, Term};
    use yoke_core::{Duration, Message};

    fn record() -> Arc<Record> {
        let copy = |member, id| Copy {
            member: MemberId(member),
            id: CopyId(id),
        };
        Arc::new(Record {
            forced: false,
            paused: false,
            key: key(),
            primary: MemberId(0),
            in_sync: vec![copy(0, 0xA1), copy(1, 0xB2)],
            promotions: History::from(vec![Promotion {
                timeline: Timeline(2),
                start: Lsn(0x16_B374_D848),
                term: Term(3),
                n: 1,
            }]),
            system_id: SystemId(7_000_000_000_000_000_001),
        })
    }

    fn key() -> RecordKey {
        RecordKey {
            term: Term(3),
            version: 300,
        }
    }

    fn message(body: Body) -> Message {
        Message {
            term: Term(4),
            holds: Some(key()),
            presence: Some(Presence {
                start: 0x0102_0304_0506_0708,
                found: 3,
                writes: 5,
            }),
            seen: None,
            body,
        }
    }

    fn hex(message: &Message) -> String {
        let bytes = encode(message).unwrap();
        assert_eq!(decode::<Message>(&bytes).unwrap(), *message);
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    /// Daemons of two versions talk to each other in these bytes. A test that fails here means: count
    /// `handshake::PROTOCOL` up.
    #[test]
    fn messages_are_these_bytes() {
        let vote = message(Body::Vote(Candidacy {
            round: 9,
            record: Some(record()),
            copy: CopyId(0xB2),
            end: Lsn(0x300_0060),
        }));
        insta::assert_snapshot!(hex(&vote), @"040103fb2c0101fd080706050403020103050001090103fb2c01000200a101b20102fd48d874b3160000000301fd0100bc93e9fe24610000b2fc60000003");
        let heartbeat = message(Body::Heartbeat(Heartbeat {
            round: 10,
            promise: Duration::secs(5),
            record: None,
            committed: Some(key()),
            follow: true,
            leaving: false,
            sightings: vec![
                None,
                Some(Sighting {
                    presence: Presence {
                        start: 0x0102_0304_0506_0708,
                        found: 3,
                        writes: 5,
                    },
                    reached: Some(Reached {
                        copy: CopyId(0xB2),
                        end: Lsn(0x300_0060),
                        promotion: (Term(3), 1),
                    }),
                    reached_at: 5,
                }),
            ],
        }));
        insta::assert_snapshot!(hex(&heartbeat), @"040103fb2c0101fd0807060504030201030500030afc404b4c00000103fb2c010100020001fd0807060504030201030501b2fc60000003030105");
        let reply = message(Body::HeartbeatReply(HeartbeatReply {
            round: 10,
            promised: true,
            accepted: Some(key()),
            report: Report {
                copy: Some(CopyId(0xB2)),
                system_id: None,
                running: true,
                stopped: false,
                end: Lsn(0x300_0060),
                promotion: (Term(3), 1),
                drained: true,
                silent: false,
                leaving: false,
            },
        }));
        insta::assert_snapshot!(hex(&reply), @"040103fb2c0101fd0807060504030201030500040a010103fb2c0101b2000100fc600000030301010000");
    }

    #[test]
    fn nothing_but_the_whole_value_is_read() {
        let bytes = encode(&message(Body::Vote(Candidacy {
            round: 9,
            record: Some(record()),
            copy: CopyId(1),
            end: Lsn(1),
        })))
        .unwrap();
        for length in 0..bytes.len() {
            assert!(decode::<Message>(&bytes[..length]).is_err(), "{length}");
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        assert!(matches!(
            decode::<Message>(&longer),
            Err(CodecError::Trailing(1))
        ));
    }

    #[test]
    fn a_lie_about_a_length_costs_no_memory() {
        // A byte string that says it has 2^60 bytes.
        let bytes = [&[253u8][..], &(1u64 << 60).to_le_bytes()].concat();
        assert!(decode::<Vec<u8>>(&bytes).is_err());
        let too_long = ((MAX_BYTES + 1) as u32).to_be_bytes();
        assert!(matches!(
            checked_length(too_long),
            Err(CodecError::TooLarge(_))
        ));
    }

    #[tokio::test]
    async fn frames_follow_each_other() {
        let mut wire = Vec::new();
        for nonce in [1, 2] {
            wire.extend(frame(&message(Body::Ask { nonce })).unwrap());
        }
        let mut wire = wire.as_slice();
        let first: Message = read_frame(&mut wire).await.unwrap();
        assert_eq!(first, message(Body::Ask { nonce: 1 }));
        let second: Message = read_frame(&mut wire).await.unwrap();
        assert_eq!(second, message(Body::Ask { nonce: 2 }));
        assert!(read_frame::<Message>(&mut wire).await.is_err());
    }
}
