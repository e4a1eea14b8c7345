//! What was done, and what the clients saw of it: for the picture, and for the summary at the end.

use super::model::Deed;
use crate::demo::ledger::{Ack, Doubt, Ledger};
use crate::demo::picture::Picture;
use crate::demo::print;
use std::time::Instant;

/// Everything that was done, in order.
#[derive(Debug)]
pub struct Story {
    entries: Vec<Entry>,
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
        };
        story.note(false, "start".to_owned());
        story
    }

    /// Something is about to be done.
    pub(super) fn note(&mut self, fault: bool, what: String) {
        self.entries.push(Entry {
            begun: Instant::now(),
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
        entry.deed.gap = ledger.gap(entry.begun, now).length;
        if picture.asked < entry.begun || entry.deed.healthy.is_some() {
            return;
        }
        match picture.is_healthy() {
            false => entry.troubled = true,
            true if entry.troubled => entry.deed.healthy = Some(now - entry.begun),
            true => {}
        }
    }

    /// When something was last taken away.
    pub(super) fn last_fault(&self) -> Option<Instant> {
        let fault = self.entries.iter().rfind(|e| e.fault);
        fault.map(|e| e.begun)
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
            out.push_str(&format!(
                "{:<8} {:<what$} {:>7.3} s {:>12} {:>9} {:>5} {:>13}\n",
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
            ));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::ledger::Reign;
    use std::time::Duration;

    #[test]
    fn each_deed_has_what_came_after_it() {
        let ledger = Ledger::default();
        let zero = Instant::now();
        let at = |ms| zero + Duration::from_millis(ms);
        let entry = |ms, what: &str, healthy: Option<u64>| Entry {
            begun: at(ms),
            fault: what != "start",
            troubled: false,
            deed: Deed {
                clock: "16:57:23".to_owned(),
                what: what.to_owned(),
                gap: Duration::ZERO,
                healthy: healthy.map(Duration::from_millis),
            },
        };
        let story = Story {
            entries: vec![
                entry(0, "start", Some(500)),
                entry(1000, "kill -9 of data1's PostgreSQL", None),
            ],
        };
        for ms in [500, 900, 1200, 3300] {
            ledger.acknowledged(Ack {
                id: ledger.next_id(),
                reign: Reign {
                    timeline: 1,
                    node: 0,
                },
                sent: at(ms - 1),
                acked: at(ms),
            });
        }
        insta::assert_snapshot!("table", story.table(&ledger, &[3], at(4000)));
        assert_eq!(story.last_fault(), Some(at(1000)));
    }
}
