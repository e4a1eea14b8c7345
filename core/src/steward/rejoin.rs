//! A copy that is to follow a primary: does it fit? If not: rewound, and if that cannot be, set aside and cloned.

use super::facts::{Cloned, Discard, Holding};
use super::plan::{Next, Pace, Plan};
use super::promotion::entered;
use super::{Steward, StewardReason};
use crate::member::MemberId;
use crate::mutant;
use crate::postgres::{Doors, Lsn, Timeline, Upstream, Want};
use crate::record::{CopyId, History, Record};
use crate::rule;
use crate::step::{DataDirectory, Directory, Leaving, Server, Stamp, Step};
use crate::time::{Duration, Instant};

/// A recovery that stays in one segment of WAL for so long waits for what will not come.
const NO_PROGRESS: Duration = Duration::secs(30);
/// An old connection of its name, whose end the primary does not know of, keeps it from its slot for less than this.
const SLOT_HELD: Duration = Duration::secs(8);
/// Before it has one in hand PostgreSQL syncs the whole directory, file by file.
const NO_BEGIN: Duration = Duration::secs(1800);

impl Steward {
    /// A running standby that is to follow this member's primary.
    pub(super) fn plan_follow(&self, now: Instant, server: &Server, member: MemberId) -> Plan {
        let nobody = |why: &str| {
            self.follow_nobody(now, server)
                .unwrap_or(Plan::look(Pace::Slow))
                .but(why.to_owned())
        };
        let Some(record) = self
            .record()
            .filter(|r| r.primary == member && member != self.config.me)
        else {
            return nobody("it follows nobody: the record does not name that member as primary");
        };
        let (
            Some(upstream),
            Holding::Own {
                stamp: Some(stamp), ..
            },
        ) = (record.copy_of(member), self.holding())
        else {
            return nobody(
                "it follows nobody: neither it nor the primary is a copy that the record knows",
            );
        };
        let promotions = &record.promotions;
        // All that it holds beyond its stamped history came from this very copy: it fits whatever its end.
        if stamp.follows == Some(upstream)
            && (stamp.history.is_prefix_of(promotions) || mutant!(self.config, R15FollowsIsEnough))
        {
            if stamp.history != *promotions {
                return Plan::step(Step::WriteStamp(self.follower_of(stamp, record)));
            }
            let settings = self.settings(self.closed_gate(), Some(member), Doors::Open);
            let why = StewardReason::Follows {
                of: self.config.name(member).to_owned(),
            };
            return self
                .in_force(now, server, settings, why)
                .unwrap_or_else(|| self.watch(now, server, record));
        }
        // R11: compare before pointing it anywhere, by what is flushed: its receiver has ended, all is replayed.
        if let Some(plan) = self.follow_nobody(now, server) {
            return plan;
        }
        if server.replay_paused {
            return Plan::look(Pace::Slow)
                .but("it follows nobody: replay is paused, so its end cannot be seen; say pg_wal_replay_resume()".to_owned());
        }
        let undrained = !server.drained && !mutant!(self.config, R11ComparesReplayed);
        if server.streaming_from.is_some() || undrained {
            return Plan::look(Pace::Fast);
        }
        let numbers_alone = mutant!(self.config, R15NumbersAlone)
            && promotions
                .timelines()
                .starts_with(&stamp.history.timelines());
        let next_alone = mutant!(self.config, R15NextAlone)
            && entered(&stamp.history, server.position).fits(server.position, promotions);
        let end_ignored = mutant!(self.config, R15EndIgnored)
            && entered(&stamp.history, server.position).is_prefix_of(promotions);
        let misfit = misfit(&stamp.history, server.position, promotions)
            .filter(|_| !numbers_alone && !next_alone && !end_ignored);
        match misfit {
            // The stamp first: whatever it holds from now on is of that history.
            None => Plan::step(Step::WriteStamp(self.follower_of(stamp, record))),
            Some(why) => self.give_up(why),
        }
    }

