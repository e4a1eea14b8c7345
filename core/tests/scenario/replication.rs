//! Write-ahead log between the fake databases, and the clients that write.

use super::database::{Process, Receiver};
use super::{Cluster, index};
use yoke_core::Duration;
use yoke_core::member::MemberId;
use yoke_core::postgres::{Doors, Lsn, StandbyStatus};
use yoke_core::record::Copy;

/// A connection that was cut is noticed after this.
const NOTICED: Duration = Duration::secs(3);
const CONNECT: Duration = Duration::millis(50);
const CLIENT: Duration = Duration::millis(10);

impl Cluster {
    pub(super) fn replicate(&mut self) {
        let data: Vec<MemberId> = self
            .config
            .ids()
            .filter(|m| self.config.is_data(*m))
            .collect();
        for p in &data {
            self.note_lost_standbys(*p);
            self.client_write(*p);
        }
        for s in &data {
            let following = match &self.db(*s).process {
                Process::Standby(r) => r.of.map(|of| (of, r.clone())),
                _ => None,
            };
            if let Some((of, receiver)) = following {
                self.stream(*s, of, &receiver);
            }
        }
    }

    fn reaches(&self, a: MemberId, b: MemberId) -> bool {
        self.host(b).powered && self.is_linked(a, b) && self.is_linked(b, a)
    }

    fn stream(&mut self, standby: MemberId, of: MemberId, receiver: &Receiver) {
        let now = self.now;
        let reached = self.reaches(standby, of);
        let source = self.db(of);
        let sends = matches!(
            source.process,
            Process::Primary(_)
                | Process::Stopping {
                    clean: true,
                    was_primary: true,
                    ..
                }
        ) && !source.trouble.hangs;
        let refused = reached && !sends;
        let (history, end) = (source.history.clone(), source.end);
        let own = self.db(standby);
        let fits = own.history.fits(own.end, &history) && own.end <= end;
        let frozen = own.trouble.hangs;
        let flows = reached && sends && fits && !frozen && now.since(receiver.told) >= CONNECT;
        let own = self.db_mut(standby);
        let before = own.end;
        let Process::Standby(receiver) = &mut own.process else {
            return;
        };
        if !flows {
            if refused || now.since(receiver.contact) > NOTICED {
                receiver.streaming = false;
            }
            return;
        }
        receiver.streaming = true;
        receiver.contact = now;
        own.end = end;
        own.history = history;
        let Some(copy) = self.copy_of(standby) else {
            return;
        };
        // The primary learns of a flush with the next millisecond.
        if let Process::Primary(primary) = &mut self.db_mut(of).process {
            primary.standbys.retain(|(s, _)| s.copy != copy);
            let status = StandbyStatus {
                copy,
                streaming: true,
                flushed: before,
            };
            primary.standbys.push((status, now));
            primary.standbys.sort_unstable_by_key(|(s, _)| s.copy);
        }
    }

    /// Walsenders end when their standby is gone, at once where that can be told.
    fn note_lost_standbys(&mut self, primary: MemberId) {
        let now = self.now;
        let Process::Primary(p) = &self.db(primary).process else {
            return;
        };
        let kept: Vec<bool> = p
            .standbys
            .iter()
            .map(|(s, contact)| {
                let m = s.copy.member;
                let streams =
                    self.db(m).streams_from() == Some(primary) && self.copy_of(m) == Some(s.copy);
                let told = self.reaches(primary, m) && !streams;
                !told && now.since(*contact) <= NOTICED
            })
            .collect();
        if let Process::Primary(p) = &mut self.db_mut(primary).process {
            let mut kept = kept.iter();
            p.standbys.retain(|_| *kept.next().unwrap_or(&false));
        }
    }

    /// One commit every 10 ms while the doors are open.
    fn client_write(&mut self, m: MemberId) {
        let due = self.writes && self.now.0.is_multiple_of(CLIENT.0);
        let host = &mut self.hosts[index(m)];
        let powered = host.powered;
        let Some(db) = host.database.as_mut().filter(|_| powered) else {
            return;
        };
        let Process::Primary(p) = &db.process else {
            return;
        };
        if due && p.doors == Doors::Open && !db.trouble.hangs {
            db.end = Lsn(db.end.0 + 10);
        }
    }

    /// Up to where this primary has acknowledged commits by now.
    pub(super) fn acknowledges(&self, m: MemberId) -> Option<Lsn> {
        let db = self.db(m);
        let Process::Primary(p) = &db.process else {
            return None;
        };
        if p.doors != Doors::Open || db.trouble.hangs || db.guard.fencing {
            return None;
        }
        let confirmed = |c: &Copy| {
            p.standbys
                .iter()
                .find(|(s, _)| s.copy == *c && s.streaming)
                .map_or(Lsn(0), |(s, _)| s.flushed)
        };
        p.in_force
            .as_ref()
            .map(|names| names.iter().map(confirmed).min().unwrap_or(db.end))
    }
}
