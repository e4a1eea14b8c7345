//! How the guard carries out one order, and what it makes of the reports (R16).

use crate::guard::process::Process;
use crate::guard::wire::GuardReply;
use crate::guard::worker::{Job, Report};
use nix::sys::signal::Signal;
use yoke_core::guard::GuardEvent;
use yoke_core::postgres::RunId;
use yoke_core::step::{Order, Outcome, Step};

impl Process {
    pub(super) fn execute(&mut self, order: Order, run: Option<RunId>) {
        let number = order.number;
        match order.step {
            Step::Start => {
                let Some(run) = run else {
                    return self.answer(number, Outcome::Failed("a start without a run".into()));
                };
                let cgroup = self.database.begin(run);
                self.worker.begin(number, |ending| Job::Start {
                    number,
                    cgroup,
                    ending,
                });
            }
            Step::Stop(mode) if self.database.is_there() => {
                self.address.leave(run);
                self.database.stop(number, mode);
            }
            // Answered when the address is gone, too.
            Step::Stop(_) if self.gone.is_some() => {
                if let Some(gone) = &mut self.gone {
                    gone.stops.push(number);
                }
            }
            // Nothing was started since everything was seen gone.
            Step::Stop(_) => self.answer(number, Outcome::Done),
            Step::Reload => {
                let outcome = match self.database.signal(Signal::SIGHUP) {
                    Ok(()) => Outcome::Done,
                    Err(why) => Outcome::Failed(why),
                };
                self.answer(number, outcome);
            }
            step => {
                let upstream = self
                    .upstream
                    .take()
                    .filter(|(of, _)| *of == number)
                    .map(|(_, upstream)| upstream);
                // Its file first; the signal follows when that is there.
                self.promoting = matches!(step, Step::Promote).then_some(number);
                self.worker.begin(number, |ending| Job::Step {
                    number,
                    step,
                    upstream,
                    ending,
                });
            }
        }
    }

    pub(super) fn take_report(&mut self, report: Report) {
        match report {
            Report::Done { number, outcome } => {
                let outcome = match outcome {
                    Outcome::Done if self.promoting == Some(number) => self.promote(number),
                    outcome => outcome,
                };
                self.answer(number, outcome);
            }
            Report::Started { number, result } => {
                self.database.started(result.as_ref().ok().copied());
                // A start that failed has left nothing: seen before it is answered.
                self.look_at_database();
                let ended = self.worker.is_ended(number);
                self.answer(
                    number,
                    match result {
                        _ if ended => Outcome::Ended,
                        Ok(_) => Outcome::Done,
                        Err(why) => Outcome::Failed(why),
                    },
                );
            }
            Report::Progress {
                number,
                done,
                total,
            } => self.tell(&GuardReply::Progress {
                number,
                done,
                total,
            }),
            Report::Log(text) => self.tell(&GuardReply::Explain(text)),
        }
    }

    /// The promotion's file is there: the signal makes PostgreSQL look. Not if a fence or a stop came in between.
    fn promote(&mut self, number: u64) -> Outcome {
        self.promoting = None;
        if self.worker.is_ended(number) {
            return Outcome::Ended;
        }
        match self.database.signal(Signal::SIGUSR1) {
            Ok(()) => Outcome::Done,
            Err(why) => Outcome::Failed(why),
        }
    }

    fn answer(&mut self, number: u64, outcome: Outcome) {
        self.events
            .push_back(GuardEvent::Outcome { number, outcome });
    }
}
