//! What is promised, judged from outside after every event: one file a promise. They see everything: directories, true
//! identities of histories, and the views of all nodes.

pub(crate) mod decides;
pub(crate) mod directories;
pub(crate) mod dirty_read;
pub(crate) mod eligible;
pub(crate) mod few_moves;
pub(crate) mod gate;
pub(crate) mod guard_view;
pub(crate) mod half_written;
pub(crate) mod hand_over;
pub(crate) mod history;
pub(crate) mod liveness;
pub(crate) mod lost_write;
pub(crate) mod memory;
pub(crate) mod new_names;
pub(crate) mod newest_record;
pub(crate) mod one_leader;
pub(crate) mod orders;
pub(crate) mod permission;
pub(crate) mod sightings;
pub(crate) mod specification;
pub(crate) mod standing;
pub(crate) mod true_stamp;
pub(crate) mod two_primaries;
pub(crate) mod vanished;

use crate::world::World;
use yoke_core::Duration;
use yoke_core::view::{Glance, RoleView};

/// What the oracles remember.
#[derive(Clone, Debug)]
pub(crate) struct Oracles {
    pub(crate) lost_write: lost_write::LostWrite,
    pub(crate) one_leader: one_leader::OneLeader,
    pub(crate) newest_record: newest_record::NewestRecord,
    pub(crate) liveness: liveness::Liveness,
    pub(crate) specification: specification::Specification,
    pub(crate) few_moves: few_moves::FewMoves,
    pub(crate) branches: history::Branches,
    pub(crate) standing: standing::Standing,
    pub(crate) names: new_names::Names,
    /// By host: its guard.
    pub(crate) guards: Vec<guard_view::Book>,
    /// By host: since when its database serves without a permission.
    pub(crate) unpermitted: Vec<Option<u64>>,
    pub(crate) left_out: vanished::LeftOut,
    /// An operator's hand-over may be under way until then.
    pub(crate) handing_over_until: u64,
}

impl Oracles {
    /// Nothing seen yet.
    pub(crate) fn new(members: usize) -> Self {
        Oracles {
            lost_write: lost_write::LostWrite::default(),
            one_leader: one_leader::OneLeader::default(),
            newest_record: newest_record::NewestRecord::default(),
            liveness: liveness::Liveness::default(),
            specification: specification::Specification::new(members),
            few_moves: few_moves::FewMoves::new(members),
            branches: history::Branches::default(),
            standing: standing::Standing::default(),
            names: new_names::Names::default(),
            guards: vec![guard_view::Book::default(); members],
            unpermitted: vec![None; members],
            left_out: vanished::LeftOut::default(),
            handing_over_until: 0,
        }
    }
}

/// The design's own numbers: a core that counts wrongly is not asked for them.
impl World {
    /// More than half of all members.
    pub(crate) fn majority(&self) -> usize {
        self.hosts.len() / 2 + 1
    }

    /// L = 0.65 D, of the D that the member's daemon was started with.
    pub(crate) fn lease(&self, h: usize) -> Duration {
        Duration(self.hosts[h].config.decision_timeout.0 * 13 / 20)
    }
}

impl World {
    /// A node has handled something: this is what it says now.
    pub(crate) fn on_view(&mut self, h: usize, view: &Glance<'_>) {
        if view.role != RoleView::Leader {
            return;
        }
        // The leader's database, if it still serves, serves in this term.
        if let Some(server) = self.hosts[h].server.as_mut().filter(|s| s.serving)
            && server.term < view.term
        {
            server.term = view.term;
        }
        self.check_one_leader(h, view);
        self.check_eligible(view);
        self.on_committed(view);
    }

    /// What a leader has found committed it may have told already, even if its daemon ends in the middle of that.
    pub(crate) fn on_committed(&mut self, view: &Glance<'_>) {
        if view.role == RoleView::Leader && self.check_newest_record(view) {
            self.stirred_at = self.now;
            self.check_in_sync();
            self.note_pause();
            self.note_adopted();
            self.note_ready();
        }
    }
}
