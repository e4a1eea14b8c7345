//! The liveness matrix: every combination of three hosts up or down and six directed links whole or cut, in several
//! situations, as scenarios that [`crate::run`] judges by L's own words.

use crate::scenario::{Fault, Kind, Links, Scenario, Target, Trigger, What};
use crate::trouble::Trouble;
use std::fmt;

/// In what situation the network becomes what it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Situation {
    /// m0 leads, m1 is in sync.
    InSync,
    /// m0 leads alone.
    Lone,
    /// m0 leads, m1 is in sync, and m0's database dies with the network.
    DatabaseDead,
    /// The same, and the disk of m0's database takes no write any more: to start that again helps nobody.
    DiskHangs,
    /// Every host that is up has just started.
    Started,
    /// The same, and m0's database cannot be promoted.
    Unable,
}

impl Situation {
    /// All of them.
    pub const ALL: [Situation; 6] = [
        Situation::InSync,
        Situation::Lone,
        Situation::DatabaseDead,
        Situation::DiskHangs,
        Situation::Started,
        Situation::Unable,
    ];
}

impl fmt::Display for Situation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Situation::InSync => "in-sync",
            Situation::Lone => "lone",
            Situation::DatabaseDead => "database-dead",
            Situation::DiskHangs => "disk-hangs",
            Situation::Started => "started",
            Situation::Unable => "unable",
        })
    }
}

/// So many networks there are: three hosts, six directed links.
pub const NETWORKS: u32 = 512;
const SECOND: u64 = 1_000_000;
/// The directed links, in the order of their bits.
pub(crate) const PAIRS: [(usize, usize); 6] = [(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)];

/// A network: the lowest three bits say which hosts are up, the others which links are whole.
pub fn scenario(situation: Situation, network: u32) -> Scenario {
    let mut s = Scenario::calm(u64::from(network));
    s.kind = Kind::Network;
    s.decision_timeout = 3 * SECOND;
    s.sync_timeout = 1_200_000;
    s.health_timeout = 1_800_000;
    s.clone_time = (300_000, SECOND);
    let start = match situation {
        Situation::Lone => 4 * SECOND,
        _ => SECOND,
    };
    let long = 60 * SECOND;
    let is_set = |bit: usize| network >> bit & 1 == 1;
    let mut add = |at: u64, what: What| {
        s.faults.push(Fault {
            at,
            early: false,
            what,
        })
    };
    if situation == Situation::Lone {
        let until_then = start - SECOND / 2;
        add(
            SECOND / 2,
            What::Isolate(Target::Member(1), Links::Databases, until_then),
        );
    }
    match situation {
        Situation::DatabaseDead => add(start, What::Database(Target::Member(0))),
        Situation::DiskHangs => add(start, What::HangDisk(Target::Member(0), long)),
        Situation::Unable => add(
            start,
            What::Trouble(Target::Member(0), Trouble::SlowPromotion, long),
        ),
        Situation::InSync | Situation::Lone | Situation::Started => {}
    }
    for (bit, (from, to)) in PAIRS.into_iter().enumerate() {
        if !is_set(3 + bit) {
            let (from, to) = (Target::Member(from), Target::Member(to));
            add(start, What::Cut(from, to, Links::All, long));
        }
    }
    for h in 0..3 {
        let down = match is_set(h) {
            true if matches!(situation, Situation::Started | Situation::Unable) => 200_000,
            true => continue,
            false => long,
        };
        add(
            start,
            What::Host(Target::Member(h), Trigger::Actions(0), down),
        );
    }
    // What L promises is due by then, and has to last.
    s.heal_after = start + 3 * s.decision_timeout + 6 * SECOND;
    s
}
