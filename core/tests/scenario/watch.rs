//! S1 and S2 after every millisecond, and when commits were acknowledged.

use super::Cluster;
use super::database::Process;
use yoke_core::member::MemberId;
use yoke_core::postgres::Lsn;
use yoke_core::record::{History, Term};
use yoke_core::{Duration, Instant};

/// Commits come every 10 ms and are confirmed some ms later.
const USUAL: Duration = Duration::millis(40);

#[derive(Default)]
pub(crate) struct Watch {
    pub(crate) violations: Vec<String>,
    /// The newest acknowledgement: by whom, in which history, up to where, when.
    newest: Option<(MemberId, History, Lsn, Instant)>,
    /// The database promoted last, in the order of (term, n).
    promoted: Option<((Term, u32), History)>,
    /// Times without acknowledgements.
    gaps: Vec<(Instant, Instant)>,
    /// How often the database that acknowledges has changed.
    pub(crate) moves: u32,
}

impl Watch {
    pub(super) fn is_served(&self, now: Instant) -> bool {
        self.newest
            .as_ref()
            .is_some_and(|(.., at)| now.since(*at) <= USUAL)
    }

    pub(super) fn served_by(&self, now: Instant) -> Option<MemberId> {
        self.newest
            .as_ref()
            .filter(|_| self.is_served(now))
            .map(|(m, ..)| *m)
    }

    pub(super) fn longest_gap(&self, from: Instant, now: Instant) -> Duration {
        let running = self.newest.as_ref().map(|(.., at)| (*at, now));
        self.gaps
            .iter()
            .copied()
            .chain(running)
            .filter(|(_, end)| *end > from)
            .map(|(begin, end)| end.since(begin.max(from)))
            .filter(|gap| *gap > USUAL)
            .max()
            .unwrap_or_default()
    }

    fn violated(&mut self, what: String) {
        if self.violations.last() != Some(&what) {
            self.violations.push(what);
        }
    }

    fn acknowledged(&mut self, m: MemberId, history: &History, upto: Lsn, now: Instant) {
        if let Some((by, seen, end, at)) = &self.newest {
            if *by == m && seen == history && upto <= *end {
                return;
            }
            if now.since(*at) > USUAL {
                self.gaps.push((*at, now));
            }
            self.moves += u32::from(*by != m);
        }
        if let Some((term, newest)) = &self.promoted
            && !history.fits(upto, newest)
        {
            let term = term.0;
            self.violated(format!(
                "S1: {m} acknowledges {upto} on {history}, which the primary of term {term} lacks: {newest}"
            ));
        }
        self.newest = Some((m, history.clone(), upto, now));
    }

    fn promoted(&mut self, history: &History) {
        let Some(order) = history.last().map(|p| (p.term, p.n)) else {
            return;
        };
        if self.promoted.as_ref().is_some_and(|(o, _)| *o >= order) {
            return;
        }
        let term = order.0;
        self.promoted = Some((order, history.clone()));
        if let Some((m, seen, end, _)) = self.newest.clone()
            && !seen.fits(end, history)
        {
            self.violated(format!(
                "S1: the primary of term {term} ({history}) lacks {end}, acknowledged by {m} on {seen}"
            ));
        }
    }
}

impl Cluster {
    pub(super) fn watch_all(&mut self) {
        let now = self.now;
        let data: Vec<MemberId> = self
            .config
            .ids()
            .filter(|m| self.config.is_data(*m))
            .collect();
        let mut serving = Vec::new();
        for m in data {
            let db = self.db(m);
            if matches!(db.process, Process::Primary(_)) {
                let history = db.history.clone();
                self.watch.promoted(&history);
                if let Some(upto) = self.acknowledges(m) {
                    self.watch.acknowledged(m, &history, upto, now);
                }
            }
            if self.db(m).guard.serving.is_some() {
                serving.push(m);
            }
        }
        if serving.len() > 1 {
            self.watch
                .violated(format!("S2: {serving:?} serve at the same time"));
        }
    }
}
