//! What the clients were told: which writes were acknowledged, by whom and when, and which nobody knows about.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Two clients that are told something note it in the other order only if it came within this.
const ORDER: Duration = Duration::from_secs(1);

/// One primary's time in office: the node's place, and the timeline that its promotion began.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Reign {
    /// Grows with every promotion.
    pub timeline: u32,
    /// Whose.
    pub node: usize,
}

/// An acknowledged write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ack {
    /// The row.
    pub id: i64,
    /// Who acknowledged it.
    pub reign: Reign,
    /// Before it was sent.
    pub sent: Instant,
    /// After it was acknowledged.
    pub acked: Instant,
}

/// A write that was sent, and not acknowledged: it may be there or not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Doubt {
    /// The row.
    pub id: i64,
    /// When it was given up.
    pub at: Instant,
    /// What came instead of an acknowledgement.
    pub why: String,
}

/// The longest time between two acknowledged writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gap {
    /// How long.
    pub length: Duration,
    /// When it began.
    pub from: Instant,
}

/// Every client's results.
#[derive(Debug, Default)]
pub struct Ledger {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    last_id: i64,
    acks: Vec<Ack>,
    doubts: Vec<Doubt>,
}

impl Ledger {
    /// An id that was never used.
    pub fn next_id(&self) -> i64 {
        let mut inner = self.lock();
        inner.last_id += 1;
        inner.last_id
    }

    /// Notes an acknowledgement.
    pub fn acknowledged(&self, ack: Ack) {
        self.lock().acks.push(ack);
    }

    /// Notes a write of which nobody knows.
    pub fn doubtful(&self, id: i64, why: String) {
        let at = Instant::now();
        self.lock().doubts.push(Doubt { id, at, why });
    }

    /// How many were acknowledged.
    pub fn count(&self) -> usize {
        self.lock().acks.len()
    }

    /// How many since then.
    pub fn count_since(&self, then: Instant) -> usize {
        self.lock().acks.iter().filter(|a| a.acked >= then).count()
    }

    /// When the last acknowledgement was noted.
    pub fn last_ack(&self) -> Option<Instant> {
        self.lock().acks.last().map(|a| a.acked)
    }

    /// How many were acknowledged in each of the last whole seconds since `begun`, at most `seconds` of them, oldest
    /// first.
    pub fn per_second(&self, begun: Instant, now: Instant, seconds: usize) -> Vec<usize> {
        let whole = now.duration_since(begun).as_secs();
        let first = whole.saturating_sub(seconds as u64);
        let mut counts = vec![0; (whole - first) as usize];
        for ack in self.lock().acks.iter().rev() {
            // The seconds before `begun` and before the first one asked for end the search; the present one is not over.
            match ack.acked.checked_duration_since(begun).map(|d| d.as_secs()) {
                Some(second) if second >= whole => {}
                Some(second) if second >= first => counts[(second - first) as usize] += 1,
                _ => break,
            }
        }
        counts
    }

    /// All acknowledged writes, in the order of their acknowledgement.
    pub fn acks(&self) -> Vec<Ack> {
        let mut acks = self.lock().acks.clone();
        acks.sort_by_key(|a| a.acked);
        acks
    }

    /// All doubtful writes.
    pub fn doubts(&self) -> Vec<Doubt> {
        self.lock().doubts.clone()
    }

    /// The longest time without an acknowledgement that ended in `from..=to`, or lasts at `to`.
    pub fn gap(&self, from: Instant, to: Instant) -> Gap {
        // Noted nearly in order: a second is far more than two clients differ by. What is older is left alone.
        let mut recent = {
            let acks = &self.lock().acks;
            let older = acks.iter().rposition(|a| a.acked + ORDER < from);
            acks[older.unwrap_or(0)..].to_vec()
        };
        recent.sort_by_key(|a| a.acked);
        longest_gap(&recent, from, to)
    }

