//! The second rung of the ladder: whether a copy that does not fit can be rewound, and whether one that was is what it
//! should be (R11, R15).
//!
//! pg_rewind judges by the control file and by numbers of timelines, and ends well also where it did nothing
//! (research/postgres.md 2). So it is asked only where these tell the two histories apart, and never believed.

use super::facts::{Cloned, Discard, Holding};
use super::promotion::{entered, unsettled};
use super::rejoin::misfit;
use super::{Steward, StewardReason};
use crate::mutant;
use crate::postgres::{Lsn, Timeline};
use crate::record::{History, Promotion, Record};
use crate::step::{ClusterState, DataDirectory, Leaving, Stamp, Step};

/// So often a rewind that fails before it touches anything is tried; then it is a clone.
const MOST_TRIES: u32 = 5;

impl Steward {
    /// Where this copy and the primary parted, if a rewind may go back there; else why not.
    pub(super) fn divergence(&self, discard: &Discard) -> Result<Lsn, String> {
        let found = self.facts.data().and_then(|d| Some((d, d.stamp.as_ref()?)));
        let Some((data, stamp)) = found.filter(|(_, stamp)| stamp.copy == discard.copy) else {
            return Err("it has no stamp of this member's".to_owned());
        };
        self.rewindable(data)?;
        self.rewinds_to(&stamp.history, self.facts.end, &discard.source.promotions)
    }

    /// The rewind of this directory to the source; or why there is none. Nothing runs.
    ///
    /// What is asked here is on disk: a rewind that has not touched anything, the stamp being the first, is begun anew
    /// after any interruption; one that has is not.
    pub(super) fn rewind_of(&self, data: &DataDirectory, source: &Cloned) -> Result<Step, String> {
        let Some(stamp) = self.untouched(data) else {
            return Err(match (self.holding(), &self.facts.given_up) {
                (Holding::Rewriting, Some(why)) => why.clone(),
                (Holding::Rewriting, None) => {
                    "its rewriting was begun and is not known to be whole".to_owned()
                }
                _ => "it is no copy of this member's".to_owned(),
            });
        };
        self.rewindable(data)?;
        if data.cluster == ClusterState::Other {
            return Err("it was not stopped cleanly".to_owned());
        }
        if unsettled(stamp).is_some() {
            return Err(
                "a promotion was ordered here, and it is not known what became of it".to_owned(),
            );
        }
        let (history, end) = (&stamp.history, data.end());
        let fork = self.rewinds_to(history, end, &source.promotions)?;
        // What pg_rewind takes for this copy's history and end is in the control file alone.
        let mine = last_timeline(&entered(history, end));
        let (recovered_on, recovered_to) = data.recovered_to;
        if data.checkpoint_timeline != mine || (recovered_to > Lsn(0) && recovered_on != mine) {
            return Err(format!(
                "its control file does not tell of timeline {mine} yet, so pg_rewind would not see what is on it"
            ));
        }
        if data.cluster == ClusterState::ShutDownInRecovery && recovered_to <= fork {
            return Err(format!(
                "its control file does not tell of anything beyond {fork}, so pg_rewind would not see it"
            ));
        }
        if self.facts.rewinds_failed >= MOST_TRIES {
            return Err(format!("it failed {MOST_TRIES} times before it began"));
        }
        Ok(Step::Rewind {
            from: source.from,
            timeline: last_timeline(&source.promotions),
            drops: Leaving {
                copy: Some(stamp.copy),
                timeline: mine,
                from: Some(fork),
                to: end,
                why: misfit(history, end, &source.promotions).unwrap_or_default(),
            },
        })
    }

    /// Where a copy with this history, that ends at `end`, and the primary parted, if a rewind may go back there.
    fn rewinds_to(&self, own: &History, end: Lsn, primary: &History) -> Result<Lsn, String> {
        let fork = parted(own, end, primary);
        let own = entered(own, end);
        let (own, primary) = (own.promotions(), primary.promotions());
        let common = common(own, primary);
        let (mine, theirs) = (&own[common..], &primary[common..]);
        // Also of what they have in common: a copy that was promoted without having heard of a timeline made its number again.
        let numbered = |of: &[Promotion], timeline| of.iter().any(|p| p.timeline == timeline);
        let twice = mine
            .iter()
            .find(|p| numbered(primary, p.timeline))
            .or_else(|| theirs.iter().find(|p| numbered(own, p.timeline)));
        if let Some(twice) = twice {
            return Err(format!(
                "both it and the primary made a timeline {}, each its own, and pg_rewind would take them for one",
                twice.timeline
            ));
        }
        // Nor need a record name them: a copy that streams takes up what its upstream is promoted to, heard of or not, and
        // may be promoted beyond that itself.
        let both = !mine.is_empty() && !theirs.is_empty();
        if both && !mutant!(self.config, R15NamedNumbersAlone) {
            return Err("both it and the primary were promoted since they parted, and may have made one timeline number twice: pg_rewind would take the two for one".to_owned());
        }
        fork.ok_or_else(|| "by its history it should fit".to_owned())
    }

