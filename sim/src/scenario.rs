//! What happens to a cluster in one run, as data: it can be printed, edited, read back, and shrunk.

use std::fmt;
use std::str::FromStr;

/// One run's conditions and faults. All times are microseconds of real time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scenario {
    /// Names the small choices.
    pub choices: u64,
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

/// Whom a fault meets; decided when it comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// This member.
    Member(usize),
    /// Whose database serves as primary, if one does; else the first.
    Primary,
    /// A data member whose database does not serve.
    Standby,
}

/// Which connections a cut meets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Links {
    /// Between daemons.
    Daemons,
    /// Between databases.
    Databases,
    /// Both.
    All,
}

/// When, after its time has come, a crash strikes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trigger {
    /// After so many more actions of the daemon.
    Actions(u64),
    /// When the next state is durable, before anything that rests on it left.
    Persisted,
    /// When the next promotion is ordered.
    Promotion,
    /// When the next gate is written.
    Gate,
}

/// What goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// The daemon dies and comes back.
    Daemon(Target, Trigger, u64),
    /// The guard dies, and the postmaster with it.
    Guard(Target),
    /// The database's processes die.
    Database(Target),
    /// The host dies and comes back.
    Host(Target, Trigger, u64),
    /// The host dies and comes back without the daemon's state file.
    LoseState(Target, u64),
    /// The same with the state file of so long ago.
    RestoreState(Target, u64, u64),
    /// The same without the data directory.
    LoseData(Target, u64),
    /// The same with the data directory of so long ago.
    RestoreData(Target, u64, u64),
    /// The same with a base backup of another member's data directory in its place.
    BaseBackup(Target, u64),
    /// The same with an empty disk.
    LoseAll(Target, u64),
    /// The same with everything of so long ago.
    RestoreHost(Target, u64, u64),
    /// All hosts die; each comes back within this time.
    PowerLoss(u64),
    /// The daemon does not run for a while; its guard does.
    PauseDaemon(Target, u64),
    /// The whole host does not run for a while.
    PauseHost(Target, u64),
    /// The database's processes do not run for a while.
    HangDatabase(Target, u64),
    /// The database's disk takes no write for a while.
    HangDisk(Target, u64),
    /// The state file's disk is slow for a while.
    SlowDisk(Target, u64),
    /// Nothing passes from the first to the second for a while.
    Cut(Target, Target, Links, u64),
    /// Nothing passes to or from this member for a while.
    Isolate(Target, Links, u64),
    /// What is sent from the first to the second arrives only at the end of this time.
    Hold(Target, Target, Links, u64),
    /// Messages between daemons get lost in this share of a thousand, for a while.
    Loss(u64, u64),
    /// An operator hands over.
    Demote(Target),
    /// An operator comes to a member that stays out, and vouches for those that cannot answer, if that is true (R12).
    Operator(Target),
    /// The host dies, and comes back twice: with everything of so long ago, cut off; the second time it is heard.
    RestoreUnheard(Target, u64, u64),
    /// The daemon is told to stop, and comes back some time after it ended.
    StopDaemon(Target, u64),
}

macro_rules! words {
    ($type:ty { $($value:path = $word:literal),* $(,)? }) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $($value => $word),* })
            }
        }
        impl FromStr for $type {
            type Err = String;
            fn from_str(word: &str) -> Result<Self, String> {
                match word { $($word => Ok($value),)* _ => Err(format!("unknown word {word:?}")) }
            }
        }
    };
}
words!(Links { Links::Daemons = "daemons", Links::Databases = "databases", Links::All = "all" });
words!(Single {
    Single::PrimaryHost = "primary-host", Single::PrimaryDatabase = "primary-database", Single::HandOver = "hand-over",
    Single::Witness = "witness", Single::Secondary = "secondary", Single::Daemon = "daemon",
});

impl What {
    /// How long ago what is brought back was taken.
    pub(crate) fn age(&self) -> Option<u64> {
        match self {
            What::RestoreState(_, age, _)
            | What::RestoreData(_, age, _)
            | What::RestoreHost(_, age, _)
            | What::RestoreUnheard(_, age, _) => Some(*age),
            _ => None,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Member(member) => write!(f, "m{member}"),
            Target::Primary => f.write_str("primary"),
            Target::Standby => f.write_str("standby"),
        }
    }
}

impl FromStr for Target {
    type Err = String;
    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "primary" => Ok(Target::Primary),
            "standby" => Ok(Target::Standby),
            _ => word
                .strip_prefix('m')
                .and_then(|n| n.parse().ok())
                .map(Target::Member)
                .ok_or_else(|| format!("{word:?} is no member")),
        }
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trigger::Actions(n) => write!(f, "actions={n}"),
            Trigger::Persisted => f.write_str("persisted"),
            Trigger::Promotion => f.write_str("promotion"),
            Trigger::Gate => f.write_str("gate"),
        }
    }
}

