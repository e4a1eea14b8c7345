//! How each copy keeps up with this run of the primary.

use super::Node;
use crate::config::Config;
use crate::message::Report;
use crate::mutant;
use crate::postgres::Lsn;
use crate::record::Copy;
use crate::time::{Duration, Instant};

/// A daemon that runs looks at its copy more often than that: what it says of a moment so long ago is true of that.
const LOOKED_WITHIN: Duration = Duration::millis(500);

/// How one copy keeps up with this run of the primary.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Track {
    pub(super) copy: Copy,
    pub(super) mark: Mark,
    /// It had flushed all that the primary held at this time.
    pub(super) fresh_at: Instant,
    /// When it was first seen to lag for longer than `sync_timeout`, until it is fresh again.
    pub(super) late_since: Option<Instant>,
    /// How far it was seen, and when it was last seen to have come further, or to have all: its stream fell silent no
    /// earlier.
    pub(super) heard: (Lsn, Instant),
    /// It streams without a break since then.
    pub(super) steady_since: Option<Instant>,
    /// What it has certainly flushed.
    pub(super) confirmed: Confirmed,
}

/// A position of the primary, and when it was there: who has flushed it was fresh at that time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Mark {
    pub(super) position: Lsn,
    pub(super) at: Instant,
    /// Which start of the copy's daemon had reported last at that time.
    pub(super) start: Option<u64>,
}

/// The newest position that a copy has confirmed, the end of a whole record, and what its member says to that.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Confirmed {
    pub(super) position: Lsn,
    pub(super) at: Instant,
    /// In this start of its member's daemon, or a later one.
    pub(super) start: Option<u64>,
    /// Its member says that it ends below.
    pub(super) fell: bool,
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
            let mark = Mark {
                position: end,
                at: now,
                start: leader.peers[usize::from(standby.copy.member.0)].start,
            };
            let track = match known {
                Some(i) => &mut leader.tracks[i],
                None => {
                    leader.tracks.push(Track {
                        copy: standby.copy,
                        mark,
                        fresh_at: leader.primary_since,
                        late_since: None,
                        heard: (Lsn(0), now),
                        steady_since: None,
                        confirmed: Confirmed {
                            position: Lsn(0),
                            at: now,
                            start: None,
                            fell: false,
                        },
                    });
                    let last = leader.tracks.len() - 1;
                    &mut leader.tracks[last]
                }
            };
            if !standby.streaming {
                continue;
            }
            if standby.flushed > track.heard.0 || standby.flushed >= track.mark.position {
                track.heard = (standby.flushed, now);
            }
            if standby.flushed >= track.mark.position {
                if track.mark.position > track.confirmed.position {
                    track.confirmed = Confirmed {
                        position: track.mark.position,
                        at: now,
                        start: track.mark.start,
                        fell: false,
                    };
                }
                track.fresh_at = track.mark.at;
                track.mark = mark;
            }
        }
        let sync_timeout = self.config.sync_timeout;
        for track in &mut leader.tracks {
            let streams = primary
                .standbys
                .iter()
                .any(|s| s.copy == track.copy && s.streaming);
            track.late_since = match now.since(track.fresh_at) > sync_timeout {
                true => track.late_since.or(Some(now)),
                false => None,
            };
            if !streams || now.since(track.fresh_at) > sync_timeout.part(1, 2) {
                track.steady_since = None;
            } else if track.steady_since.is_none() {
                track.steady_since = Some(now);
            }
        }
    }

    /// Whether a copy shows less than what it has confirmed: its disk went back in time (R8). What a walsender reports
    /// proves nothing: after a reconnection it begins at a segment's start (research/postgres.md). The word of its member
    /// does, whose daemon has started since, once all is replayed. That of one that ran on may be old, as after a pause.
    pub(super) fn fell_back(&self, copy: Copy) -> bool {
        let mut tracks = self.leader.iter().flat_map(|leader| &leader.tracks);
        tracks.any(|t| t.copy == copy && t.confirmed.fell)
    }
}

impl Track {
    /// What its member says, asked at that time.
    pub(super) fn is_told(
        &mut self,
        config: &Config,
        report: &Report,
        start: Option<u64>,
        asked: Instant,
    ) {
        let confirmed = &mut self.confirmed;
        let ran_anew = confirmed.start.is_some()
            && confirmed.start != start
            && asked.since(confirmed.at) >= LOOKED_WITHIN;
        confirmed.fell = report.copy == Some(self.copy.id)
            && report.running
            && report.drained
            && report.end < confirmed.position
            && (ran_anew || mutant!(config, R8BelievesOldWord));
    }
}
