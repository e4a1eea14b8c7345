//! A leader's record names a copy of the leader (R4): only who holds every acknowledged write may lead.

use crate::world::World;
use yoke_core::view::Glance;

impl World {
    /// A node says that it leads.
    pub(crate) fn check_eligible(&mut self, view: &Glance<'_>) {
        let Some(record) = view.record.filter(|record| record.key.term == view.term) else {
            return;
        };
        if record.copy_of(view.me).is_none() {
            self.violated(
                "eligible",
                format!(
                    "{} leads term {}, but is not in sync: {record}",
                    view.me, view.term
                ),
            );
        }
    }
}
