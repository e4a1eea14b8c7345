//! Whatever happens to one member, in whatever order: its node, steward and guard, joined as in the daemon, among peers
//! that may say anything, with a disk, a database and an operator that do what the bytes say.
//!
//! The first byte says which member of which cluster; then each byte is something that happens, with what it needs after
//! it. Only the member's own state is judged: what a peer says may be a lie, but no lie ends a daemon.

mod database;
mod judge;
mod member;

use member::Machines;
use yoke::codec;
use yoke_core::event::Event;
use yoke_core::member::MemberId;
use yoke_core::operator::{Command, LEAST_STEP};
use yoke_core::step::Outcome;

/// More than this happens in no run.
const MOST: usize = 600;

/// The bytes as they are taken, one after the other.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn one(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// As many as the next two say, or what is left.
    fn some(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(self.one()?) | usize::from(self.one()?) << 8;
        let (some, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        Some(some)
    }
}

/// The bytes are what happens.
pub fn run(bytes: &[u8]) {
    let mut bytes = Bytes(bytes);
    let Some(who) = bytes.one() else {
        return;
    };
    let mut machines = Machines::new(who);
    for _ in 0..MOST {
        if happens(&mut machines, &mut bytes).is_none() {
            break;
        }
    }
}

/// One thing; none: the bytes are at their end.
fn happens(machines: &mut Machines, bytes: &mut Bytes<'_>) -> Option<()> {
    let what = bytes.one()?;
    match what % 12 {
        // Time passes: little or much, and what is due happens on the way, or all at once after a pause.
        0 | 1 => machines.passes(1 << (what / 12), true),
        2 => machines.passes(100_000 * u64::from(bytes.one()?), what < 128),
        // A peer says anything.
        3 => {
            let from = MemberId(what / 12 % 8);
            if let Ok(message) = codec::decode(bytes.some()?) {
                let message = Box::new(message);
                machines.node(Event::Received { from, message });
            }
        }
        // A peer answers what it was last asked, and agrees.
        4 | 5 => machines.peer_agrees(usize::from(what / 12), bytes.one()?),
        6 => machines.disk_writes(),
        // What came of a step: what should, a failure, or anything.
        7 => machines.step_ends(None),
        8 => {
            let outcome = match what / 12 % 4 {
                0 => Outcome::Failed("it did not work".to_owned()),
                1 => Outcome::NotNow { replays: None },
                2 => Outcome::Ended,
                _ => codec::decode(bytes.some()?).unwrap_or(Outcome::Refused),
            };
            machines.step_ends(Some(outcome));
        }
        9 => machines.postmaster_dies(),
        10 => machines.node(match what / 12 % 6 {
            0 => Event::Stop,
            1 | 2 => operator(Command::Demote),
            3 => operator(Command::Adopt { step: LEAST_STEP }),
            _ => operator(Command::Vouch {
                members: (0..8)
                    .map(MemberId)
                    .filter(|m| what >> m.0 & 1 == 1)
                    .collect(),
                step: LEAST_STEP,
            }),
        }),
        _ => machines.restarts(what / 12),
    }
    Some(())
}

fn operator(command: Command) -> Event {
    Event::Operator {
        request: 1,
        command,
    }
}
