//! What each outcome says, and what a step that did not work leaves open.

use super::order::{CLONE_FAILED, FAILED, REFUSED};
use super::promotion::unsettled;
use super::proof::Proven;
use super::{Steward, StewardReason};
use crate::mutant;
use crate::postgres::{Fault, Lsn, Upstream, Want};
use crate::step::{Directory, Inspection, Order, Outcome, Server, Stamp, Step};
use crate::time::Instant;

impl Steward {
    pub(super) fn take_outcome(&mut self, now: Instant, order: Order, outcome: Outcome) {
        let Order { number, step, term } = order;
        match (&step, outcome) {
            (_, Outcome::Failed(why)) => self.failed(now, number, &step, why),
            (_, Outcome::Refused) => {
                self.explain(StewardReason::Refused {
                    step: step.to_string(),
                });
                if step == Step::Promote && self.guard.permission.allows(term, now) {
                    // Not for want of a permission: a write of settings that failed left the guard in doubt about the
                    // gate. Written anew, it knows (R7).
                    self.facts.written = None;
                }
                self.hold_back(now, &step, REFUSED, REFUSED);
            }
            (_, Outcome::Ended) => {
                self.facts.doubt_disk();
                self.undone(now, number, &step);
                self.hold_back(now, &step, REFUSED, REFUSED);
            }
            (Step::Inspect, Outcome::Inspected(inspection)) => {
                self.worked(now, &step);
                self.inspected(now, number, *inspection);
            }
            (Step::Observe, Outcome::Observed(server)) => self.observed(now, number, *server),
            (Step::Observe, Outcome::NotNow { replays }) => {
                // It lives, and that is all that is known of it.
                let run = &mut self.facts.run;
                if run.replays.0 != replays {
                    run.replays = (replays, now);
                }
                (run.tried, run.failing, run.answered) = (Some((number, now)), true, now);
            }
            (Step::Nudge, Outcome::Wrote(at)) => self.wrote(now, number, at),
            (
                Step::Inspect | Step::Observe | Step::Nudge,
                Outcome::Done | Outcome::Inspected(_) | Outcome::Observed(_) | Outcome::Wrote(_),
            ) => self.failed(
                now,
                number,
                &step,
                "an answer to another question".to_owned(),
            ),
            (
                _,
                Outcome::Inspected(_)
                | Outcome::Observed(_)
                | Outcome::Wrote(_)
                | Outcome::NotNow { .. },
            ) => {
                self.failed(
                    now,
                    number,
                    &step,
                    "an answer to another question".to_owned(),
                );
            }
            (_, Outcome::Done) => {
                self.worked(now, &step);
                self.done(now, number, step);
            }
        }
        self.names_once();
    }

    /// A name that the directory here has is given to no other; a clone keeps its own until its mark is cleared.
    fn names_once(&mut self) {
        let Some(inspection) = &self.facts.inspection else {
            return;
        };
        if let Directory::Data(data) = &inspection.directory
            && !inspection.rewriting
            && let Some(stamp) = &data.stamp
            && stamp.copy == self.fresh_copy()
            && !mutant!(self.config, R11NameGivenTwice)
            && !mutant!(self.config, R11NameOfItsClone)
        {
            self.ids += 1;
        }
    }

    fn inspected(&mut self, now: Instant, number: u64, inspection: Inspection) {
        if self.facts.overtaken && !mutant!(self.config, R16OvertakenLook) {
            // What it saw may be from before: it is made again.
            return;
        }
        self.facts.written.clone_from(&inspection.written);
        self.start_failed_because(inspection.last_words.as_deref());
        let generation = inspection.written.as_ref().map_or(0, |w| w.generation);
        self.facts.generation = self.facts.generation.max(generation);
        // Judged anew, unless nothing has come of the judgement yet.
        let named = !inspection.rewriting && self.facts.clone.take_if(|c| c.done).is_some();
        if inspection.rewriting || named {
            self.facts.discard = None;
        }
        // Set or cleared, whatever its own answer was.
        self.is_over(match inspection.rewriting {
            true => &Step::MarkRewriting,
            false => &Step::ClearMark,
        });
        if inspection.rewriting && !mutant!(self.config, R11EndOutlivesItsCopy) {
            self.facts.end = Lsn(0);
        }
        // What was seen in force before the settings were known.
        if let (Some(written), Some((server, _))) = (&inspection.written, &self.facts.run.seen)
            && written.generation == server.settings
        {
            self.facts.run.in_force = Some(written.clone());
        }
        self.facts.inspection = Some(inspection);
        self.facts.look = false;
        self.facts.inspected_at = now;
        self.facts.run.inspected = number;
    }

