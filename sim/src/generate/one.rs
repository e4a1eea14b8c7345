//! A fault of a class, with what belongs to it.

use super::SECOND;
use super::bits::Bits;
use crate::scenario::{Blow, Fault, Kind, Links, Scenario, Target, Trigger, What};

/// What can be on or off in a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Class {
    Daemon,
    Guard,
    Database,
    Host,
    PowerLoss,
    Aimed,
    PauseDaemon,
    PauseGuard,
    PauseHost,
    Clock,
    HangDatabase,
    HangDisk,
    StateDisk,
    LateSteps,
    Cut,
    Isolate,
    Flap,
    Reset,
    Hold,
    Echo,
    Messages,
    HandOver,
    StopDaemons,
    Loss,
    Vouching,
    Pausing,
    Replacing,
    Adopting,
}

impl Class {
    /// All of them.
    pub(crate) const ALL: [Class; 28] = [
        Class::Daemon,
        Class::Guard,
        Class::Database,
        Class::Host,
        Class::PowerLoss,
        Class::Aimed,
        Class::PauseDaemon,
        Class::PauseGuard,
        Class::PauseHost,
        Class::Clock,
        Class::HangDatabase,
        Class::HangDisk,
        Class::StateDisk,
        Class::LateSteps,
        Class::Cut,
        Class::Isolate,
        Class::Flap,
        Class::Reset,
        Class::Hold,
        Class::Echo,
        Class::Messages,
        Class::HandOver,
        Class::StopDaemons,
        Class::Loss,
        Class::Vouching,
        Class::Pausing,
        Class::Replacing,
        Class::Adopting,
    ];
}

/// Whom it meets.
pub(crate) fn target(bits: &mut Bits, s: &Scenario) -> Target {
    match bits.within(0, 6) {
        0..=2 => Target::Primary,
        3..=4 => Target::Standby,
        5 => Target::Member(2),
        _ => Target::Member(bits.within(0, s.members.len() as u64 - 1) as usize),
    }
}

/// When exactly a crash strikes.
pub(crate) fn trigger(bits: &mut Bits) -> Trigger {
    match bits.within(0, 8) {
        0..=2 => Trigger::Actions(0),
        3 => Trigger::Actions(bits.within(1, 60)),
        4..=6 => Trigger::Persisted,
        7 => Trigger::Promotion,
        _ => Trigger::Gate,
    }
}

/// A moment that something is aimed at.
fn moment(bits: &mut Bits) -> Trigger {
    match bits.within(0, 11) {
        0 => Trigger::Actions(bits.within(1, 60)),
        1 => Trigger::Persisted,
        2 => Trigger::Sent,
        3 => Trigger::Release,
        4 => Trigger::Promotion,
        5 => Trigger::Gate,
        6 => Trigger::Proof,
        7 | 8 => Trigger::Steps(bits.within(0, 14)),
        9 => Trigger::Begun(bits.within(0, 9)),
        _ => Trigger::Done(bits.within(0, 9)),
    }
}

fn blow(bits: &mut Bits) -> Blow {
    bits.pick(&[
        Blow::Daemon,
        Blow::Daemon,
        Blow::Host,
        Blow::Host,
        Blow::Guard,
        Blow::Database,
        Blow::PauseDaemon,
        Blow::PauseGuard,
        Blow::PauseHost,
        Blow::Isolate,
        Blow::Tear,
    ])
}

/// Which connections.
fn links(bits: &mut Bits) -> Links {
    bits.pick(&[Links::All, Links::All, Links::Daemons, Links::Databases])
}

