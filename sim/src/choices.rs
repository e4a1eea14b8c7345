//! Every small choice of a run: the delay of the n-th message on a link, how long a step takes, which of two outcomes.

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
    SendBatch,
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
}

const KINDS: usize = About::Trouble as usize + 1;
const PLACES: usize = 8;

/// Where the bits come from.
#[derive(Clone, Debug)]
enum Source {
    /// A hash of the seed and the choice's name.
    Seed(u64),
    /// Bytes, for a fuzzer: a choice takes the next eight; after the end, zeros.
    Bytes { bytes: Vec<u8>, next: usize },
}

/// The one source of choices of a run.
#[derive(Clone, Debug)]
pub(crate) struct Choices {
    source: Source,
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
    /// Choices by hash of a seed.
    pub(crate) fn from_seed(seed: u64) -> Self {
        Choices {
            source: Source::Seed(mix(seed, 0x594F_4B45)),
            counts: vec![0; KINDS * PLACES * PLACES],
            tails: true,
        }
    }

    /// Choices from a fuzzer's bytes.
    pub(crate) fn from_bytes(bytes: Vec<u8>) -> Self {
        Choices {
            source: Source::Bytes { bytes, next: 0 },
            counts: vec![0; KINDS * PLACES * PLACES],
            tails: true,
        }
    }

    /// The next 64 bits of this choice.
    pub(crate) fn bits(&mut self, about: About, a: usize, b: usize) -> u64 {
        let name = (about as usize * PLACES + a % PLACES) * PLACES + b % PLACES;
        self.counts[name] += 1;
        match &mut self.source {
            Source::Seed(seed) => mix(mix(*seed, name as u64), self.counts[name]),
            Source::Bytes { bytes, next } => {
                let mut word = [0; 8];
                for byte in &mut word {
                    *byte = bytes.get(*next).copied().unwrap_or(0);
                    *next += 1;
                }
                u64::from_le_bytes(word)
            }
        }
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