    /// Two nodes that acknowledged at once, if there were any.
    pub fn overlap(&self) -> Option<Overlap> {
        overlap(&self.acks())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A client that panicked has at worst not noted its write.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn longest_gap(acks: &[Ack], from: Instant, to: Instant) -> Gap {
    let mut longest = Gap {
        length: Duration::ZERO,
        from,
    };
    // The last one before counts too: the event that opened the window may have come right after it.
    let before = acks.iter().rfind(|a| a.acked < from).map(|a| a.acked);
    let mut last = before.unwrap_or(from);
    let within = acks
        .iter()
        .map(|a| a.acked)
        .filter(|t| *t >= from && *t <= to);
    for at in within.chain([to]) {
        let length = at.duration_since(last);
        if length > longest.length {
            longest = Gap { length, from: last };
        }
        last = at;
    }
    longest
}

/// A former primary acknowledged a write that was sent after its successor had acknowledged one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Overlap {
    /// The late acknowledgement of the former.
    pub late: Ack,
    /// The successor.
    pub successor: Reign,
    /// How long after the successor's first acknowledgement the write was sent.
    pub by: Duration,
}

/// Sound whatever the client's own delays: the successor's acknowledgement had arrived before the late write was sent.
fn overlap(acks: &[Ack]) -> Option<Overlap> {
    let mut first: BTreeMap<Reign, Instant> = BTreeMap::new();
    for ack in acks {
        let entry = first.entry(ack.reign).or_insert(ack.acked);
        *entry = ack.acked.min(*entry);
    }
    // Two promotions can choose the same timeline number: then the first acknowledgement tells who came first.
    let mut reigns: Vec<(u32, Instant, usize)> = first
        .iter()
        .map(|(reign, at)| (reign.timeline, *at, reign.node))
        .collect();
    reigns.sort_unstable();
    acks.iter().find_map(|ack| {
        let own = first.get(&ack.reign)?;
        let later = reigns.iter().filter(|(timeline, at, node)| {
            (*timeline, *at) > (ack.reign.timeline, *own) && *node != ack.reign.node
        });
        later
            .filter(|(_, at, _)| *at < ack.sent)
            .map(|(timeline, at, node)| Overlap {
                late: *ack,
                successor: Reign {
                    timeline: *timeline,
                    node: *node,
                },
                by: ack.sent.duration_since(*at),
            })
            .next()
    })
}

impl fmt::Display for Overlap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "data{} (timeline {}) acknowledged write {}, which was sent {:.3} s after data{} (timeline {}) had acknowledged another",
            self.late.reign.node + 1,
            self.late.reign.timeline,
            self.late.id,
            self.by.as_secs_f64(),
            self.successor.node + 1,
            self.successor.timeline,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Node, timeline, sent and acknowledged in milliseconds.
    fn acks(of: &[(usize, u32, u64, u64)]) -> (Instant, Vec<Ack>) {
        let zero = Instant::now();
        let at = |ms| zero + Duration::from_millis(ms);
        let acks = (1..)
            .zip(of)
            .map(|(id, (node, timeline, sent, acked))| Ack {
                id,
                reign: Reign {
                    timeline: *timeline,
                    node: *node,
                },
                sent: at(*sent),
                acked: at(*acked),
            })
            .collect();
        (zero, acks)
    }

    #[test]
    fn a_clean_succession_is_no_overlap() {
        let (_, list) = acks(&[(0, 1, 0, 5), (0, 1, 5, 30), (1, 2, 6, 20), (0, 3, 40, 50)]);
        assert_eq!(overlap(&list), None);
    }

    #[test]
    fn a_former_primary_that_acknowledges_is_found() {
        let (_, list) = acks(&[(0, 1, 0, 5), (1, 2, 6, 20), (0, 1, 21, 22)]);
        let found = overlap(&list).map(|o| (o.late.id, o.successor.node));
        assert_eq!(found, Some((3, 1)));
    }

    #[test]
    fn a_gap_is_found_however_long_ago_the_last_write_was() {
        let ledger = Ledger::default();
        let (zero, list) = acks(&[
            (0, 1, 0, 10),
            (0, 1, 0, 20),
            (0, 1, 0, 9000),
            (0, 1, 0, 9100),
        ]);
        // Two clients may note theirs in the other order.
        for i in [0, 1, 3, 2] {
            ledger.acknowledged(list[i]);
        }
        let at = |ms| zero + Duration::from_millis(ms);
        let gap = |from, to| ledger.gap(at(from), at(to)).length.as_millis();
        assert_eq!(
            (gap(8000, 9200), gap(9050, 9200), gap(0, 30)),
            (8980, 100, 10)
        );
        assert_eq!((gap(9150, 20_000), gap(8000, 8500)), (10_900, 8480));
    }

    #[test]
    fn only_whole_seconds_are_counted() {
        let ledger = Ledger::default();
        let (zero, list) = acks(&[
            (0, 1, 0, 10),
            (0, 1, 0, 1500),
            (0, 1, 0, 1600),
            (0, 1, 0, 3100),
        ]);
        list.into_iter().for_each(|ack| ledger.acknowledged(ack));
        let at = |ms| zero + Duration::from_millis(ms);
        assert_eq!(ledger.per_second(zero, at(3500), 60), [1, 2, 0]);
        assert_eq!(ledger.per_second(zero, at(3500), 2), [2, 0]);
        assert_eq!(ledger.per_second(at(1000), at(3500), 60), [2, 0]);
        assert_eq!(ledger.per_second(zero, at(500), 60), [0; 0]);
        assert_eq!(ledger.last_ack(), Some(at(3100)));
    }

    #[test]
    fn equal_timelines_are_told_apart_by_time() {
        let (_, list) = acks(&[(0, 2, 0, 5), (1, 2, 6, 20), (0, 2, 21, 22)]);
        assert_eq!(overlap(&list).map(|o| o.late.id), Some(3));
    }

    #[test]
    fn a_gap_reaches_back_to_the_last_write_before() {
        let (zero, list) = acks(&[(0, 1, 0, 10), (0, 1, 10, 60), (0, 1, 60, 70)]);
        let at = |ms| zero + Duration::from_millis(ms);
        let gap = longest_gap(&list, at(20), at(70));
        assert_eq!((gap.length, gap.from), (Duration::from_millis(50), at(10)));
        let open = longest_gap(&list, at(20), at(200));
        assert_eq!(
            (open.length, open.from),
            (Duration::from_millis(130), at(70))
        );
    }
}