impl FromStr for Trigger {
    type Err = String;
    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "persisted" => Ok(Trigger::Persisted),
            "promotion" => Ok(Trigger::Promotion),
            "gate" => Ok(Trigger::Gate),
            _ => word
                .strip_prefix("actions=")
                .and_then(|n| n.parse().ok())
                .map(Trigger::Actions)
                .ok_or_else(|| format!("{word:?} is no trigger")),
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            What::Daemon(who, trigger, down) => write!(f, "daemon {who} {trigger} {down}"),
            What::Guard(who) => write!(f, "guard {who}"),
            What::Database(who) => write!(f, "database {who}"),
            What::Host(who, trigger, down) => write!(f, "host {who} {trigger} {down}"),
            What::LoseState(who, down) => write!(f, "lose-state {who} {down}"),
            What::RestoreState(who, age, down) => write!(f, "restore-state {who} {age} {down}"),
            What::LoseData(who, down) => write!(f, "lose-data {who} {down}"),
            What::RestoreData(who, age, down) => write!(f, "restore-data {who} {age} {down}"),
            What::BaseBackup(who, down) => write!(f, "base-backup {who} {down}"),
            What::LoseAll(who, down) => write!(f, "lose-all {who} {down}"),
            What::RestoreHost(who, age, down) => write!(f, "restore-host {who} {age} {down}"),
            What::PowerLoss(down) => write!(f, "power-loss {down}"),
            What::PauseDaemon(who, time) => write!(f, "pause-daemon {who} {time}"),
            What::PauseHost(who, time) => write!(f, "pause-host {who} {time}"),
            What::HangDatabase(who, time) => write!(f, "hang-database {who} {time}"),
            What::HangDisk(who, time) => write!(f, "hang-disk {who} {time}"),
            What::SlowDisk(who, time) => write!(f, "slow-disk {who} {time}"),
            What::Cut(from, to, links, time) => write!(f, "cut {from} {to} {links} {time}"),
            What::Isolate(who, links, time) => write!(f, "isolate {who} {links} {time}"),
            What::Hold(from, to, links, time) => write!(f, "hold {from} {to} {links} {time}"),
            What::Loss(share, time) => write!(f, "loss {share} {time}"),
            What::Demote(who) => write!(f, "demote {who}"),
            What::Operator(who) => write!(f, "operator {who}"),
            What::RestoreUnheard(who, age, down) => write!(f, "restore-unheard {who} {age} {down}"),
            What::StopDaemon(who, down) => write!(f, "stop-daemon {who} {down}"),
        }
    }
}

/// Takes the words of one line, one after the other.
struct Words<'a>(std::str::SplitWhitespace<'a>);

impl Words<'_> {
    fn next<T: FromStr>(&mut self) -> Result<T, String> {
        let word = self.0.next().ok_or("a word is missing")?;
        word.parse()
            .map_err(|_| format!("{word:?} does not fit here"))
    }
    fn pair(&mut self) -> Result<(u64, u64), String> {
        Ok((self.next()?, self.next()?))
    }
    fn rest<T: FromStr>(&mut self) -> Result<Vec<T>, String> {
        self.0
            .by_ref()
            .map(|word| {
                word.parse()
                    .map_err(|_| format!("{word:?} does not fit here"))
            })
            .collect()
    }
}

