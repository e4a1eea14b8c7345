//! What was done, and what the clients saw of it: for the picture, and for the summary at the end.

use super::model::Deed;
use crate::demo::ledger::{Ack, Doubt, Ledger};
use crate::demo::picture::Picture;
use crate::demo::print;
use std::time::{Duration, Instant};

/// Everything that was done, in order.
#[derive(Debug)]
pub struct Story {
    entries: Vec<Entry>,
    /// Up to when the newest one's gap is known.
    looked: Instant,
}

#[derive(Debug)]
struct Entry {
    begun: Instant,
    /// It takes something away; else it brings something back.
    fault: bool,
    /// Something was seen not to be as it should be since.
    troubled: bool,
    deed: Deed,
}

impl Story {
    /// Begins with the cluster's start.
    pub fn begin() -> Story {
        let mut story = Story {
            entries: Vec::new(),
            looked: Instant::now(),
        };
        story.note(false, "start".to_owned());
        story
    }

    /// Something is about to be done.
    pub(super) fn note(&mut self, fault: bool, what: String) {
        self.looked = Instant::now();
        self.entries.push(Entry {
            begun: self.looked,
            fault,
            troubled: false,
            deed: Deed {
                clock: print::time_of_day(),
                what,
                ..Deed::default()
            },
        });
    }

    /// Takes in what came of the newest so far.
    pub(super) fn look(&mut self, ledger: &Ledger, picture: &Picture, now: Instant) {
        let Some(entry) = self.entries.last_mut() else {
            return;
        };
        let gap = ledger.gap(self.looked, now).length;
        entry.deed.gap = entry.deed.gap.max(gap);
        // Before the first write there is nothing to reach back to.
        if ledger.last_ack().is_some() {
            self.looked = now;
        }
        if picture.asked < entry.begun || entry.deed.healthy.is_some() {
            return;
        }
        match picture.is_healthy() {
            false => entry.troubled = true,
            true if entry.troubled => entry.deed.healthy = Some(now - entry.begun),
            true => {}
        }
    }

    /// The longest gap since something was last taken away; without such a fault, since the start. And whether there
    /// was one.
    pub(super) fn longest(&self) -> (Duration, bool) {
        let fault = self.entries.iter().rposition(|e| e.fault);
        let since = &self.entries[fault.unwrap_or(0)..];
        let longest = since.iter().map(|e| e.deed.gap).max();
        (longest.unwrap_or_default(), fault.is_some())
    }

    /// Oldest first.
    pub(super) fn deeds(&self) -> impl Iterator<Item = &Deed> {
        self.entries.iter().map(|e| &e.deed)
    }

    /// The summary: what each deed came to. The last one lasted until `end`.
    pub fn table(&self, ledger: &Ledger, lost: &[i64], end: Instant) -> String {
        let (acks, doubts) = (ledger.acks(), ledger.doubts());
        let what = self.deeds().map(|d| d.what.len()).max().unwrap_or(0);
        let mut out = format!(
            "{:<8} {:<what$} {:>9} {:>12} {:>9} {:>5} {:>13}\n",
            "time", "what", "write gap", "acknowledged", "doubtful", "lost", "healthy after"
        );
        for (i, entry) in self.entries.iter().enumerate() {
            let next = self.entries.get(i + 1).map(|next| next.begun);
            let within = |at: Instant| at >= entry.begun && next.is_none_or(|next| at < next);
            let acked = |a: &&Ack| within(a.acked);
            let doubtful = |d: &&Doubt| within(d.at);
            let healthy = entry.deed.healthy;
            let row = format!(
                "{:<8} {:<what$} {:>7.3} s {:>12} {:>9} {:>5} {:>13}",
                entry.deed.clock,
                entry.deed.what,
                ledger
                    .gap(entry.begun, next.unwrap_or(end))
                    .length
                    .as_secs_f64(),
                acks.iter().filter(acked).count(),
                doubts.iter().filter(doubtful).count(),
                acks.iter()
                    .filter(acked)
                    .filter(|a| lost.contains(&a.id))
                    .count(),
                healthy.map_or(String::new(), |h| format!("{:.3} s", h.as_secs_f64())),
            );
            out.extend([row.trim_end(), "\n"]);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::ledger::Reign;

    #[test]
    fn each_deed_has_what_came_after_it() {
        let ledger = Ledger::default();
        let zero = Instant::now();
        let at = |ms| zero + Duration::from_millis(ms);
        let mut story = Story::begin();
        story.entries[0].begun = zero;
        story.entries[0].deed.clock = "16:57:23".to_owned();
        story.looked = zero;
        let acknowledge = |ms| {
            ledger.acknowledged(Ack {
                id: ledger.next_id(),
                reign: Reign {
                    timeline: 1,
                    node: 0,
                },
                sent: at(ms - 1),
                acked: at(ms),
            });
        };
        let gaps = |story: &Story| {
            let deeds = story.deeds().map(|d| d.gap.as_millis());
            (deeds.collect::<Vec<_>>(), story.longest().0.as_millis())
        };
        let nobody = Picture::blank(&[]);
        story.look(&ledger, &nobody, at(300));
        story.look(&ledger, &nobody, at(400));
        acknowledge(500);
        story.look(&ledger, &nobody, at(600));
        acknowledge(900);
        story.look(&ledger, &nobody, at(950));
        assert_eq!(gaps(&story), (vec![500], 500));
        story.note(true, "data1: PostgreSQL killed".to_owned());
        story.entries[1].begun = at(1000);
        story.entries[1].deed.clock = "16:57:24".to_owned();
        story.looked = at(1000);
        acknowledge(1200);
        story.look(&ledger, &nobody, at(2000));
        story.look(&ledger, &nobody, at(3000));
        assert_eq!(gaps(&story), (vec![500, 1800], 1800));
        acknowledge(3300);
        story.look(&ledger, &nobody, at(3400));
        assert_eq!(gaps(&story), (vec![500, 2100], 2100));
        // What brings something back does not end the count.
        story.note(false, "data1: revived".to_owned());
        assert_eq!(story.longest(), (Duration::from_millis(2100), true));
        story.entries.pop();
        insta::assert_snapshot!("table", story.table(&ledger, &[3], at(4000)));
    }
}