    /// It follows. PostgreSQL says nothing if it cannot: it runs, reads, and never streams (research/postgres.md 2).
    fn watch(&self, now: Instant, server: &Server, record: &Record) -> Plan {
        let streams = server.streaming_from == Some(record.primary);
        let patience = self.config.decision_timeout.times(2).max(SLOT_HELD);
        match self.facts.run.starved {
            None if streams => Plan::look(Pace::Steady),
            Some((since, _)) if now.since(since) > patience && !streams && server.drained => self
                .give_up(format!(
                    "it has not streamed from {} for {patience}, though its history should fit",
                    self.config.name(record.primary)
                )),
            _ => Plan::look(Pace::Fast),
        }
    }

    /// Whether this copy was rewound or cloned, and was not ready since.
    fn is_rewritten(&self) -> bool {
        matches!(
            self.holding(),
            Holding::Own { stamp: Some(stamp), .. } if stamp.rewritten
        )
    }

    fn is_contradicted(&self) -> bool {
        matches!(self.holding(), Holding::Own { data, .. } if data.contradicted.is_some())
    }

    /// A server that is not ready yet. What a rewind or a clone left may lack WAL without which it is no whole copy, and
    /// a standby of nobody waits for that for ever (research/postgres.md 2).
    pub(super) fn give_up_unready(&self, now: Instant) -> Option<Plan> {
        if !self.is_rewritten() {
            return None;
        }
        let (replays, since) = &self.facts.run.replays;
        let (progress, patience) = match replays {
            Some(segment) => (
                format!("has come no further than segment {segment} for {NO_PROGRESS}"),
                NO_PROGRESS,
            ),
            None => (format!("has not begun for {NO_BEGIN}"), NO_BEGIN),
        };
        if now.since(*since) <= patience {
            return None;
        }
        Some(self.give_up(format!(
            "what was rewritten is not ready, and its recovery {progress}: WAL that it needs is not there"
        )))
    }

    /// This copy does not fit: a rewind or a clone, where it may be discarded (R11); else it stays as it is.
    pub(super) fn give_up(&self, why: String) -> Plan {
        let Holding::Own { copy, .. } = self.holding() else {
            return Plan::look(Pace::Slow);
        };
        match self.clone_source() {
            Some(source) => Plan {
                next: Next::GiveUp(Box::new(Discard { copy, source, why })),
                stuck: None,
                in_passing: false,
            },
            None => Plan::look(Pace::Slow).but(format!(
                "{why}; it is kept, because the record may still count on this copy"
            )),
        }
    }

    /// Whether the reason to give this copy up still holds.
    pub(super) fn is_discard_valid(&self, discard: &Discard, copy: CopyId) -> bool {
        discard.copy == copy && self.clone_source().as_ref() == Some(&discard.source)
    }

    /// What a clone or a rewind may be made of: only while the record, known committed, leaves this copy out (R11).
    fn clone_source(&self) -> Option<Cloned> {
        let record = self.record()?;
        let from = match *self.want() {
            Want::Standby {
                of: Upstream::Member(from),
                may_discard: true,
            } => from,
            // The node lets nobody follow before it has seen the end of its copy, and of this one it may never see it.
            Want::Standby {
                of: Upstream::AsFound,
                may_discard: true,
            } if self.is_rewritten() || self.is_contradicted() => record.primary,
            _ => return None,
        };
        let own = self.own_copy();
        let named = own.is_some_and(|c| record.names(c)) && !mutant!(self.config, R11DiscardsNamed);
        if record.primary != from || from == self.config.me || named {
            return None;
        }
        Some(Cloned {
            from,
            source: record.copy_of(from),
            promotions: record.promotions.clone(),
            rewound: false,
            done: false,
        })
    }

    /// What no discard may lack.
    pub(super) fn assert_may_discard(&self) {
        rule!(
            self.config,
            "R11",
            self.clone_source().is_some(),
            "a discard of what the record does not leave out"
        );
    }

    /// Whether the directory with this copy's name is known not to be that copy (R15).
    pub(super) fn is_disowned(&self, copy: CopyId) -> bool {
        self.target.as_ref().and_then(|t| t.disowned) == Some(copy)
    }

