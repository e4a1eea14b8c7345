//! A leader's record is never older than a committed one of a lower term, and a key stands for one record.

use crate::world::World;
use std::sync::Arc;
use yoke_core::record::{Record, RecordKey};
use yoke_core::view::Glance;

/// The newest record that a leader took for committed.
#[derive(Clone, Debug, Default)]
pub(crate) struct NewestRecord {
    pub(crate) committed: Option<Arc<Record>>,
}

impl World {
    /// A leader's view; true if it has committed something newer than ever.
    pub(crate) fn check_newest_record(&mut self, view: &Glance<'_>) -> bool {
        let known = self.oracles.newest_record.committed.clone();
        if let (Some(known), Some(record)) = (&known, view.record) {
            if known.key.term < view.term && record.key < known.key {
                let (me, term, key) = (view.me, view.term, record.key);
                self.violated(
                    "newest_record",
                    format!(
                        "{me} leads term {term} with record {key}, but {} was committed",
                        known.key
                    ),
                );
            }
            if known.key == record.key && known != record {
                self.violated(
                    "newest_record",
                    format!("two records are called {}: {known} and {record}", known.key),
                );
            }
        }
        let newer = |key: &RecordKey| known.as_ref().is_none_or(|known| known.key < *key);
        let Some(key) = view.committed.filter(newer) else {
            return false;
        };
        // It may have proposed the next one in the same breath: then what it has just sent out tells.
        let own = view.record.filter(|record| record.key == key);
        let Some(record) = own.or_else(|| self.oracles.specification.records.get(&key)) else {
            return false;
        };
        self.trace.say(self.now, Some(usize::from(view.me.0)), || {
            format!("committed {record}")
        });
        self.oracles.newest_record.committed = Some(Arc::clone(record));
        true
    }
}
