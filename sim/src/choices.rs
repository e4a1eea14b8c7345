//! Every small choice of a run: the delay of the n-th message on a link, how long a step takes, which of two outcomes.

use crate::scenario::{Scenario, Varied};

/// What a choice is about. With the two places that it concerns and a count it names the choice, so that removing one
/// fault from a scenario leaves all other choices as they were.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum About {
    Delay,
    Loss,
    Duplicate,
    Late,
    LateBy,
    Socket,
    SocketBack,
    StateSync,
    StateLands,
    GuardWakes,
    StepTime,
    StepFails,
    StepLands,
    StartTime,
    PromoteTime,
    RereadPostmaster,
    RereadCheckpointer,
    RereadWalsender,
    RereadReceiver,
    KillTime,
    GoneTime,
    StopTime,
    CheckpointLag,
    Flush,
    Replay,
    Partial,
    Length,
    WalDelay,
    CloneTime,
    CloneBreaks,
    ObserveTime,
    ObserveBack,
    ClientThink,
    ClientHost,
    Nonce,
    Restart,
    Edits,
    RewindLies,
    Tail,
    Burst,
    SyncTail,
    StepLate,
    Trouble,
    CheckpointerTakes,
}

const KINDS: usize = About::CheckpointerTakes as usize + 1;
const PLACES: usize = 8;

/// The one source of choices of a run: a hash of the seed and the choice's name.
#[derive(Clone, Debug)]
pub(crate) struct Choices {
    seed: u64,
    /// Which kinds of choices other seeds make.
    varied: Vec<Varied>,
    counts: Vec<u64>,
    /// Whether rare long times happen.
    pub(crate) tails: bool,
}

/// Mixes two numbers into one, each bit of either moving about half of the result's.
pub(crate) fn mix(a: u64, b: u64) -> u64 {
    let mut x = a.rotate_left(23) ^ b.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

impl Choices {
    /// The choices that a scenario names.
    pub(crate) fn of(scenario: &Scenario) -> Self {
        Choices {
            varied: scenario.varied.clone(),
            ..Choices::from_seed(scenario.choices)
        }
    }

    /// The choices of a seed.
    pub(crate) fn from_seed(seed: u64) -> Self {
        Choices {
            seed: mix(seed, 0x594F_4B45),
            varied: vec![],
            counts: vec![0; KINDS * PLACES * PLACES],
            tails: true,
        }
    }

    /// The next 64 bits of this choice.
    pub(crate) fn bits(&mut self, about: About, a: usize, b: usize) -> u64 {
        let name = (about as usize * PLACES + a % PLACES) * PLACES + b % PLACES;
        self.counts[name] += 1;
        let varies = |v: &&Varied| mix(v.choices, name as u64) % 1000 < v.share;
        let other = self.varied.iter().rev().find(varies);
        let seed = other.map_or(self.seed, |v| v.choices);
        mix(mix(seed, name as u64), self.counts[name])
    }

    /// One of `low..=high`.
    pub(crate) fn within(&mut self, about: About, a: usize, b: usize, low: u64, high: u64) -> u64 {
        low + self.bits(about, a, b) % (high - low + 1)
    }

    /// Whether something of probability `of_thousand`/1000 happens.
    pub(crate) fn chance(&mut self, about: About, a: usize, b: usize, of_thousand: u64) -> bool {
        of_thousand > 0 && self.bits(about, a, b) % 1000 < of_thousand
    }

    /// Mostly one of the first range; in `of_thousand`/1000 of the cases one of the second.
    pub(crate) fn skewed(
        &mut self,
        about: About,
        a: usize,
        b: usize,
        (low, high): (u64, u64),
        of_thousand: u64,
        (rare_low, rare_high): (u64, u64),
    ) -> u64 {
        let bits = self.bits(about, a, b);
        if self.tails && bits % 1000 < of_thousand {
            rare_low + (bits >> 16) % (rare_high - rare_low + 1)
        } else {
            low + (bits >> 16) % (high - low + 1)
        }
    }
}
