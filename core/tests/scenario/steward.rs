//! The fake steward: makes a target true, and says what the database is.

use super::database::{
    CHECKPOINT, Database, LOOK, PROVE, Primary, Process, REWRITE, Receiver, STAMP, Steward,
};
use yoke_core::postgres::{
    Doors, Gate, GateStatus, Lsn, PgState, PgStatus, PgTarget, PrimaryStatus, Rewrite, RunId,
    StampAge, StopMode, Upstream, Want,
};
use yoke_core::record::{CopyId, Term};
use yoke_core::{Duration, Instant};

impl Database {
    pub(super) fn steward_begins(&mut self) {
        self.steward = Some(Steward {
            target: None,
            looks_at: Instant(0),
            draining: None,
            told: None,
            told_guard: None,
            looked: false,
        });
        // What an earlier steward proved, this one has not seen.
        if let Process::Primary(p) = &mut self.process {
            p.proven = GateStatus::Unproven;
            p.changing = None;
        }
    }

    pub(super) fn steward_gone(&mut self) {
        self.steward = None;
    }

    pub(super) fn take_target(&mut self, target: PgTarget) {
        if let Some(steward) = &mut self.steward
            && steward.target.as_ref().is_none_or(|t| t.seq < target.seq)
        {
            steward.target = Some(target);
            steward.draining = None;
            steward.looks_at = Instant(0);
        }
    }

    /// The steward's next step.
    pub(super) fn pursue_target(&mut self, now: Instant) {
        if let Some(target) = self.steward.as_ref().and_then(|s| s.target.clone()) {
            self.pursue(&target, now);
        }
    }

    fn pursue(&mut self, target: &PgTarget, now: Instant) {
        match &target.want {
            Want::Nothing => {}
            Want::Stopped(mode) => self.stop(*mode, now),
            Want::Draining => {
                let since = self
                    .steward
                    .as_mut()
                    .map_or(now, |s| *s.draining.get_or_insert(now));
                if now.since(since) >= CHECKPOINT && !self.trouble.hangs {
                    self.stop(StopMode::Clean, now);
                }
            }
            Want::Standby { of, may_discard } => {
                self.pursue_standby(target, *of, *may_discard, now)
            }
            Want::Primary { gate, doors } => self.pursue_primary(target, gate, *doors, now),
        }
        let named = target
            .record
            .as_ref()
            .is_some_and(|r| r.copy_of(self.me).map(|c| c.id) == self.copy);
        if named
            && target.first_stamp
            && !self.stamped
            && self.copy.is_some()
            && self.stamps_at.is_none()
        {
            self.stamps_at = Some(now + STAMP);
        }
        let may_write = matches!(target.want, Want::Standby { .. } | Want::Primary { .. });
        if may_write && target.disowned.is_some() && target.disowned == self.copy {
            self.renamed += 1;
            self.copy = Some(CopyId(
                0xe0 + u64::from(self.me.0) + 16 * u64::from(self.renamed),
            ));
            self.stamp_record = target.record.as_ref().map(|r| r.key).max(self.stamp_record);
            self.say("gets another name: it is older than its stamp says");
        }
        let stamps = matches!(
            target.want,
            Want::Primary { .. }
                | Want::Standby {
                    of: Upstream::Member(_),
                    ..
                }
        );
        if let Some(record) = &target.record
            && stamps
            && self.stamped
        {
            self.stamp_record = self.stamp_record.max(Some(record.key));
        }
    }

    fn pursue_standby(&mut self, target: &PgTarget, of: Upstream, may_discard: bool, now: Instant) {
        let source = target.record.as_ref().map(|r| r.promotions.clone());
        let replaced = self.copy.is_some() && target.replaced == self.copy && may_discard;
        let fits = !replaced && source.is_some_and(|s| self.history.fits(self.end, &s));
        let usable = self.copy.is_some() && (self.stamped || target.first_stamp);
        let discards = may_discard && matches!(of, Upstream::Member(_)) && !(fits && usable);
        match &mut self.process {
            Process::Gone if discards && self.rewriting.is_none() => {
                self.copy = None;
                self.system_id = target.record.as_ref().map(|r| r.system_id);
                self.rewriting = Some(now + REWRITE);
                self.say("gives its copy up and fetches a new one");
                let (history, end) = target
                    .record
                    .as_ref()
                    .map_or_else(Default::default, |r| (r.promotions.clone(), Lsn(0)));
                self.history = history;
                self.end = end;
            }
            Process::Gone if usable => self.start(now),
            Process::Primary(_) | Process::Promoting { .. } => self.stop(StopMode::Now, now),
            Process::Standby(receiver) => {
                let wanted = match of {
                    Upstream::AsFound => return,
                    Upstream::Nobody => None,
                    Upstream::Member(m) if fits => Some(m),
                    Upstream::Member(_) if may_discard => return self.stop(StopMode::Clean, now),
                    Upstream::Member(_) => None,
                };
                if receiver.of != wanted {
                    *receiver = Receiver {
                        of: wanted,
                        told: now,
                        streaming: false,
                        contact: now,
                    };
                    if let Some(m) = wanted {
                        self.say(&format!("follows {m}"));
                    }
                }
            }
            _ => {}
        }
    }

