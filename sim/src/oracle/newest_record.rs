//! A leader's record is never older than a committed one of a lower term, and a key stands for one record.

use crate::world::World;
use std::sync::Arc;
use yoke_core::record::Record;
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
        match (view.record, view.committed) {
            (Some(record), Some(key))
                if record.key == key && known.as_ref().is_none_or(|k| k.key < key) =>
            {
                self.trace.say(self.now, Some(usize::from(view.me.0)), || {
                    format!("committed {record}")
                });
                self.oracles.newest_record.committed = Some(Arc::clone(record));
                true
            }
            _ => false,
        }
    }
}