    fn observed(&mut self, now: Instant, number: u64, server: Server) {
        let run = &mut self.facts.run;
        run.tried = Some((number, now));
        if self.guard.run != Some(server.run) {
            // Of another run: it counts for nothing.
            return;
        }
        run.failing = false;
        run.answered = now;
        if run.seen.is_none() {
            // The start has worked.
            self.progress_at = now;
            self.is_over(&Step::Start);
        }
        let run = &mut self.facts.run;
        self.facts.generation = self.facts.generation.max(server.settings);
        if let Some(written) = &self.facts.written
            && written.generation == server.settings
        {
            run.in_force = Some(written.clone());
        }
        if server.in_recovery {
            // What was replayed is flushed, up to the end of a whole record.
            self.facts.end = if server.drained {
                server.position
            } else {
                self.facts.end.max(server.position)
            };
        }
        let follows = match self.target.as_ref().map(|t| &t.want) {
            Some(Want::Standby {
                of: Upstream::Member(member),
                ..
            }) if run
                .in_force
                .as_ref()
                .is_some_and(|w| w.follow == Some(*member)) =>
            {
                Some(*member)
            }
            _ => None,
        };
        run.fed(now, follows, server.streaming_from, server.position);
        // What is older than the settings on disk is about to be replaced, and is nothing to begin a proof with.
        let written = self.facts.written.as_ref().map(|w| w.generation);
        let in_force = run
            .in_force
            .as_ref()
            .filter(|s| written == Some(s.generation) || mutant!(self.config, R7ProvesOldSettings));
        let proven = run
            .proof
            .observed(&self.config, number, &server, in_force, run.wrote);
        let was_in_recovery = run.seen.as_ref().is_some_and(|(s, _)| s.in_recovery);
        if was_in_recovery && !server.in_recovery {
            self.progress_at = now;
        }
        if self.slots_due(&server).is_none() {
            self.slots_settled();
        }
        self.facts.run.seen = Some((server, number));
        self.proven(now, proven);
    }

    fn wrote(&mut self, now: Instant, number: u64, at: Lsn) {
        let too_early = mutant!(self.config, R9PositionBeforeProof);
        let run = &mut self.facts.run;
        run.answered = now;
        run.wrote = Some(at);
        run.wrote_at = now;
        run.nudge_failing = false;
        // R18: a position after the promotion; a new daemon takes a later one.
        if run.recovery_end.is_none() {
            run.recovery_end = Some(at);
            self.progress_at = now;
        }
        self.facts.end = self.facts.end.max(at);
        let proven = run.proof.wrote(number, at, too_early);
        self.proven(now, proven);
    }

    fn proven(&mut self, now: Instant, proven: Option<Proven>) {
        let Some(proven) = proven else { return };
        self.progress_at = now;
        self.explain(match proven {
            Proven::Closed => StewardReason::GateClosed,
            Proven::Open { names, since } => StewardReason::GateOpen { names, since },
            Proven::Lost => StewardReason::GateLost,
        });
    }

    fn done(&mut self, now: Instant, number: u64, step: Step) {
        let run = &mut self.facts.run;
        match step {
            Step::Inspect | Step::Observe | Step::Nudge | Step::Start => {}
            Step::WriteStamp(stamp) => self.stamped(stamp),
            Step::MarkRewriting => {
                if let Some(inspection) = &mut self.facts.inspection {
                    inspection.rewriting = true;
                }
                self.facts.end = Lsn(0);
                self.facts.clone = None;
            }
            Step::ClearMark => {
                if let Some(inspection) = &mut self.facts.inspection {
                    inspection.rewriting = false;
                }
                self.facts.discard = None;
                let rewound = self.facts.clone.take().is_some_and(|c| c.rewound);
                self.facts.rewinds_failed = 0;
                if let Some(copy) = self.own_copy() {
                    self.explain(StewardReason::Cloned {
                        copy: copy.id,
                        rewound,
                    });
                }
            }
            Step::SetAside(_) => {
                if let Some(inspection) = &mut self.facts.inspection {
                    inspection.directory = Directory::Absent;
                }
                // What did not work was about what lay there.
                self.trouble = None;
                self.facts.clone = None;
                self.facts.look = true;
            }
            Step::Clone { .. } | Step::Rewind { .. } => {
                if let Some(clone) = &mut self.facts.clone {
                    clone.done = true;
                }
                // A name for it, never given before.
                self.ids += u64::from(!mutant!(self.config, R11NameGivenTwice));
                self.facts.look = true;
            }
            Step::Initdb => self.facts.look = true,
            Step::WriteSettings(settings) => {
                run.proof.written(&self.config, &settings, run.wrote);
                if let Some((server, _)) = &mut run.seen {
                    // What it said of the settings before.
                    server.outdated = false;
                    server.refuses = None;
                }
                self.facts.written = Some(settings);
            }
            Step::Reload => {
                run.changed = number;
                let generation = self.facts.written.as_ref().map_or(0, |w| w.generation);
                let count = match run.reloaded {
                    Some((of, _, count)) if of == generation => count,
                    _ => 0,
                };
                run.reloaded = Some((generation, now, count + 1));
            }
            Step::Promote => {
                run.changed = number;
                run.promote_again = false;
            }
            Step::Stop(_) => {
                self.facts.look = true;
                if self.guard.run.is_some() {
                    self.guard.run = None;
                    self.guard.serving = None;
                    self.guard.fencing = false;
                    self.run_changed(now);
                }
            }
            Step::EndSessions => {
                let generation = run.in_force.as_ref().map_or(0, |w| w.generation);
                run.sessions_ended = Some((generation, number));
            }
            Step::Canary => {
                run.changed = number;
                run.canary_at = Some(now);
                run.proof.canary_begun();
            }
            Step::Checkpoint => run.checkpointed = true,
            Step::BeginCheckpoint => run.checkpoint_begun = Some(now),
            Step::Slots { make, drop } => self.slots_made(&make, &drop),
        }
    }