fn what(w: &mut Words<'_>) -> Result<What, String> {
    let name: String = w.next()?;
    Ok(match name.as_str() {
        "daemon" => What::Daemon(w.next()?, w.next()?, w.next()?),
        "guard" => What::Guard(w.next()?),
        "database" => What::Database(w.next()?),
        "host" => What::Host(w.next()?, w.next()?, w.next()?),
        "lose-state" => What::LoseState(w.next()?, w.next()?),
        "restore-state" => What::RestoreState(w.next()?, w.next()?, w.next()?),
        "lose-data" => What::LoseData(w.next()?, w.next()?),
        "restore-data" => What::RestoreData(w.next()?, w.next()?, w.next()?),
        "base-backup" => What::BaseBackup(w.next()?, w.next()?),
        "lose-all" => What::LoseAll(w.next()?, w.next()?),
        "restore-host" => What::RestoreHost(w.next()?, w.next()?, w.next()?),
        "power-loss" => What::PowerLoss(w.next()?),
        "pause-daemon" => What::PauseDaemon(w.next()?, w.next()?),
        "pause-host" => What::PauseHost(w.next()?, w.next()?),
        "hang-database" => What::HangDatabase(w.next()?, w.next()?),
        "hang-disk" => What::HangDisk(w.next()?, w.next()?),
        "slow-disk" => What::SlowDisk(w.next()?, w.next()?),
        "cut" => What::Cut(w.next()?, w.next()?, w.next()?, w.next()?),
        "isolate" => What::Isolate(w.next()?, w.next()?, w.next()?),
        "hold" => What::Hold(w.next()?, w.next()?, w.next()?, w.next()?),
        "loss" => What::Loss(w.next()?, w.next()?),
        "demote" => What::Demote(w.next()?),
        "operator" => What::Operator(w.next()?),
        "restore-unheard" => What::RestoreUnheard(w.next()?, w.next()?, w.next()?),
        "stop-daemon" => What::StopDaemon(w.next()?, w.next()?),
        _ => return Err(format!("unknown fault {name:?}")),
    })
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "choices {}", self.choices)?;
        match self.kind {
            Kind::Chaos => writeln!(f, "kind chaos")?,
            Kind::Unbounded => writeln!(f, "kind unbounded")?,
            Kind::Network => writeln!(f, "kind network")?,
            Kind::Single(single) => writeln!(f, "kind single {single}")?,
        }
        write!(f, "members")?;
        for data in &self.members {
            write!(f, " {}", if *data { "data" } else { "witness" })?;
        }
        write!(f, "\nrates")?;
        for rate in &self.rates {
            write!(f, " {rate}")?;
        }
        writeln!(
            f,
            "\ntimeouts {} {} {}",
            self.decision_timeout, self.sync_timeout, self.health_timeout
        )?;
        writeln!(f, "own-database {}", self.own_database)?;
        if self.bare {
            writeln!(f, "bare {}", self.bare)?;
        }
        writeln!(f, "delay {} {}", self.delay.0, self.delay.1)?;
        writeln!(
            f,
            "network {} {} {}",
            self.network.0, self.network.1, self.network.2
        )?;
        writeln!(f, "clients {} {}", self.clients.0, self.clients.1)?;
        writeln!(f, "clone-time {} {}", self.clone_time.0, self.clone_time.1)?;
        writeln!(f, "rewinds {}", self.rewinds)?;
        writeln!(f, "failures {}", self.failures)?;
        writeln!(f, "heal-after {}", self.heal_after)?;
        for fault in &self.faults {
            writeln!(
                f,
                "{} {} {}",
                if fault.early { "early" } else { "at" },
                fault.at,
                fault.what
            )?;
        }
        Ok(())
    }
}

impl FromStr for Scenario {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut scenario = Scenario::calm(0);
        for (number, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default();
            if line.trim().is_empty() {
                continue;
            }
            scenario
                .take_line(line)
                .map_err(|error| format!("line {}: {error}", number + 1))?;
        }
        if scenario.rates.len() != scenario.members.len() {
            return Err("as many rates as members are needed".into());
        }
        Ok(scenario)
    }
}

impl Scenario {
    /// Three members, nothing goes wrong.
    pub fn calm(choices: u64) -> Self {
        Scenario {
            choices,
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

    fn take_line(&mut self, line: &str) -> Result<(), String> {
        let mut w = Words(line.split_whitespace());
        let name: String = w.next()?;
        match name.as_str() {
            "choices" => self.choices = w.next()?,
            "kind" => {
                let kind: String = w.next()?;
                self.kind = match kind.as_str() {
                    "chaos" => Kind::Chaos,
                    "unbounded" => Kind::Unbounded,
                    "network" => Kind::Network,
                    "single" => Kind::Single(w.next()?),
                    _ => return Err(format!("unknown kind {kind:?}")),
                };
            }
            "members" => {
                self.members = w
                    .rest::<String>()?
                    .iter()
                    .map(|word| word == "data")
                    .collect();
            }
            "rates" => self.rates = w.rest()?,
            "timeouts" => {
                (self.decision_timeout, self.sync_timeout) = w.pair()?;
                self.health_timeout = w.next()?;
            }
            "own-database" => self.own_database = w.next()?,
            "bare" => self.bare = w.next()?,
            "delay" => self.delay = w.pair()?,
            "network" => self.network = (w.next()?, w.next()?, w.next()?),
            "clients" => self.clients = w.pair()?,
            "clone-time" => self.clone_time = w.pair()?,
            "rewinds" => self.rewinds = w.next()?,
            "failures" => self.failures = w.next()?,
            "heal-after" => self.heal_after = w.next()?,
            "early" | "at" => self.faults.push(Fault {
                at: w.next()?,
                early: name == "early",
                what: what(&mut w)?,
            }),
            _ => return Err(format!("unknown word {name:?}")),
        }
        match w.0.next() {
            None => Ok(()),
            Some(word) => Err(format!("{word:?} is too much")),
        }
    }
}
