//! What goes wrong, and its words.

use super::Single;
use super::format::Words;
use crate::trouble::Trouble;
use std::fmt;
use std::str::FromStr;

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
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Links {
    /// Between daemons.
    Daemons,
    /// Between databases.
    Databases,
    /// Both.
    All,
}

/// At which moment, after its time has come, a fault strikes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trigger {
    /// After so many more actions of the daemon.
    Actions(u64),
    /// The same, counted on through deaths of the daemon.
    Counted(u64),
    /// When the next state is durable, before anything that rests on it left.
    Persisted,
    /// When the next message has left.
    Sent,
    /// When the next release has left (R5).
    Release,
    /// When the next promotion is ordered.
    Promotion,
    /// When the next gate is written.
    Gate,
    /// When the next canary is ordered: the gate is being proven.
    Proof,
    /// When the steward has ordered one more step after so many.
    Steps(u64),
    /// When the guard has begun one more step after so many.
    Begun(u64),
    /// When one more step of the guard after so many has ended, before the daemon hears of it.
    Done(u64),
}

/// What strikes at such a moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Blow {
    /// The daemon dies and comes back.
    Daemon,
    /// The host dies and comes back.
    Host,
    /// The host dies; when it comes back its state file is torn.
    Tear,
    /// The guard dies, and the postmaster with it.
    Guard,
    /// The database's processes die.
    Database,
    /// The daemon does not run for a while, in the middle of what it does.
    PauseDaemon,
    /// The guard does not run for a while.
    PauseGuard,
    /// The whole host does not run for a while.
    PauseHost,
    /// Nothing passes to or from the member for a while.
    Isolate,
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
    Single::PrimaryStops = "primary-stops", Single::StandbyStops = "standby-stops", Single::DataLink = "data-link",
    Single::PrimaryDisk = "primary-disk",
    Single::Unheard = "unheard",
});
words!(Blow {
    Blow::Daemon = "daemon", Blow::Host = "host", Blow::Tear = "tear", Blow::Guard = "guard", Blow::Database = "database",
    Blow::PauseDaemon = "pause-daemon", Blow::PauseGuard = "pause-guard", Blow::PauseHost = "pause-host",
    Blow::Isolate = "isolate",
});

/// Makes the faults of a list, each with its word in a scenario file and what follows that word.
macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident($($field:ident: $type:ty),*) = $word:literal;)*) => {
        /// What goes wrong.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum What {
            $($(#[$doc])* $name($($type),*),)*
        }

        impl fmt::Display for What {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.word())?;
                match self {
                    $(What::$name($($field),*) => { $(write!(f, " {}", $field)?;)* })*
                }
                Ok(())
            }
        }

        impl What {
            /// All their words.
            pub const WORDS: &[&str] = &[$($word),*];

            /// The word that names it.
            pub fn word(&self) -> &'static str {
                match self { $(What::$name(..) => $word,)* }
            }

            /// The next words of a line.
            pub(super) fn read(words: &mut Words<'_>) -> Result<What, String> {
                let name: String = words.next()?;
                Ok(match name.as_str() {
                    $($word => { $(let $field = words.next()?;)* What::$name($($field),*) })*
                    _ => return Err(format!("unknown fault {name:?}")),
                })
            }
        }
    };
}

