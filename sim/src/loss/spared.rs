//! What may be lost: with less left, nobody could keep what was promised.
//!
//! Data is taken away only while another copy in sync holds every acknowledged write: what is on no disk any more nobody can
//! promise; but one fault takes the last, for an operator to give up what is lost. It goes back only so far that those who
//! are left have seen it further, or together with a state that they have seen further: nobody can tell else.

use super::Image;
use crate::oracle::lost_write::first_missing;
use crate::postgres::directory::DataDir;
use crate::world::World;
use yoke_core::HardState;
use yoke_core::member::MemberId;
use yoke_core::message::Reached;
use yoke_core::record::Copy;

impl World {
    /// Whether another copy in sync holds all that was acknowledged.
    pub(super) fn is_spare(&mut self, h: usize) -> bool {
        let Some(record) = self.oracles.newest_record.committed.clone() else {
            return false;
        };
        record.in_sync.iter().any(|copy| {
            let other = usize::from(copy.member.0);
            let Some(dir) = &mut self.hosts[other].storage.directory else {
                return false;
            };
            other != h
                && dir.is(copy.id)
                && first_missing(&self.oracles.lost_write.acked, dir).is_none()
        })
    }

    /// Whether nobody can be misled once this state is lost, or an older one is in its place: where one has an older state
    /// than it had, which its stamp does not tell, and others forget as well, somebody has to be left who knows as much as
    /// was known (R12). Those who know that they have forgotten wait for an operator.
    pub(super) fn may_forget(
        &self,
        h: usize,
        restored: Option<(&HardState, Option<&DataDir>)>,
    ) -> bool {
        let key = |state: &HardState| state.record.as_ref().map(|r| r.key);
        let is_unaware = |state: &HardState, dir: Option<&DataDir>| {
            let stamp = dir.and_then(|dir| dir.stamp.as_ref());
            !state.lost && stamp.and_then(|s| s.record) <= key(state)
        };
        let state = |other: usize| self.hosts[other].disk.durable.as_deref();
        let forgetful = |other: &usize| self.losses.forgetful.get(other) == Some(&true);
        let others = (0..self.hosts.len()).filter(|other| *other != h);
        let (forgot, rest): (Vec<usize>, Vec<usize>) = others.partition(forgetful);
        let mut unaware = forgot.iter().map(|other| {
            let dir = self.hosts[*other].storage.directory.as_ref();
            state(*other).is_some_and(|state| is_unaware(state, dir))
        });
        let misled = unaware.any(|it| it) || restored.is_some_and(|(s, dir)| is_unaware(s, dir));
        if forgot.is_empty() || !misled {
            return true;
        }
        let known = |state: &HardState| (!state.lost).then(|| (state.term, key(state)));
        let mut left = rest
            .iter()
            .filter_map(|other| state(*other).and_then(known));
        let own = state(h).and_then(known);
        own.is_none_or(|own| left.any(|left| left >= own))
    }

    /// Whether whoever is left can tell that the data goes back: what is younger than a heartbeat nobody can (R12).
    pub(super) fn is_gap_seen(&self, h: usize, image: &Image, state: bool) -> bool {
        let host = &self.hosts[h];
        let (Some(old), Some(dir)) = (&image.directory, &host.storage.directory) else {
            return true;
        };
        let name = |dir: &DataDir| dir.stamp.as_ref().map(|s| s.copy);
        let end = old.wal.end();
        if end >= dir.wal.end() || name(old) != name(dir) {
            return true;
        }
        let beyond = |r: Reached| Some(r.copy) == name(old) && r.end > end;
        let noted = host.disk.durable.as_ref().and_then(|s| s.noted);
        if !state && noted.is_some_and(|n| beyond(n.reached)) {
            return true;
        }
        let writes = image.state.as_ref().filter(|s| state && !s.lost);
        let seen_of = |other: usize| self.oracles.specification.members[other].memory.seen_of(h);
        // Its state went back with it: whoever has seen that one further hears of no vote for this copy (R12).
        let knows_the_state = |other: usize| {
            let seen = seen_of(other).map(|seen| seen.presence.writes);
            writes.is_some_and(|state| seen > Some(state.writes))
        };
        if (0..self.hosts.len()).all(|other| other == h || knows_the_state(other)) {
            return true;
        }
        let can_tell = |other: usize| seen_of(other).and_then(|s| s.reached).is_some_and(beyond);
        let serves = |other: &usize| {
            self.hosts[*other]
                .server
                .as_ref()
                .is_some_and(|s| s.serving)
        };
        let mut others = (0..self.hosts.len()).filter(|other| *other != h && !serves(other));
        others.all(can_tell)
    }

    /// Whether the primary, to whom it was streamed, can tell, and nothing goes wrong afterwards that would take it away (R8).
    pub(super) fn is_gap_streamed(&self, number: usize, h: usize, image: &Image) -> bool {
        let Some(old) = &image.directory else {
            return false;
        };
        let name = old.stamp.as_ref().map(|s| Copy {
            member: MemberId(h as u8),
            id: s.copy,
        });
        let mut serving = self.hosts.iter().filter_map(|host| host.server.as_ref());
        let primary = serving.find(|s| s.serving && !s.killed);
        number + 1 == self.scenario.faults.len()
            && primary.is_some_and(|p| name.is_some_and(|n| p.settled(n) > old.wal.end()))
    }

    /// Whether another member has it on disk that this one wrote more often.
    pub(super) fn is_seen_beyond(&self, h: usize, writes: u64) -> bool {
        let others = (0..self.hosts.len()).filter(|other| *other != h);
        others
            .filter_map(|other| self.hosts[other].disk.durable.as_ref())
            .filter_map(|state| *state.sightings.get(h)?)
            .any(|sighting| sighting.presence.writes > writes)
    }
}