    /// An operator asked for a fresh copy in this one's place: why it is given up, where it may be (R11).
    pub(super) fn is_to_be_replaced(&self, copy: CopyId) -> Option<String> {
        let asked = self.target.as_ref().and_then(|t| t.replaced) == Some(copy);
        (asked && self.clone_source().is_some())
            .then(|| "an operator asked for a fresh copy".to_owned())
    }

    /// No server can be started here, and nobody counts on this copy (R11): why it is given up.
    pub(super) fn is_useless(&self, data: &DataDirectory) -> Option<String> {
        let why = data.contradicted.as_ref()?;
        (self.clone_source().is_some() && !mutant!(self.config, R15StartsContradicted))
            .then(|| format!("PostgreSQL would not start on it: {why}"))
    }

    /// A directory that went back in time is another copy than its stamp says: it gets a name of its own, durable
    /// before it is used (R15).
    pub(super) fn plan_rename(&self, stamp: &Stamp) -> Plan {
        Plan::because(
            Step::WriteStamp(Stamp {
                copy: self.fresh_copy(),
                // The name is of today, or the stamp would be found too old again.
                record: self.record().map(|r| r.key).max(stamp.record),
                ..stamp.clone()
            }),
            StewardReason::Renames { copy: stamp.copy },
        )
    }

    /// Whether this copy's name is being given up (R11: from the order on).
    pub(super) fn is_giving_up(&self) -> bool {
        matches!(
            self.flight.as_ref().map(|o| &o.step),
            Some(Step::MarkRewriting)
        )
    }

    /// Nothing runs, and what is here is no copy to go on with: the mark first (R11).
    pub(super) fn plan_rejoin(&self, why: String) -> Plan {
        match self.clone_source() {
            Some(source) => {
                let way = match self.facts.data() {
                    Some(data) => self.rewind_of(data, &source).map(|_| ()),
                    None => Err("there is nothing to rewind".to_owned()),
                };
                let from = self.config.name(source.from).to_owned();
                let why = StewardReason::GivesUp { from, why, way };
                Plan::because(Step::MarkRewriting, why)
            }
            None => self.wait_for_source(&why),
        }
    }

    /// The mark is set: the directory is not whole, or given up at least. Begun anew after every interruption: what a
    /// rewind has not touched yet is rewound, all else is cloned.
    pub(super) fn plan_rewrite(&self) -> Plan {
        let Some(inspection) = &self.facts.inspection else {
            return Plan::step(Step::Inspect);
        };
        match (&inspection.directory, &self.facts.clone) {
            (Directory::Absent, _) => match self.clone_source() {
                Some(Cloned { from, .. }) => {
                    let name = self.config.name(from).to_owned();
                    Plan::because(Step::Clone { from }, StewardReason::Clones { from: name })
                }
                None => self.wait_for_source("there is no data directory"),
            },
            (Directory::Data(data), Some(clone)) if clone.done => match self.record() {
                Some(record) => match self.flaw(data, clone, record) {
                    None => self.plan_name_clone(data, record),
                    Some(why) => self.plan_aside(data, &why),
                },
                None => self.wait_for_source("a copy was made"),
            },
            (Directory::Data(data), _) => match self.clone_source() {
                Some(source) => match self.rewind_of(data, &source) {
                    Ok(step) => {
                        let why = self.rewinds(&source, &step);
                        Plan::because(step, why)
                    }
                    Err(why) => self.plan_aside(data, &why),
                },
                None => self.wait_for_source("its data are to be replaced"),
            },
            (Directory::Unusable(why), _) => match self.clone_source() {
                // Torn in its midst: what it was cannot even be read.
                Some(_) => self.plan_aside_of(Leaving {
                    copy: None,
                    timeline: Timeline(0),
                    from: None,
                    to: Lsn(0),
                    why: why.clone(),
                }),
                None => self.wait_for_source(why),
            },
        }
    }

