//! How each copy keeps up with this run of the primary.

use super::Node;
use crate::postgres::Lsn;
use crate::record::Copy;
use crate::time::{Duration, Instant};

/// How far apart the positions are that are kept as confirmed: longer than a report takes.
const NOTE_EVERY: Duration = Duration::secs(1);

/// How one copy keeps up with this run of the primary.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Track {
    pub(super) copy: Copy,
    /// A position of the primary, and when it was there: who has flushed it was fresh at that time.
    pub(super) mark: (Lsn, Instant),
    /// It had flushed all that the primary held at this time.
    pub(super) fresh_at: Instant,
    /// How far it was seen, and when it was last seen to have come further, or to have all: its stream fell silent no
    /// earlier.
    pub(super) heard: (Lsn, Instant),
    /// It streams without a break since then.
    pub(super) steady_since: Option<Instant>,
    /// What it has certainly flushed.
    pub(super) confirmed: Confirmed,
}

/// Two positions that a copy has confirmed, each the end of a whole record, and since when: the newest, and the one before.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Confirmed {
    pub(super) newest: (Lsn, Instant),
    pub(super) settled: (Lsn, Instant),
}

impl Node {
    /// Notes how far each copy has come, from a new status of the primary.
    pub(super) fn track_standbys(&mut self) {
        let now = self.now;
        let Some(primary) = self.running_primary().cloned() else {
            return;
        };
        let end = self.pg.end;
        let Some(leader) = self.leader.as_deref_mut() else {
            return;
        };
        if leader.run != self.pg.run {
            return;
        }
        leader.status_at = now;
        for standby in &primary.standbys {
            let known = leader.tracks.iter().position(|t| t.copy == standby.copy);
            let track = match known {
                Some(i) => &mut leader.tracks[i],
                None => {
                    leader.tracks.push(Track {
                        copy: standby.copy,
                        mark: (end, now),
                        fresh_at: leader.primary_since,
                        heard: (Lsn(0), now),
                        steady_since: None,
                        confirmed: Confirmed {
                            newest: (Lsn(0), now),
                            settled: (Lsn(0), now),
                        },
                    });
                    let last = leader.tracks.len() - 1;
                    &mut leader.tracks[last]
                }
            };
            if !standby.streaming {
                continue;
            }
            if standby.flushed > track.heard.0 || standby.flushed >= track.mark.0 {
                track.heard = (standby.flushed, now);
            }
            if standby.flushed >= track.mark.0 {
                track.confirmed.note(track.mark.0, now);
                track.fresh_at = track.mark.1;
                track.mark = (end, now);
            }
        }
        let sync_timeout = self.config.sync_timeout;
        for track in &mut leader.tracks {
            let streams = primary
                .standbys
                .iter()
                .any(|s| s.copy == track.copy && s.streaming);
            if !streams || now.since(track.fresh_at) > sync_timeout.part(1, 2) {
                track.steady_since = None;
            } else if track.steady_since.is_none() {
                track.steady_since = Some(now);
            }
        }
    }

    /// Whether a copy shows less than what it has confirmed: its disk went back in time (R8). What a walsender reports
    /// proves nothing: after a reconnection it begins at a segment's start (research/postgres.md). The member's own word,
    /// once all that it has is replayed, does.
    pub(super) fn fell_back(&self, copy: Copy) -> bool {
        let Some(leader) = self.leader.as_deref() else {
            return false;
        };
        let asked = leader.peers[usize::from(copy.member.0)].asked;
        leader
            .tracks
            .iter()
            .find(|t| t.copy == copy)
            .zip(leader.report_of(copy.member))
            .is_some_and(|(track, report)| {
                let (settled, at) = track.confirmed.settled;
                report.copy == Some(copy.id)
                    && report.running
                    && report.drained
                    && report.end < settled
                    && asked >= Some(at)
            })
    }
}

impl Confirmed {
    fn note(&mut self, position: Lsn, now: Instant) {
        if now.since(self.newest.1) >= NOTE_EVERY {
            self.settled = self.newest;
            self.newest = (position, now);
        }
    }
}