/// A fault of this class comes at this time, and what belongs to it around it.
pub(crate) fn come(bits: &mut Bits, s: &mut Scenario, class: Class, at: u64) {
    let d = s.decision_timeout;
    let long = bits.time(200_000, 4 * d);
    let short = bits.time(20_000, d);
    let who = target(bits, s);
    let other = target(bits, s);
    let mut and: Vec<(u64, What)> = vec![];
    let what = match class {
        Class::Daemon => What::Daemon(who, trigger(bits), short),
        Class::Guard => What::Guard(who),
        Class::Database => What::Database(who),
        Class::Host => What::Host(who, trigger(bits), long),
        Class::PowerLoss => What::PowerLoss(long),
        Class::Aimed => {
            // Something that brings such moments.
            let stirs = match bits.within(0, 5) {
                0 => Some(What::Demote(Target::Primary)),
                1 => Some(What::Host(Target::Primary, Trigger::Actions(0), long)),
                2 => Some(What::Database(Target::Primary)),
                3 => Some(What::Database(Target::Standby)),
                _ => None,
            };
            and.extend(stirs.map(|what| (bits.time(1_000, 200_000), what)));
            What::Aim(who, moment(bits), blow(bits), bits.pick(&[short, long]))
        }
        Class::PauseDaemon => What::PauseDaemon(who, long),
        Class::PauseGuard => {
            // Its permission ends meanwhile, because nobody hears its daemon, or that does not run either.
            match bits.within(0, 3) {
                0 => and.push((short / 4, What::Isolate(who, Links::Daemons, long))),
                1 => and.push((short / 4, What::PauseDaemon(who, long))),
                _ => {}
            }
            What::PauseGuard(who, long)
        }
        Class::PauseHost => What::PauseHost(who, long),
        Class::Clock => match s.kind {
            Kind::Unbounded => match bits.within(0, 3) {
                0 => What::Rate(who, bits.pick(&[200, 500, 900, 1100, 2000, 5000])),
                1 => What::Jump(who, bits.time(1_000, 10 * d)),
                _ => What::Freeze(who, long),
            },
            _ => What::Rate(who, bits.pick(&[900, 900, 950, 1000, 1100, 1100])),
        },
        Class::HangDatabase => What::HangDatabase(who, long),
        Class::HangDisk => What::HangDisk(who, long),
        Class::StateDisk => match bits.within(0, 3) {
            0 => What::SlowDisk(who, long),
            1 => What::SlowSyncs(who, bits.pick(&[50, 300, 1000]), bits.time(10_000, d), long),
            2 => What::FullDisk(who, long),
            _ => What::Aim(who, Trigger::Persisted, Blow::Tear, long),
        },
        Class::LateSteps => {
            if bits.one_in(2) {
                and.push((short / 2, What::Daemon(who, trigger(bits), short / 4)));
            }
            What::LateSteps(who, bits.time(20_000, d), long)
        }
        Class::Cut => match bits.within(0, 3) {
            0 => What::Part(who, other, links(bits), long),
            1 => {
                let group = bits.within(1, (1 << s.members.len()) - 2);
                What::Split(group, links(bits), long)
            }
            _ => What::Cut(who, other, links(bits), long),
        },
        Class::Isolate => What::Isolate(who, links(bits), long),
        Class::Flap => {
            let period = bits.time(5_000, d);
            What::Flap(who, other, links(bits), period, long)
        }
        Class::Reset => {
            for again in 1..=bits.within(0, 3) {
                and.push((again * short / 8, What::Reset(who, other, links(bits))));
            }
            What::Reset(who, other, links(bits))
        }
        Class::Hold => What::Hold(who, other, links(bits), long),
        Class::Echo => What::Echo(who, other, bits.time(100_000, 6 * d)),
        Class::Messages => match bits.within(0, 2) {
            0 => What::Loss(bits.within(50, 700), long),
            1 => What::Tail(bits.pick(&[20, 200, 1000]), bits.time(50_000, 4 * d), long),
            _ => What::Double(bits.pick(&[50, 500, 1000]), long),
        },
        Class::HandOver => {
            let who = bits.pick(&[Target::Primary, Target::Primary, Target::Primary, who]);
            for again in 1..=bits.pick(&[0, 0, 0, 1, 3]) {
                and.push((again * short, What::Demote(Target::Primary)));
            }
            if bits.one_in(2) {
                let whom = bits.pick(&[Target::Primary, Target::Primary, Target::Standby]);
                let aim = What::Aim(whom, moment(bits), blow(bits), bits.pick(&[short, long]));
                and.push((bits.pick(&[0, 0, 50_000, 200_000]), aim));
            }
            What::Demote(who)
        }
        Class::StopDaemons => {
            for again in 1..=bits.pick(&[0, 0, 1, 2]) {
                let next = target(bits, s);
                and.push((again * short, What::StopDaemon(next, bits.time(20_000, d))));
            }
            What::StopDaemon(who, short)
        }
        Class::Loss => match bits.within(0, 5) {
            0..=1 => What::LoseState(who, long),
            2 => What::ForgetState(who, short),
            3 => What::LoseData(who, long),
            4 => What::BaseBackup(who, long),
            _ => What::LoseAll(who, long),
        },
        Class::Pausing => {
            // Something that would move the role comes while it lasts.
            if bits.one_in(2) {
                let lost = match bits.within(0, 3) {
                    0 => What::Database(Target::Primary),
                    1 => What::StopDaemon(Target::Primary, long),
                    2 => What::Isolate(Target::Primary, links(bits), long),
                    _ => What::Host(Target::Primary, trigger(bits), long),
                };
                and.push((bits.time(1_000, d), lost));
            }
            for _ in 0..bits.within(0, 2) {
                let whom = bits.pick(&[Target::Primary, Target::Standby, who]);
                and.push((bits.time(1_000, 4 * d), What::Resume(whom)));
            }
            What::Pause(Target::Primary)
        }
        Class::Replacing => {
            if bits.one_in(2) {
                let aim = What::Aim(Target::Standby, moment(bits), blow(bits), short);
                and.push((bits.time(1_000, SECOND), aim));
            }
            What::Reinit(bits.pick(&[Target::Standby, Target::Standby, who]))
        }
        Class::Adopting => {
            for _ in 0..bits.within(1, 3) {
                let later = d + bits.within(0, 3 * d);
                and.push((later, What::Adopt(bits.pick(&[Target::Standby, who]))));
            }
            What::Host(Target::Primary, trigger(bits), bits.within(2 * d, 6 * d))
        }
        Class::Vouching => {
            if bits.one_in(2) {
                let off = What::Host(other, Trigger::Actions(0), bits.within(d, 5 * d));
                and.push((bits.within(0, d), off));
            }
            for _ in 0..bits.within(1, 3) {
                and.push((short + bits.within(0, 4 * d), What::Operator(who)));
            }
            What::LoseState(who, short)
        }
    };
    and.insert(0, (0, what));
    for (later, what) in and {
        s.faults.push(Fault {
            at: at + later,
            early: false,
            what,
        });
    }
}