faults! {
    /// The daemon dies and comes back.
    Daemon(who: Target, when: Trigger, down: u64) = "daemon";
    /// The guard dies, and the postmaster with it.
    Guard(who: Target) = "guard";
    /// The database's processes die.
    Database(who: Target) = "database";
    /// The host dies and comes back.
    Host(who: Target, when: Trigger, down: u64) = "host";
    /// At a moment of its daemon or guard, something strikes; it lasts so long.
    Aim(who: Target, when: Trigger, blow: Blow, time: u64) = "aim";
    /// The host dies and comes back without the daemon's state file.
    LoseState(who: Target, down: u64) = "lose-state";
    /// The daemon alone dies and comes back without its state file: its guard, and what that runs, go on.
    ForgetState(who: Target, down: u64) = "forget-state";
    /// The host dies and comes back with the state file of so long ago.
    RestoreState(who: Target, age: u64, down: u64) = "restore-state";
    /// The same without the data directory.
    LoseData(who: Target, down: u64) = "lose-data";
    /// The same with the data directory of so long ago.
    RestoreData(who: Target, age: u64, down: u64) = "restore-data";
    /// The same with a base backup of another member's data directory in its place.
    BaseBackup(who: Target, down: u64) = "base-backup";
    /// The same with an empty disk.
    LoseAll(who: Target, down: u64) = "lose-all";
    /// The host dies, and comes back without its data directory, also where that was the last that held all: then an
    /// operator has to give up what is lost.
    LoseLast(who: Target, down: u64) = "lose-last";
    /// The same with everything of so long ago.
    RestoreHost(who: Target, age: u64, down: u64) = "restore-host";
    /// The host dies, and comes back twice: with everything of so long ago, cut off; the second time it is heard.
    RestoreUnheard(who: Target, age: u64, down: u64) = "restore-unheard";
    /// The same with a disk in its place that holds another database, until everything heals.
    ForeignData(who: Target, down: u64) = "foreign-data";
    /// All hosts die; each comes back within this time.
    PowerLoss(down: u64) = "power-loss";
    /// The daemon does not run for a while; its guard does.
    PauseDaemon(who: Target, time: u64) = "pause-daemon";
    /// The guard does not run for a while; what it began goes on.
    PauseGuard(who: Target, time: u64) = "pause-guard";
    /// The whole host does not run for a while: it is suspended, and its clock counts that.
    PauseHost(who: Target, time: u64) = "pause-host";
    /// The same, and its clock does not count it: outside the bound, so it happens only where that does not hold.
    Freeze(who: Target, time: u64) = "freeze";
    /// The clock goes forward by so much at once: outside the bound, too.
    Jump(who: Target, by: u64) = "jump";
    /// From now on the clock makes so many thousandths of a second in one.
    Rate(who: Target, rate: u64) = "rate";
    /// The database's processes do not run for a while.
    HangDatabase(who: Target, time: u64) = "hang-database";
    /// The database's processes do nothing any more, for good: only a new start helps.
    Wedge(who: Target) = "wedge";
    /// The database's disk takes no write for a while.
    HangDisk(who: Target, time: u64) = "hang-disk";
    /// The state file's disk is slow for a while.
    SlowDisk(who: Target, time: u64) = "slow-disk";
    /// Of a thousand syncs of the state file so many take up to this long, for a while.
    SlowSyncs(who: Target, share: u64, most: u64, time: u64) = "slow-syncs";
    /// The state file's disk is full for a while: nothing written becomes durable before there is space again.
    FullDisk(who: Target, time: u64) = "full-disk";
    /// The guard's steps take up to so much longer, for a while: they outlive daemons, and come late.
    LateSteps(who: Target, most: u64, time: u64) = "late-steps";
    /// Nothing passes from the first to the second for a while.
    Cut(from: Target, to: Target, links: Links, time: u64) = "cut";
    /// Nothing passes between the two for a while; others hear both.
    Part(one: Target, other: Target, links: Links, time: u64) = "part";
    /// Nothing passes between the members whose bit is set and the others for a while.
    Split(group: u64, links: Links, time: u64) = "split";
    /// The link between the two is whole for a half of each period, and cut for the other, for a while.
    Flap(one: Target, other: Target, links: Links, period: u64, time: u64) = "flap";
    /// Nothing passes to or from this member for a while.
    Isolate(who: Target, links: Links, time: u64) = "isolate";
    /// The connections between the two break, and what was under way on them is lost.
    Reset(one: Target, other: Target, links: Links) = "reset";
    /// What is sent from the first to the second arrives only at the end of this time.
    Hold(from: Target, to: Target, links: Links, time: u64) = "hold";
    /// What the first sent to the second so long ago arrives once more.
    Echo(from: Target, to: Target, age: u64) = "echo";
    /// Messages between daemons get lost in this share of a thousand, for a while.
    Loss(share: u64, time: u64) = "loss";
    /// Of a thousand messages between daemons so many take up to this long, for a while.
    Tail(share: u64, most: u64, time: u64) = "tail";
    /// Of a thousand messages between daemons so many arrive several times, for a while.
    Double(share: u64, time: u64) = "double";
    /// Its database has a trouble for a while.
    Trouble(who: Target, trouble: Trouble, time: u64) = "trouble";
    /// The daemon dies, and is started again after its configuration was edited to the first so many members (R13).
    Edit(who: Target, members: u64, down: u64) = "edit";
    /// An operator hands over.
    Demote(who: Target) = "demote";
    /// An operator comes to a member that stays out, and vouches for those that cannot answer, if that is true (R12).
    Operator(who: Target) = "operator";
    /// Another `decision_timeout` is configured: the daemon takes it at its next start.
    Timeout(who: Target, length: u64) = "timeout";
    /// An operator pauses the cluster.
    Pause(who: Target) = "pause";
    /// An operator ends a pause.
    Resume(who: Target) = "resume";
    /// An operator asks for a fresh copy.
    Reinit(who: Target) = "reinit";
    /// An operator makes the copy at this host the cluster's database (R17), if it holds all that was acknowledged, and no
    /// database serves.
    Adopt(who: Target) = "adopt";
    /// The daemon is told to stop, and comes back some time after it ended.
    StopDaemon(who: Target, down: u64) = "stop-daemon";
}

