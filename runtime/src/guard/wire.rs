//! What daemon and guard say to each other. Its frames are the codec's.

use crate::codec;
use crate::hooks::VipView;
use crate::postgres::{Said, Upstream};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use yoke_core::permission::{GuardView, Permission};
use yoke_core::postgres::RunId;
use yoke_core::step::{Order, Outcome};

/// From the daemon. Before the first of these, it sends its [`Hello`](crate::guard::hello::Hello).
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
    /// This run's primary admits clients: the virtual address may come.
    Admits {
        /// Which.
        run: RunId,
    },
    /// The daemon ends in order, and its database with it: fence what still runs, and end.
    Leave,
}

/// From the guard.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum GuardReply {
    /// What it holds has changed. A daemon acts on nothing before its first one.
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
    /// The daemon is not heard, and why.
    Refused(String),
    /// Where the virtual address is; none is configured.
    Vip(Option<VipView>),
}

/// One value as a frame.
///
/// # Errors
/// It is too long.
pub fn encode<T: Serialize>(value: &T) -> Said<Vec<u8>> {
    codec::frame(value).map_err(|e| format!("cannot encode a message of daemon and guard: {e}"))
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
        let length = u32::from_be_bytes(*length) as usize;
        if length > codec::MAX_BYTES {
            return Err(format!(
                "a frame of {length} bytes was announced: at most {} are allowed",
                codec::MAX_BYTES
            ));
        }
        let Some(body) = rest.get(..length) else {
            return Ok(None);
        };
        let value = codec::decode(body)
            .map_err(|e| format!("cannot decode a message of daemon and guard: {e}"))?;
        self.bytes.drain(..4 + length);
        Ok(Some(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hooks::vip::Place;
    use yoke_core::Instant;
    use yoke_core::member::MemberId;
    use yoke_core::postgres::{Doors, Lsn, StopMode, SystemId, Timeline};
    use yoke_core::record::{Copy, CopyId, History, Term};
    use yoke_core::step::{Leaving, Settings, Stamp, Step};

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
        long[3] += 1;
        long.push(0);
        let mut frames = Frames::default();
        frames.push(&long);
        assert!(frames.take::<GuardReply>().is_err());
    }

    /// A guard may be older than its daemon. A test that fails here means: count `hello::PROTOCOL` up, so that the two
    /// refuse each other instead of misunderstanding.
    #[test]
    fn the_messages_bytes_are_these() {
        let order = |number, step| GuardRequest::Order {
            order: Order {
                term: Term(3),
                number,
                step,
            },
            upstream: None,
        };
        let copy = Copy {
            member: MemberId(1),
            id: CopyId(2),
        };
        let stamp = Stamp {
            cluster: "c".into(),
            member: "m".into(),
            system_id: SystemId(1),
            copy: copy.id,
            record: None,
            history: History::default(),
            ordered: Some((Term(3), 4)),
            ordered_on: Timeline(5),
            follows: Some(copy),
            rewritten: true,
        };
        let settings = Settings {
            generation: 6,
            gate: Some(vec![copy]),
            follow: Some(MemberId(1)),
            copy: Some(copy),
            doors: Doors::Open,
        };
        let requests = [
            GuardRequest::Permission(Permission::NONE),
            order(1, Step::WriteStamp(stamp)),
            order(2, Step::WriteSettings(settings)),
            order(3, Step::Clone { from: MemberId(1) }),
            order(
                7,
                Step::Rewind {
                    from: MemberId(1),
                    timeline: Timeline(5),
                    drops: Leaving {
                        copy: Some(copy.id),
                        timeline: Timeline(4),
                        from: Some(Lsn(8)),
                        to: Lsn(9),
                        why: "w".into(),
                    },
                },
            ),
            order(4, Step::Promote),
            order(5, Step::Stop(StopMode::Now)),
            GuardRequest::Admits { run: RunId(6) },
            GuardRequest::Leave,
        ];
        insta::assert_snapshot!(hex(&requests), @"0000000400000002 00000015010301020163016d01020000010304050101020100 0000001001030209060101010201010101020200 00000006010303060100 0000000f010307080105010204010809017700 000000050103040c00 000000060103050d0100 000000020206 0000000103");
        let replies = [
            GuardReply::View(GuardView::NEW),
            GuardReply::Answer {
                number: 1,
                outcome: Outcome::Failed("f".into()),
            },
            GuardReply::Answer {
                number: 2,
                outcome: Outcome::Ended,
            },
            GuardReply::Progress {
                number: 1,
                done: 2,
                total: 3,
            },
            GuardReply::Explain("e".into()),
            GuardReply::Refused("r".into()),
            GuardReply::Vip(Some(VipView {
                ip: "i".into(),
                place: Place::Leaving,
                since: Instant(7),
                failed: Some("f".into()),
            })),
        ];
        insta::assert_snapshot!(hex(&replies), @"0000000a00000002000000000000 000000050101040166 00000003010206 0000000402010203 00000003030165 00000003040172 00000009050101690307010166");
    }

    fn hex<T: Serialize>(values: &[T]) -> String {
        let frame = |value| {
            let bytes = encode(value).expect("short");
            bytes.iter().map(|b| format!("{b:02x}")).collect::<String>()
        };
        values.iter().map(frame).collect::<Vec<_>>().join(" ")
    }
}
