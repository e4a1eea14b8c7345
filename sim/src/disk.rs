//! The daemon's state file: what is written is durable only some time later, and a crash may come before.

use std::sync::Arc;
use yoke_core::HardState;

/// The state file of one host.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    /// What a daemon that starts now reads.
    pub(crate) durable: Option<Arc<HardState>>,
    /// Being synced.
    pub(crate) under_way: Option<(u64, Arc<HardState>)>,
    /// To be written after that; a later one replaces it.
    pub(crate) next: Option<(u64, Arc<HardState>)>,
    /// When it last had nothing to do: whatever waits for it was said since.
    pub(crate) busy_since: u64,
    /// Tells syncs apart.
    pub(crate) token: u64,
    /// Until when each sync takes long.
    pub(crate) slow_until: u64,
    /// Of a thousand syncs so many take up to this long, until then.
    pub(crate) tail: (u64, u64, u64),
    /// Until when a write fails, and is tried again.
    pub(crate) full_until: u64,
}

impl Disk {
    /// The daemon or the host ends. `lands`: the sync under way is carried out all the same.
    pub(crate) fn crash(&mut self, lands: bool) {
        if let Some((_, state)) = self.under_way.take()
            && lands
        {
            self.durable = Some(state);
        }
        self.next = None;
        self.token += 1;
    }
}
