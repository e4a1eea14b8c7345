//! What a leader says: its heartbeats, its records, its release (R5 to R10).

use super::{Judged, Lead, REMEMBERED, must};
use crate::oracle::lost_write::first_missing;
use crate::world::World;
use std::sync::Arc;
use yoke_core::HardState;
use yoke_core::message::Heartbeat;
use yoke_core::permission::Lasts;
use yoke_core::record::{Copy, Record, Term};

impl World {
    /// It leads.
    pub(super) fn beats(
        &mut self,
        h: usize,
        term: Term,
        beat: &Heartbeat,
        s: &HardState,
    ) -> Judged {
        let now = self.hosts[h].clock.at(self.now);
        let majority = self.majority();
        let spec = &mut self.oracles.specification;
        let said = &mut spec.members[h];
        must!(
            s.longest_promise >= beat.promise,
            "R1: its own promise is on no disk"
        );
        must!(
            term > said.released,
            "R5: it leads term {term}, which it has released"
        );
        must!(
            term > said.adopted,
            "R6: it leads term {term}, after a loss, and was told of term {}: what it proposed in it is forgotten",
            said.adopted
        );
        if said.lead.term != term {
            must!(
                term > said.lead.term,
                "R2: it leads term {term}, after {}",
                said.lead.term
            );
            let granted = spec.granted.get(&term);
            let votes = granted.map_or(0, |votes| votes[h].count_ones());
            must!(
                votes as usize >= majority,
                "R2: it leads term {term} by {votes} votes"
            );
            said.lead = Lead {
                term,
                began: now,
                ..Lead::default()
            };
        }
        let sent = &mut said.lead.sent;
        if sent.back().is_none_or(|(round, _)| *round != beat.round) {
            if sent.len() == REMEMBERED {
                sent.pop_front();
            }
            sent.push_back((beat.round, now));
        }
        if let Some(record) = &beat.record
            && Some(record.key) != said.lead.newest
        {
            self.proposes(h, term, record, s)?;
        }
        let spec = &self.oracles.specification;
        let lead = &spec.members[h].lead;
        if let Some(key) = beat.committed {
            must!(
                lead.is_committed(h, key, majority),
                "R6: it calls {key} committed, which no majority has accepted"
            );
        }
        if beat.follow {
            let committed = beat.committed.and_then(|key| spec.records.get(&key));
            self.is_followed(h, committed.cloned())?;
        }
        Ok(())
    }

    /// R6: nobody follows a primary before a committed record holds the promotion that made it.
    pub(super) fn is_followed(&self, h: usize, committed: Option<Arc<Record>>) -> Judged {
        let host = &self.hosts[h];
        let promoted_at = self.oracles.specification.members[h].promoted_at;
        // What waited for the disk may have been said before that promotion.
        let serves = host.server.as_ref().is_some_and(|s| s.writable());
        let since = serves && host.disk.busy_since >= promoted_at;
        let Some(dir) = host.storage.directory.as_ref().filter(|_| since) else {
            return Ok(());
        };
        let (timeline, start) = dir.timeline();
        let promotions = committed.as_ref().map(|r| r.promotions.promotions());
        let mut held = promotions.into_iter().flatten();
        must!(
            dir.lineage.len() < 2 || held.any(|p| (p.timeline, p.start) == (timeline, start)),
            "R6: it may be followed, and {committed:?} lacks its promotion at {start}"
        );
        Ok(())
    }