    fn stamped(&mut self, stamp: Stamp) {
        let Some(inspection) = self.facts.inspection.as_mut() else {
            return;
        };
        let Directory::Data(data) = &mut inspection.directory else {
            return;
        };
        let old = data.stamp.replace(stamp.clone());
        let first = old.as_ref().is_none_or(|o| o.copy != stamp.copy);
        let struck = old
            .as_ref()
            .and_then(unsettled)
            .filter(|_| stamp.ordered.is_none());
        let joined = stamp.history.last().copied().filter(|last| {
            stamp.ordered == Some((last.term, last.n))
                && old.is_some_and(|o| o.history.last() != Some(last))
        });
        if first {
            self.explain(StewardReason::Stamped { copy: stamp.copy });
        }
        if let Some((term, n)) = struck {
            self.explain(StewardReason::NeverPromoted { term, n });
        }
        if let Some(promotion) = joined {
            self.explain(StewardReason::Promoted(promotion));
        }
    }

    /// It worked: what kept it back is over.
    fn worked(&mut self, now: Instant, step: &Step) {
        // A start has worked once the server answers.
        if !matches!(step, Step::Start) {
            self.is_over(step);
        }
        // A canary and a reload may come again and again while something else is in the way.
        if !matches!(
            step,
            Step::Inspect | Step::Canary | Step::Reload | Step::Slots { .. }
        ) {
            self.progress_at = now;
        }
    }

    /// What kept such a step back is over.
    fn is_over(&mut self, step: &Step) {
        let kind = std::mem::discriminant(step);
        self.hold.take_if(|h| h.kind == kind);
        self.trouble.take_if(|(of, _)| *of == kind);
    }

    fn failed(&mut self, now: Instant, number: u64, step: &Step, why: String) {
        match step {
            Step::Observe => {
                self.facts.run.tried = Some((number, now));
                self.facts.run.failing = true;
                return;
            }
            // The health write: its age tells.
            Step::Nudge => {
                self.facts.run.nudge_failing = true;
                return;
            }
            Step::Checkpoint => self.facts.run.checkpointed = true,
            Step::BeginCheckpoint => self.facts.run.checkpoint_begun = Some(now),
            Step::Inspect | Step::EndSessions | Step::Canary | Step::Slots { .. } => {}
            Step::Start => self.facts.run.start_failed = true,
            Step::Rewind { .. } => {
                self.facts.rewinds_failed += 1;
                self.facts.doubt_disk();
            }
            _ => self.facts.doubt_disk(),
        }
        self.undone(now, number, step);
        match step {
            // Nothing else waits for them.
            Step::Slots { .. } => self.facts.run.slots_failed = Some(now),
            Step::Clone { .. } | Step::Rewind { .. } | Step::Initdb => {
                self.hold_back(now, step, CLONE_FAILED.0, CLONE_FAILED.1);
            }
            _ => self.hold_back(now, step, FAILED.0, FAILED.1),
        }
        let fault = Fault(format!("could not {step}: {why}"));
        self.trouble = Some((std::mem::discriminant(step), fault));
        self.explain(StewardReason::Failed {
            step: step.to_string(),
            why,
        });
    }

    /// A step did not come to its end: what it may have changed is taken to be changed.
    fn undone(&mut self, _: Instant, number: u64, step: &Step) {
        self.facts.run.changed = number;
        match step {
            // R11: the mark may be set.
            Step::MarkRewriting => {
                if let Some(inspection) = &mut self.facts.inspection {
                    inspection.rewriting = true;
                }
            }
            Step::Clone { .. } | Step::Rewind { .. } => self.facts.clone = None,
            // The name in it may be on disk.
            Step::WriteStamp(_) => self.ids += 1,
            Step::Promote => self.facts.run.promote_again = true,
            _ => {}
        }
    }
}
