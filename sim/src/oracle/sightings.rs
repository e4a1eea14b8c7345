//! What each member has seen of the others' counts and copies (R12), as [`super::memory`] judges what it keeps and says.

use crate::oracle::specification::{Judged, must};
use std::collections::VecDeque;
use yoke_core::HardState;
use yoke_core::message::{Reached, Sighting};

/// So many members a cluster has at most.
pub(super) const MOST: usize = 8;
/// So many states are remembered that no message has named yet.
const ISSUED: usize = 64;

/// By member: what was seen of it.
type Seen = [Option<Sighting>; MOST];

/// What one member has seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Sightings {
    seen: Seen,
    /// The counts of the states handed to the disk, with what had been seen by then: a message that names such a count was
    /// decided on later.
    issued: VecDeque<(u64, Seen)>,
}

impl Sightings {
    /// Those of a daemon that starts.
    pub(super) fn kept_by(state: Option<&HardState>) -> Sightings {
        let mut sightings = Sightings::default();
        let kept = state.into_iter().flat_map(|s| &s.sightings);
        for (seen, kept) in sightings.seen.iter_mut().zip(kept) {
            *seen = *kept;
        }
        sightings
    }

    /// The same, of a member whose state was made just now.
    pub(super) fn of_new_state(&self) -> Sightings {
        Sightings {
            seen: self.seen,
            ..Sightings::default()
        }
    }

    pub(super) fn of(&self, member: usize) -> Option<Sighting> {
        self.seen[member]
    }

    /// Takes in what is said of a member. False: a newer state of it was seen, of which this start knows nothing.
    pub(super) fn sees(&mut self, member: usize, new: Sighting) -> bool {
        let Some(old) = &mut self.seen[member] else {
            self.seen[member] = Some(new);
            return true;
        };
        if old.presence.start != new.presence.start && new.presence.found < old.presence.writes {
            return false;
        }
        old.reached = match (old.reached, new.reached) {
            (Some(a), Some(b)) if a.copy == b.copy => Some(a.further(b)),
            (Some(a), Some(b)) => {
                let order = |s: &Sighting, r: Reached| (s.reached_at, r.promotion, r.end);
                Some(if order(old, a) > order(&new, b) { a } else { b })
            }
            (a, b) => b.or(a),
        };
        old.reached_at = old.reached_at.max(new.reached_at);
        if new.presence.writes >= old.presence.writes {
            old.presence = new.presence;
        }
        true
    }

    /// What had been seen for certain by whoever decided on a message that names this count of writes.
    pub(super) fn at(&mut self, writes: u64) -> Seen {
        while self.issued.get(1).is_some_and(|next| next.0 <= writes) {
            self.issued.pop_front();
        }
        let first = self.issued.front().filter(|first| first.0 <= writes);
        first.map_or_else(Seen::default, |first| first.1)
    }

    /// A state is handed to the disk.
    pub(super) fn written(&mut self, me: usize, state: &HardState) -> Judged {
        for (member, seen) in self.seen.iter().enumerate() {
            let kept = state.sightings.get(member).copied().flatten();
            must!(
                member == me || covers(kept, *seen),
                "R12: it keeps less of m{member} than it has seen: {kept:?}, not {seen:?}"
            );
        }
        if self.issued.len() == ISSUED {
            self.issued.pop_front();
        }
        self.issued.push_back((state.writes, self.seen));
        Ok(())
    }
}

/// Whether this tells all of that.
pub(super) fn covers(told: Option<Sighting>, seen: Option<Sighting>) -> bool {
    let Some(seen) = seen else { return true };
    told.is_some_and(|told| {
        let less = |k: Reached| {
            let same = told.reached.filter(|t| t.copy == k.copy);
            told.reached.is_none()
                || same.is_some_and(|t| t.end < k.end || t.promotion < k.promotion)
        };
        told.presence.writes >= seen.presence.writes && !seen.reached.is_some_and(less)
    })
}