    /// It proposes a record for the first time.
    pub(super) fn proposes(
        &mut self,
        h: usize,
        term: Term,
        record: &Arc<Record>,
        s: &HardState,
    ) -> Judged {
        let majority = self.majority();
        let key = record.key;
        let held = s.record.as_ref().map(|r| r.key);
        must!(
            held >= Some(key),
            "R1: the record {key} that it proposes is on no disk"
        );
        must!(
            key.term == term && usize::from(record.primary.0) == h,
            "R6: it proposes {record} as leader of term {term}"
        );
        let spec = &mut self.oracles.specification;
        let said = &spec.members[h];
        let (newest, unbounded) = (said.lead.newest, Lasts::Unbounded);
        // What is older than its newest was judged before.
        if Some(key) < newest {
            return Ok(());
        }
        let before = match newest {
            Some(before) => {
                must!(
                    said.lead.is_committed(h, before, majority),
                    "R6: it proposes {key} while {before} is not committed"
                );
                spec.records.get(&before).cloned()
            }
            None => said.stood_with.clone(),
        };
        if let Some(before) = &before {
            must!(
                newest.is_some() || before.in_sync == record.in_sync,
                "R6: it takes over by {record}, which changes who is in sync"
            );
            must!(
                !before.is_lone()
                    || record.is_lone()
                    || said.holds.is_none_or(|p| p.lasts != unbounded),
                "R10: it proposes {record} while its guard waits for no lease"
            );
        }
        let known = spec.records.entry(key).or_insert_with(|| record.clone());
        must!(known == record, "R6: {record} has the key of {known}");
        let said = &mut spec.members[h];
        said.unbounded_in.take_if(|_| !record.is_lone());
        let lead = &mut spec.members[h].lead;
        (lead.before, lead.newest) = (newest, Some(key));
        lead.first.get_or_insert(key);
        for copy in &record.in_sync {
            if before.as_ref().is_some_and(|b| !b.names(*copy)) {
                self.grows(h, *copy, term)?;
            }
        }
        Ok(())
    }

    /// R9: a copy that enters in a term is named by the gate in force, and holds what was acknowledged; not what the
    /// primary of a later term did, for then this message was held up on its way.
    pub(crate) fn grows(&mut self, h: usize, copy: Copy, term: Term) -> Judged {
        if let Some(server) = self.hosts[h].server.as_ref().filter(|s| s.writable()) {
            must!(
                server.flag,
                "R9: {copy} enters while commits wait for nobody"
            );
            let past = server.walsenders.iter().any(|w| {
                let names = w.names.as_ref();
                w.streaming && w.priority > 0 && names.is_some_and(|n| !n.contains(&copy))
            });
            must!(
                !past,
                "R9: {copy} enters, and a walsender does not wait for it"
            );
        }
        let acked = &self.oracles.lost_write.acked;
        if let Some(dir) = &mut self.hosts[usize::from(copy.member.0)].storage.directory
            && dir.is(copy.id)
            && let Some(lost) = first_missing(acked, dir)
            && lost.term <= term
        {
            return Err(format!("R9: {copy} enters and lacks w{}", lost.write));
        }
        Ok(())
    }

    /// A term is released, by its leader or by who passes it on.
    pub(super) fn releases(&mut self, h: usize, term: Term) -> Judged {
        let leader = self.oracles.one_leader.leader(term);
        let spec = &mut self.oracles.specification;
        if leader.is_some_and(|leader| leader != h) {
            must!(
                spec.released.contains(&term),
                "R5: it passes on a release of term {term} that its leader never gave"
            );
            return Ok(());
        }
        spec.released.insert(term);
        let said = &mut spec.members[h];
        said.released = said.released.max(term);
        let (given, holds) = (said.given, said.holds);
        let server = self.hosts[h].server.as_ref();
        must!(
            server.is_none_or(|s| !s.serving || s.killed || s.term > term),
            "R5: it releases term {term} while its database serves"
        );
        let now = self.hosts[h].clock.at(self.now);
        must!(
            given.is_none_or(|p| p.term > term || p.is_over(now)),
            "R5: it releases term {term} while its guard may let it serve"
        );
        // What it took back is gone only once the guard has got that.
        must!(
            holds.is_none_or(|p| p.term > term || p.is_over(now)),
            "R5: it releases term {term} while its guard still holds a permission"
        );
        Ok(())
    }
}