impl FromStr for What {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = Words::of(text);
        let what = What::read(&mut words)?;
        words.end()?;
        Ok(what)
    }
}

impl What {
    /// How long ago what is brought back was taken.
    pub(crate) fn age(&self) -> Option<u64> {
        match self {
            What::RestoreState(_, age, _)
            | What::RestoreData(_, age, _)
            | What::RestoreHost(_, age, _)
            | What::RestoreUnheard(_, age, _)
            | What::Echo(_, _, age) => Some(*age),
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
            Trigger::Counted(n) => write!(f, "counted={n}"),
            Trigger::Steps(n) => write!(f, "steps={n}"),
            Trigger::Begun(n) => write!(f, "begun={n}"),
            Trigger::Done(n) => write!(f, "done={n}"),
            other => f.write_str(other.word()),
        }
    }
}

impl Trigger {
    /// The word that names it.
    pub fn word(&self) -> &'static str {
        match self {
            Trigger::Actions(_) => "actions",
            Trigger::Counted(_) => "counted",
            Trigger::Persisted => "persisted",
            Trigger::Sent => "sent",
            Trigger::Release => "release",
            Trigger::Promotion => "promotion",
            Trigger::Gate => "gate",
            Trigger::Proof => "proof",
            Trigger::Steps(_) => "steps",
            Trigger::Begun(_) => "begun",
            Trigger::Done(_) => "done",
        }
    }
}

impl FromStr for Trigger {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (word, count) = match text.split_once('=') {
            Some((word, count)) => (word, count.parse().ok()),
            None => (text, None),
        };
        Ok(match (word, count) {
            ("persisted", None) => Trigger::Persisted,
            ("sent", None) => Trigger::Sent,
            ("release", None) => Trigger::Release,
            ("promotion", None) => Trigger::Promotion,
            ("gate", None) => Trigger::Gate,
            ("proof", None) => Trigger::Proof,
            ("actions", Some(n)) => Trigger::Actions(n),
            ("counted", Some(n)) => Trigger::Counted(n),
            ("steps", Some(n)) => Trigger::Steps(n),
            ("begun", Some(n)) => Trigger::Begun(n),
            ("done", Some(n)) => Trigger::Done(n),
            _ => return Err(format!("{text:?} is no trigger")),
        })
    }
}