    fn pursue_primary(&mut self, target: &PgTarget, gate: &Gate, doors: Doors, now: Instant) {
        let permitted = self.guard.permission.allows(target.term, now);
        match &mut self.process {
            Process::Gone if self.copy.is_some() && (self.stamped || target.first_stamp) => {
                self.start(now);
            }
            Process::Standby(_) if permitted => {
                self.promotions += 1;
                self.guard.serving = Some(target.term);
                let length = if self.trouble.cannot_promote {
                    Duration::secs(3600)
                } else {
                    self.promotion
                };
                self.process = Process::Promoting { done: now + length };
                self.look_soon();
                self.say("is promoted");
            }
            Process::Primary(p) if self.trouble.no_gate => p.proven = GateStatus::Unproven,
            Process::Primary(p) => {
                if !self.proofs_fail || !matches!(gate, Gate::Open(names) if !names.is_empty()) {
                    p.pursue_gate(gate, now, &mut self.end);
                }
                if doors != Doors::AsFound && p.doors != doors && permitted {
                    p.doors = doors;
                    self.look_soon();
                    self.say(if doors == Doors::Open {
                        "opens its doors"
                    } else {
                        "closes its doors"
                    });
                }
            }
            _ => {}
        }
    }

    // What the node is told.

    pub(super) fn steward_news(&mut self, now: Instant) -> Option<PgStatus> {
        let status = self.status();
        let steward = self.steward.as_mut()?;
        if !steward.looked {
            // The first look takes a moment.
            steward.looked = true;
            steward.looks_at = now + LOOK;
            return None;
        }
        if now < steward.looks_at || steward.told.as_ref() == Some(&status) {
            return None;
        }
        steward.looks_at = now + LOOK;
        steward.told = Some(status.clone());
        Some(status)
    }

    fn stamp_age(&self) -> Option<StampAge> {
        (self.stamped && self.copy.is_some()).then(|| StampAge {
            record: self.stamp_record,
            term: self.stamp_record.map_or(Term(0), |key| key.term),
        })
    }

    fn status(&self) -> PgStatus {
        let target = self.steward.as_ref().and_then(|s| s.target.as_ref());
        let state = match &self.process {
            Process::Gone if self.trouble.unreadable => PgState::Stopping,
            Process::Gone => match (self.rewriting, self.copy) {
                (Some(_), _) => PgState::Rewriting {
                    how: Rewrite::Clone,
                    done: 0,
                    total: 1,
                },
                (None, None) => PgState::NoData,
                (None, Some(_)) => PgState::Stopped {
                    shutdown_checkpoint: self.shutdown_checkpoint,
                },
            },
            Process::Starting { .. } => PgState::Starting,
            Process::Standby(r) if self.trouble.hangs || self.trouble.deaf.is_some() => {
                PgState::Silent {
                    since: self.trouble.deaf.unwrap_or(r.contact),
                    primary: false,
                }
            }
            Process::Standby(r) => PgState::Standby {
                of: r.of,
                streaming: r.streaming,
                replay_paused: false,
                drained: true,
            },
            Process::Promoting { .. } => PgState::Promoting,
            Process::Primary(_) if let Some(since) = self.trouble.deaf => PgState::Silent {
                since,
                primary: true,
            },
            Process::Primary(p) => PgState::Primary(PrimaryStatus {
                promoted_in: p.promoted_in,
                recovery_end: p.recovery_end,
                gate: p.proven.clone(),
                doors: p.doors,
                standbys: p.standbys.iter().map(|(s, _)| *s).collect(),
                wrote_at: p.wrote_at,
            }),
            Process::Stopping { .. } => PgState::Stopping,
        };
        let end = self.primary().map_or(self.end, |p| p.wrote);
        PgStatus {
            target: target.map_or(0, |t| t.seq),
            run: self
                .guard
                .run
                .unwrap_or(RunId(u64::from(self.me.0) * 1000 + self.runs)),
            system_id: self.system_id,
            // R20: without a stamp only the cluster's first directory counts as a copy.
            copy: (self.copy).filter(|_| self.stamped || target.is_some_and(|t| t.first_stamp)),
            stamped: self.stamped,
            stamp: self.stamp_age(),
            history: self.history.clone(),
            made_newest: self.made == Some(self.history.newest()),
            state,
            end,
            fault: None,
            notes: Vec::new(),
        }
    }
}

impl Primary {
    fn pursue_gate(&mut self, wanted: &Gate, now: Instant, end: &mut Lsn) {
        let done = match (wanted, &self.proven) {
            (Gate::AsFound, _) | (Gate::Closed, GateStatus::Closed) => true,
            (Gate::Open(names), GateStatus::Open { names: proven, .. }) => names == proven,
            _ => false,
        };
        if done {
            self.changing = None;
            return;
        }
        let begun = match &self.changing {
            Some((gate, since)) if gate == wanted => *since,
            _ => {
                self.changing = Some((wanted.clone(), now));
                self.proven = GateStatus::Unproven;
                // The names are written at once: from now on the new ones hold commits up.
                if let (Some(old), Gate::Open(names)) = (&mut self.in_force, wanted) {
                    old.extend(
                        names
                            .iter()
                            .filter(|c| !old.contains(c))
                            .copied()
                            .collect::<Vec<_>>(),
                    );
                }
                now
            }
        };
        let Gate::Open(names) = wanted else {
            self.in_force = None;
            self.proven = GateStatus::Closed;
            self.changing = None;
            return;
        };
        let all_stream = names.iter().all(|c| {
            self.standbys
                .iter()
                .any(|(s, _)| s.copy == *c && s.streaming)
        });
        if all_stream && now.since(begun) >= PROVE {
            self.in_force = Some(names.clone());
            *end = Lsn(end.0 + 1);
            self.proven = GateStatus::Open {
                names: names.clone(),
                since: *end,
            };
            self.changing = None;
        }
    }
}