    fn plan_aside(&self, data: &DataDirectory, why: &str) -> Plan {
        if self.clone_source().is_none() {
            return self.wait_for_source(why);
        }
        self.plan_aside_of(self.leaving(data, why.to_owned()))
    }

    fn plan_aside_of(&self, leaving: Leaving) -> Plan {
        let why = leaving.why.clone();
        Plan::because(Step::SetAside(leaving), StewardReason::SetsAside { why })
    }

    /// A whole clone: a name of its own, durable before it may be started.
    fn plan_name_clone(&self, data: &DataDirectory, record: &Record) -> Plan {
        let copy = self.fresh_copy();
        let named = data
            .stamp
            .as_ref()
            .is_some_and(|s| s.copy == copy && s.member == self.config.name(self.config.me));
        if named {
            return Plan::step(Step::ClearMark);
        }
        let stamp = Stamp {
            rewritten: true,
            ..self.new_stamp(data, copy, record)
        };
        Plan::step(Step::WriteStamp(self.follower_of(&stamp, record)))
    }

    /// Why a finished clone or rewind is not what is wanted; None: it is.
    fn flaw(&self, data: &DataDirectory, clone: &Cloned, record: &Record) -> Option<String> {
        if data.system_id != record.system_id && !mutant!(self.config, R14AnySystem) {
            return Some(format!(
                "the copy is of database {}, the cluster's is {}",
                data.system_id, record.system_id
            ));
        }
        if !is_of(clone, record) {
            return Some(
                "the primary, or its history, has changed since the copy was begun".to_owned(),
            );
        }
        if clone.rewound {
            return self.flaw_of_rewind(data, record);
        }
        let timeline = data.newest_timeline.0;
        match record.promotions.last() {
            Some(last) if last.timeline != timeline => Some(format!(
                "the clone is on timeline {timeline}, the primary's history ends on {}",
                last.timeline
            )),
            _ => None,
        }
    }

    fn wait_for_source(&self, found: &str) -> Plan {
        Plan::wait(Some(Duration::secs(1))).but(match self.want() {
            Want::Primary { .. } => format!("it cannot be promoted: {found}"),
            _ => format!(
                "{found}; waiting for a primary to clone, whose committed record leaves this copy out"
            ),
        })
    }

    /// The stamp of a copy that follows the record's primary. An order of its own is over, and leaves with its history: of
    /// what was carried out before this run the start has seen what came of it, and a run in which it was carried out is
    /// never made a standby again (R10). Kept, the primary's promotion of the same number would be taken for it at the
    /// next start (R15).
    fn follower_of(&self, stamp: &Stamp, record: &Record) -> Stamp {
        Stamp {
            record: stamp.record.max(Some(record.key)),
            history: record.promotions.clone(),
            follows: record.copy_of(record.primary),
            ordered: stamp
                .ordered
                .filter(|_| mutant!(self.config, R15OrderStays)),
            ..stamp.clone()
        }
    }

    /// Whether the clone under way is still of the primary's present history.
    pub(super) fn clone_is_wanted(&self) -> bool {
        let (Some(clone), Some(record)) = (&self.facts.clone, self.record()) else {
            return false;
        };
        matches!(self.want(), Want::Standby { .. }) && is_of(clone, record)
    }
}

fn is_of(clone: &Cloned, record: &Record) -> bool {
    clone.from == record.primary
        && clone.source == record.copy_of(record.primary)
        && clone.promotions == record.promotions
}

/// Why a copy with this history, flushed up to `end`, does not fit (R15); None: it does.
pub(super) fn misfit(own: &History, end: Lsn, primary: &History) -> Option<String> {
    let own = entered(own, end);
    // All later promotions, not the next alone: a later one can have begun earlier.
    let later = primary.promotions().iter().skip(own.promotions().len());
    if own.fits(end, primary) && later.into_iter().all(|p| end <= p.start) {
        return None;
    }
    Some(if own.is_prefix_of(primary) {
        format!("it holds WAL up to {end}, beyond where the primary's history goes on: {primary}")
    } else {
        format!("its history {own} is not how the primary's began: {primary}")
    })
}
