//! A stamp tells the truth (R15): of the promotions that it lists, those that the copy has entered are timelines that its
//! WAL went through, each with its number and its beginning; and it lists those that were made in this very directory, and
//! no other's as one of them.
//! Whatever is decided by histories rests on that. (Of a primary that crashed and is promoted again a standby streams on;
//! of that promotion its stamp may say nothing before a record does.)

use crate::postgres::directory::DataDir;
use crate::postgres::wal::Kind;
use crate::world::World;
use yoke_core::postgres::{Lsn, Timeline};
use yoke_core::record::Promotion;
use yoke_core::step::Stamp;

/// The timelines of which a copy that ends here holds something: a later one that began no later left nothing of them.
fn held(all: &[(Timeline, Lsn)], end: Lsn) -> Vec<(Timeline, Lsn)> {
    let mut held: Vec<(Timeline, Lsn)> = vec![];
    for (timeline, begin) in all.iter().copied().filter(|(_, begin)| *begin < end) {
        held.retain(|(_, earlier)| *earlier < begin);
        held.push((timeline, begin));
    }
    held
}

/// Whether the stamp is true. The promotion that it orders may have happened, and not be listed yet.
fn is_true(dir: &DataDir, stamp: &Stamp) -> bool {
    let end = dir.wal.end();
    let promotions = stamp.history.promotions();
    let all: Vec<(Timeline, Lsn)> = promotions.iter().map(|p| (p.timeline, p.start)).collect();
    // By the log itself: a history file of a promotion that ended before it wrote anything says nothing of it.
    let lived = dir.wal.entries.iter().filter_map(|entry| match entry.kind {
        Kind::Promotion { timeline, .. } => Some((timeline, entry.start)),
        _ => None,
    });
    let lived: Vec<(Timeline, Lsn)> = lived.collect();
    let (lived, told) = (held(&lived, end), held(&all, end));
    let here = lived.iter().copied().filter(|one| dir.made.contains(one));
    let mut made: Vec<(Timeline, Lsn)> = here.collect();
    let listed = |(term, n)| promotions.iter().any(|p| (p.term, p.n) == (term, n));
    if stamp.ordered.is_some_and(|ordered| !listed(ordered)) {
        made.pop();
    }
    let is_part = |part: &[(Timeline, Lsn)], of: &[(Timeline, Lsn)]| {
        let mut of = of.iter();
        part.iter().all(|one| of.any(|other| other == one))
    };
    // What it lists twice it went through twice: nobody else's promotion is taken for its own order. (One that came while
    // the order was still open, and the stamp did not know of it, may be.)
    let is_own = |p: &Promotion| stamp.ordered == Some((p.term, p.n));
    let place = |p: &Promotion| (p.timeline, p.start);
    let others = |own: &Promotion| {
        promotions
            .iter()
            .any(|p| !is_own(p) && place(p) == place(own))
    };
    let mut own = promotions.iter().filter(|p| is_own(p));
    let taken = own.any(|own| !dir.made.contains(&place(own)) && others(own));
    // None begins before the one before it: of that the copy has entered nothing, and it is dropped (R6).
    let in_order = all.is_sorted_by_key(|(_, start)| *start);
    is_part(&told, &lived) && is_part(&made, &told) && !taken && in_order
}

impl World {
    /// A stamp was written.
    pub(crate) fn check_stamp(&mut self, h: usize) {
        let Some(dir) = &self.hosts[h].storage.directory else {
            return;
        };
        let Some(stamp) = dir.stamp.as_ref().filter(|stamp| !is_true(dir, stamp)) else {
            return;
        };
        let (history, lineage) = (&stamp.history, &dir.lineage);
        let end = dir.wal.end();
        let what =
            format!("m{h} stamps its copy with {history}, which is {lineage:?} and ends at {end}");
        self.violated("true_stamp", what);
    }
}

#[cfg(test)]
mod tests {
    use super::is_true;
    use crate::postgres::directory::DataDir;
    use crate::postgres::wal::Kind;
    use yoke_core::postgres::{Lsn, SystemId, Timeline};
    use yoke_core::record::{CopyId, History, Promotion, Term};
    use yoke_core::step::Stamp;

    #[test]
    fn a_stamp_that_lists_another_promotion_than_the_one_lived_is_untrue() {
        let mut dir = DataDir::fresh(7, SystemId(7));
        let start = dir.wal.end();
        dir.made.push((Timeline(2), start));
        let timeline = Timeline(2);
        dir.wal.append(Kind::Promotion { uid: 1, timeline }, 48);
        dir.wal.append(Kind::Write(1), 48);
        let promotion = |timeline, start| Promotion {
            timeline: Timeline(timeline),
            start,
            term: Term(4),
            n: 1,
        };
        let stamp = |promotions: Vec<Promotion>, ordered| Stamp {
            cluster: "sim".into(),
            member: "m0".into(),
            system_id: SystemId(7),
            copy: CopyId(9),
            record: None,
            history: History::from(promotions),
            ordered,
            ordered_on: Timeline(1),
            follows: None,
            rewritten: false,
        };
        let ordered = Some((Term(4), 1));
        assert!(is_true(&dir, &stamp(vec![promotion(2, start)], ordered)));
        assert!(
            is_true(&dir, &stamp(vec![], ordered)),
            "it is not known yet"
        );
        assert!(!is_true(&dir, &stamp(vec![], None)));
        assert!(!is_true(&dir, &stamp(vec![promotion(2, Lsn(1))], ordered)));
        let other = vec![promotion(2, start), promotion(3, Lsn(start.0 + 1))];
        assert!(!is_true(&dir, &stamp(other, ordered)));
        // Of one that another began in the place of it holds nothing.
        let twice = vec![promotion(2, start), promotion(2, start)];
        assert!(is_true(&dir, &stamp(twice, ordered)));
        // What it has not entered may be its primary's.
        let later = vec![promotion(2, start), promotion(3, dir.wal.end())];
        assert!(is_true(&dir, &stamp(later, None)));
    }
}
