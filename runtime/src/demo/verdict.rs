//! Whether it went well: nothing acknowledged was lost, never two acknowledged at once, all healthy at the end.

use super::Said;
use super::ledger::{Ledger, Overlap};
use super::picture::Picture;
use super::writer::{self, Database};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How long the final primary may take to list its rows.
const READ: Duration = Duration::from_secs(30);

/// What came out.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Verdict {
    /// Acknowledged writes.
    pub acknowledged: usize,
    /// Writes that were sent and not acknowledged.
    pub doubtful: usize,
    /// So many of them are there.
    pub doubtful_there: usize,
    /// Acknowledged writes that the final primary does not have.
    pub lost: Vec<i64>,
    /// Two nodes that acknowledged at once.
    pub overlap: Option<Overlap>,
    /// What is not as it should be at the end.
    pub unhealthy: Option<String>,
    /// Why the rows could not be read again.
    pub unread: Option<String>,
}

impl Verdict {
    /// Reads every row again from the final primary.
    pub async fn reach(
        ledger: &Ledger,
        last: Said<Arc<Picture>>,
        databases: &[Database],
    ) -> Verdict {
        let mut verdict = Verdict {
            overlap: ledger.overlap(),
            ..Verdict::default()
        };
        let serving = match last {
            Ok(picture) => picture.serving(),
            Err(error) => {
                verdict.unhealthy = Some(error);
                None
            }
        };
        // Without a primary that is known to serve, whoever answers is asked: a loss is worth knowing all the same.
        let asked: Vec<Database> = match serving {
            Some(serving) => vec![databases[serving.node]],
            None => databases.to_vec(),
        };
        let mut there = Err("nobody serves".to_owned());
        for database in asked {
            if there.is_err() {
                there = writer::ids(database, READ).await;
            }
        }
        match there {
            Ok(ids) => verdict.count(ledger, &ids.into_iter().collect()),
            Err(why) => {
                verdict.unread = Some(why);
                verdict.acknowledged = ledger.count();
                verdict.doubtful = ledger.doubts().len();
            }
        }
        verdict
    }

    fn count(&mut self, ledger: &Ledger, there: &BTreeSet<i64>) {
        let (acks, doubts) = (ledger.acks(), ledger.doubts());
        self.acknowledged = acks.len();
        self.doubtful = doubts.len();
        self.doubtful_there = doubts.iter().filter(|d| there.contains(&d.id)).count();
        self.lost = acks
            .iter()
            .map(|a| a.id)
            .filter(|id| !there.contains(id))
            .collect();
    }

    /// What failed, in one line; none: all went well.
    pub fn failure(&self) -> Option<String> {
        let mut failures = Vec::new();
        if let Some(first) = self.lost.first() {
            failures.push(format!(
                "{} acknowledged writes are lost (the first is {first})",
                self.lost.len()
            ));
        }
        if let Some(overlap) = &self.overlap {
            failures.push(format!("two nodes acknowledged at once: {overlap}"));
        }
        if let Some(why) = &self.unread {
            failures.push(format!("the rows could not be read again: {why}"));
        }
        if let Some(why) = &self.unhealthy {
            failures.push(format!(
                "not all nodes are healthy and in sync at the end: {why}"
            ));
        }
        (!failures.is_empty()).then(|| failures.join("; "))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} writes acknowledged, ", self.acknowledged)?;
        match (&self.unread, self.lost.len()) {
            (Some(_), _) => write!(f, "not read again")?,
            (None, 0) => write!(f, "all of them read again")?,
            (None, lost) => write!(f, "{lost} LOST")?,
        }
        write!(
            f,
            "; {} doubtful (sent, no answer), of which {} were stored",
            self.doubtful, self.doubtful_there
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::ledger::{Ack, Reign};
    use super::*;
    use std::time::Instant;

    #[test]
    fn what_is_not_there_is_lost() {
        let ledger = Ledger::default();
        let now = Instant::now();
        let reign = Reign {
            timeline: 1,
            node: 0,
        };
        for _ in 0..3 {
            ledger.acknowledged(Ack {
                id: ledger.next_id(),
                reign,
                sent: now,
                acked: now,
            });
        }
        ledger.doubtful(ledger.next_id(), "gone".to_owned());
        let mut verdict = Verdict::default();
        verdict.count(&ledger, &[1, 3, 4].into());
        assert_eq!((verdict.acknowledged, verdict.lost.clone()), (3, vec![2]));
        assert_eq!((verdict.doubtful, verdict.doubtful_there), (1, 1));
        assert_eq!(
            verdict.failure().as_deref(),
            Some("1 acknowledged writes are lost (the first is 2)")
        );
    }
}
