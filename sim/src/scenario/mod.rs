//! What happens to a cluster in one run, as data: it can be printed, edited, read back, and shrunk.

mod fault;
mod format;

pub use fault::{Blow, Links, Target, Trigger, What};

/// One run's conditions and faults. All times are microseconds of real time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scenario {
    /// Names the small choices.
    pub choices: u64,
    /// A known run told again: some of the small choices are others. Where several name one, the last does.
    pub varied: Vec<Varied>,
    /// What is promised under these conditions.
    pub kind: Kind,
    /// Every member: whether it holds data.
    pub members: Vec<bool>,
    /// D.
    pub decision_timeout: u64,
    /// When a silent copy leaves `in_sync`.
    pub sync_timeout: u64,
    /// How long a health write may take.
    pub health_timeout: u64,
    /// Each host's clock rate, in thousandths of real time.
    pub rates: Vec<u64>,
    /// Whether the other data hosts begin with a fresh database of their own, instead of nothing.
    pub own_database: bool,
    /// Whether the configured primary begins with nothing, too: its database is made at genesis.
    pub bare: bool,
    /// How long a message between daemons takes.
    pub delay: (u64, u64),
    /// Of a thousand messages: lost, doubled, delivered seconds later.
    pub network: (u64, u64, u64),
    /// How many clients write, and how long each thinks at most.
    pub clients: (u64, u64),
    /// How long a clone takes.
    pub clone_time: (u64, u64),
    /// Whether a data directory can be rewound.
    pub rewinds: bool,
    /// How many steps of a thousand fail.
    pub failures: u64,
    /// When everything heals, after the cluster was ready.
    pub heal_after: u64,
    /// What goes wrong when.
    pub faults: Vec<Fault>,
}

/// Which small choices are others than those of the known run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Varied {
    /// Names those.
    pub choices: u64,
    /// How many of a thousand kinds of choices.
    pub share: u64,
}

/// What is promised.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// S1, S2, and L after the faults.
    Chaos,
    /// Clocks without bound: S1 alone.
    Unbounded,
    /// One fault: S1, S2, L, and a bound on the longest gap between two acknowledgements.
    Single(Single),
    /// The last fault leaves a network that stands until all heals: S1, S2, and L as it is worded for that network.
    Network,
}

/// The one fault of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Single {
    /// The primary's host dies.
    PrimaryHost,
    /// The primary's database dies.
    PrimaryDatabase,
    /// An operator hands over.
    HandOver,
    /// The witness's host dies.
    Witness,
    /// The secondary's host dies.
    Secondary,
    /// A daemon is killed and comes back.
    Daemon,
    /// The same with the secondary's, and it hears nobody for a while.
    Unheard,
    /// The primary's daemon is told to stop.
    PrimaryStops,
    /// The standby's daemon is told to stop.
    StandbyStops,
    /// Only the link between the data hosts is cut.
    DataLink,
    /// The primary's disk takes no write.
    PrimaryDisk,
}

/// One thing that goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    /// After the cluster was ready; before, if `early`: after the run's begin.
    pub at: u64,
    /// Whether it does not wait for the cluster to be ready.
    pub early: bool,
    /// What.
    pub what: What,
}

impl Scenario {
    /// Three members, nothing goes wrong.
    pub fn calm(choices: u64) -> Self {
        Scenario {
            choices,
            varied: vec![],
            kind: Kind::Chaos,
            members: vec![true, true, false],
            decision_timeout: 5_000_000,
            sync_timeout: 2_000_000,
            health_timeout: 3_000_000,
            rates: vec![1000, 1000, 1000],
            own_database: false,
            bare: false,
            delay: (100, 800),
            network: (0, 0, 0),
            clients: (2, 200_000),
            clone_time: (500_000, 2_000_000),
            rewinds: true,
            failures: 0,
            heal_after: 10_000_000,
            faults: vec![],
        }
    }

    /// The longest `decision_timeout` that any member has at any time, in microseconds: what is promised within D is
    /// promised within that.
    pub(crate) fn longest_timeout(&self) -> u64 {
        let configured = self.faults.iter().filter_map(|fault| match fault.what {
            What::Timeout(_, length) => Some(length),
            _ => None,
        });
        configured.fold(self.decision_timeout, u64::max)
    }
}
