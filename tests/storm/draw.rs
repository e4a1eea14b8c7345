//! Which fault comes next: by the seed and the fault's number alone, so that a run can be repeated, also from its middle.

use super::fault::{Blow, Fault, Hit, Kind, Lost, Whose};
use crate::Said;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::time::Duration;

/// One in so many blows is two faults at a time.
const TWO_AT_A_TIME: u64 = 5;
/// How often a fault that is not wanted is drawn again.
const TRIES: usize = 10_000;

/// The seed's faults.
#[derive(Clone, Debug)]
pub struct Draw {
    seed: u64,
    network: bool,
    only: Option<String>,
}

impl Draw {
    /// `network`: cables can be cut. `only`: nothing but faults whose name contains this, one at a time.
    pub fn new(seed: u64, network: bool, only: Option<String>) -> Draw {
        Draw {
            seed,
            network,
            only,
        }
    }

    /// The blow of this number.
    ///
    /// # Errors
    /// Nothing is called what is wanted alone.
    pub fn blow(&self, number: usize) -> Said<Blow> {
        let mut bits = Bits(ChaCha8Rng::seed_from_u64(
            self.seed
                .wrapping_mul(1_000_003)
                .wrapping_add(number as u64),
        ));
        let pause = Duration::from_millis(bits.below(6_000).saturating_sub(2_000));
        let Some(only) = &self.only else {
            let fault = self.fault(&mut bits);
            let then = (bits.below(TWO_AT_A_TIME) == 0)
                .then(|| {
                    let after = Duration::from_millis(bits.below(3_000));
                    (after, self.fault(&mut bits))
                })
                // What one host lost is not on the other yet.
                .filter(|(_, second)| !loses(&fault) || !loses(second));
            return Ok(Blow { fault, then, pause });
        };
        let wanted = (0..TRIES)
            .map(|_| self.fault(&mut bits))
            .find(|fault| fault.to_string().contains(only));
        Ok(Blow {
            fault: wanted.ok_or_else(|| format!("no fault is called `{only}`"))?,
            then: None,
            pause,
        })
    }

    fn fault(&self, bits: &mut Bits) -> Fault {
        let whose = *bits.one(&[
            Whose::Primary,
            Whose::Primary,
            Whose::Primary,
            Whose::Standby,
            Whose::Standby,
            Whose::Monitor,
        ]);
        let data = match whose {
            Whose::Monitor => Whose::Primary,
            other => other,
        };
        match bits.below(if self.network { 18 } else { 16 }) {
            0..=3 if whose == Whose::Monitor => Fault::Kill(whose, Hit::Daemon),
            0..=3 => Fault::Kill(whose, bits.hit(whose)),
            4..=7 if whose == Whose::Monitor => Fault::Freeze(whose, Hit::Daemon, bits.length()),
            4..=7 => {
                let hit = bits.hit(whose);
                Fault::Freeze(whose, hit, bits.length())
            }
            8 if whose != Whose::Monitor => Fault::Hang(whose, bits.hanging(whose)),
            8 => Fault::Stop(whose, bits.length()),
            9 => Fault::HandOver,
            10 => Fault::Upgrade(whose),
            11 => Fault::ShutDown(data),
            12 | 13 if whose == Whose::Monitor => {
                Fault::Lose(whose, *bits.one(&[Lost::State, Lost::Status]))
            }
            12 | 13 => Fault::Lose(
                whose,
                *bits.one(&[Lost::State, Lost::Status, Lost::Data, Lost::Both]),
            ),
            14 => Fault::PowerLoss,
            15 => Fault::Stop(whose, bits.length()),
            16 => Fault::Silence(whose, bits.length()),
            _ => Fault::Cut(bits.length()),
        }
    }
}

fn loses(fault: &Fault) -> bool {
    matches!(fault, Fault::Lose(..))
}

struct Bits(ChaCha8Rng);

impl Bits {
    fn below(&mut self, end: u64) -> u64 {
        self.0.next_u64() % end
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len() as u64) as usize]
    }

    /// From well below the lease to well above `decision_timeout`.
    fn length(&mut self) -> Duration {
        Duration::from_millis(*self.one(&[200, 800, 1_500, 2_500, 4_000, 7_000, 12_000]))
    }

    /// What is noticed, and healed, although nobody thaws it. (A checkpointer shows only when the gate has to change.)
    fn hanging(&mut self, whose: Whose) -> Hit {
        let one = match whose {
            Whose::Primary => *self.one(&[Kind::Backend, Kind::Walsender]),
            _ => *self.one(&[Kind::Walreceiver, Kind::Startup]),
        };
        *self.one(&[Hit::Postmaster, Hit::Postgres, Hit::One(one)])
    }

    fn hit(&mut self, whose: Whose) -> Hit {
        let kinds: &[Kind] = match whose {
            Whose::Primary => &[Kind::Backend, Kind::Walsender, Kind::Checkpointer],
            _ => &[Kind::Walreceiver, Kind::Startup, Kind::Checkpointer],
        };
        let one = *self.one(kinds);
        *self.one(&[
            Hit::Postmaster,
            Hit::Postmaster,
            Hit::Postgres,
            Hit::Postgres,
            Hit::One(one),
            Hit::One(one),
            Hit::Daemon,
            Hit::Guard,
            Hit::DaemonAndGuard,
            Hit::Host,
            Hit::Host,
        ])
    }
}
