//! Named profiles: which conditions and which classes of faults a run draws from.

use super::one::Class;
use std::fmt;
use std::str::FromStr;

/// What the scenarios of many seeds have in common.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Profile {
    /// Everything: single faults with a bound, written histories, clocks without bound, and the swarm over all classes.
    #[default]
    Mix,
    /// No faults.
    Calm,
    /// A network that loses, doubles, delays and repeats.
    Lossy,
    /// Links cut one way, both ways, in groups, coming and going.
    Partition,
    /// Daemons, guards, databases and hosts die at any moment.
    Crash,
    /// The same do not run for a while.
    Pause,
    /// Clocks at the bound, and beyond it.
    Skew,
    /// Disks that are slow, full, hang, or lose what they had.
    Disk,
    /// Operators' orders at any moment, with accidents around them.
    Operator,
    /// The swarm over all classes.
    Chaos,
}

impl Profile {
    const ALL: [(Profile, &str); 10] = [
        (Profile::Mix, "mix"),
        (Profile::Calm, "calm"),
        (Profile::Lossy, "lossy"),
        (Profile::Partition, "partition"),
        (Profile::Crash, "crash"),
        (Profile::Pause, "pause"),
        (Profile::Skew, "skew"),
        (Profile::Disk, "disk"),
        (Profile::Operator, "operator"),
        (Profile::Chaos, "chaos"),
    ];

    /// The classes that its swarm draws from.
    pub(super) fn classes(self) -> &'static [Class] {
        match self {
            Profile::Calm => &[],
            Profile::Lossy => &[
                Class::Messages,
                Class::Hold,
                Class::Echo,
                Class::Reset,
                Class::Host,
            ],
            Profile::Partition => &[
                Class::Cut,
                Class::Isolate,
                Class::Flap,
                Class::Reset,
                Class::Hold,
            ],
            Profile::Crash => &[
                Class::Daemon,
                Class::Guard,
                Class::Database,
                Class::Host,
                Class::PowerLoss,
                Class::Aimed,
            ],
            Profile::Pause => &[
                Class::PauseDaemon,
                Class::PauseGuard,
                Class::PauseHost,
                Class::HangDatabase,
                Class::LateSteps,
                Class::Aimed,
            ],
            Profile::Skew => &[
                Class::Clock,
                Class::PauseHost,
                Class::PauseDaemon,
                Class::Host,
                Class::Isolate,
                Class::Hold,
            ],
            Profile::Disk => &[
                Class::StateDisk,
                Class::HangDisk,
                Class::Loss,
                Class::PowerLoss,
                Class::Host,
            ],
            Profile::Operator => &[
                Class::HandOver,
                Class::StopDaemons,
                Class::Vouching,
                Class::Pausing,
                Class::Replacing,
                Class::Adopting,
                Class::Aimed,
                Class::Isolate,
            ],
            Profile::Mix | Profile::Chaos => &Class::ALL,
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = Profile::ALL.iter().find(|(profile, _)| profile == self);
        f.write_str(word.map_or("", |(_, word)| word))
    }
}

impl FromStr for Profile {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = Profile::ALL.iter().find(|(_, word)| *word == text);
        found.map(|(profile, _)| *profile).ok_or_else(|| {
            let words: Vec<&str> = Profile::ALL.iter().map(|(_, word)| *word).collect();
            format!("{text:?} is no profile; there are: {}", words.join(", "))
        })
    }
}