    fn rewindable(&self, data: &DataDirectory) -> Result<(), String> {
        if self.target.as_ref().is_some_and(|t| t.replaced.is_some()) {
            return Err("an operator asked for a fresh copy".to_owned());
        }
        // R17: what an operator's word left out is kept whole, until a second word gives it up.
        if self.record().is_some_and(|record| record.forced)
            && !mutant!(self.config, R17RewindsForced)
        {
            return Err(
                "the primary's history was chosen by an operator, so what it lacks is kept whole"
                    .to_owned(),
            );
        }
        match data.rewindable {
            true => Ok(()),
            false => Err("it was run with neither wal_log_hints nor data checksums, so nobody knows which of its pages changed".to_owned()),
        }
    }

    /// The stamp of this member's copy, still in the directory: nothing has been rewritten.
    fn untouched<'a>(&self, data: &'a DataDirectory) -> Option<&'a Stamp> {
        data.stamp.as_ref().filter(|stamp| {
            stamp.member == self.config.name(self.config.me)
                && stamp.cluster == self.config.cluster
                && stamp.system_id == data.system_id
        })
    }

    /// What leaves this host with a directory that is set aside.
    pub(super) fn leaving(&self, data: &DataDirectory, why: String) -> Leaving {
        let (stamp, end) = (self.untouched(data), data.end());
        let both = stamp.zip(self.record());
        let parted = both.and_then(|(s, r)| parted(&s.history, end, &r.promotions));
        let misfit = both.and_then(|(s, r)| misfit(&s.history, end, &r.promotions));
        Leaving {
            copy: stamp.map(|stamp| stamp.copy),
            timeline: data.checkpoint_timeline.max(data.recovered_to.0),
            from: parted,
            to: end,
            why: match misfit {
                Some(misfit) => format!("{misfit}; no rewind: {why}"),
                None => why,
            },
        }
    }

    /// Why what a rewind left is not what is wanted; None: it is. Its own word proves nothing.
    pub(super) fn flaw_of_rewind(&self, data: &DataDirectory, record: &Record) -> Option<String> {
        if mutant!(self.config, R15UnverifiedRewind) {
            return None;
        }
        let wanted = last_timeline(&record.promotions);
        let start = record.promotions.last().map_or(Lsn(0), |p| p.start);
        let (timeline, end) = data.recovered_to;
        if data.checkpoint_timeline != wanted || timeline != wanted || end < start {
            return Some(format!(
                "the rewind says that it worked, but the control file tells of timeline {} and {timeline} up to {end}, not of {wanted} beyond {start}",
                data.checkpoint_timeline
            ));
        }
        if data.newest_timeline != (wanted, start) {
            return Some(format!(
                "the rewind says that it worked, but the newest timeline here is {} from {}, the primary's is {wanted} from {start}",
                data.newest_timeline.0, data.newest_timeline.1
            ));
        }
        if data.cluster != ClusterState::Other {
            return Some(
                "the rewind says that it worked, but the control file is the old one".to_owned(),
            );
        }
        None
    }

    pub(super) fn rewinds(&self, source: &Cloned, step: &Step) -> StewardReason {
        StewardReason::Rewinds {
            from: self.config.name(source.from).to_owned(),
            beyond: match step {
                Step::Rewind { drops, .. } => drops.from.unwrap_or_default(),
                _ => Lsn(0),
            },
        }
    }
}

/// How many promotions both begin with.
fn common(own: &[Promotion], primary: &[Promotion]) -> usize {
    own.iter().zip(primary).take_while(|(a, b)| a == b).count()
}

/// Where a copy with this history, that ends at `end`, and the primary parted; none: it should fit.
fn parted(own: &History, end: Lsn, primary: &History) -> Option<Lsn> {
    let own = entered(own, end);
    let (own, primary) = (own.promotions(), primary.promotions());
    let common = common(own, primary);
    let parted = own[common..].iter().chain(&primary[common..]);
    parted.map(|p| p.start).min().filter(|fork| *fork < end)
}

fn last_timeline(history: &History) -> Timeline {
    history.last().map_or(Timeline(1), |p| p.timeline)
}
