//! The guard's loop: one thread between the daemon, the clock, its children and the worker. It never waits for a disk.

use crate::guard::database::{Database, reap_orphans};
use crate::guard::link::Link;
use crate::guard::wire::{GuardReply, GuardRequest};
use crate::guard::worker::{Job, Report, Worker};
use crate::postgres::Upstream;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::signalfd::SignalFd;
use nix::sys::time::{TimeSpec, TimeValLike};
use nix::sys::timerfd::{Expiration, TimerFd, TimerSetTimeFlags};
use nix::time::{ClockId, clock_gettime};
use std::collections::VecDeque;
use std::os::fd::AsFd;
use yoke_core::guard::{Guard, GuardAction, GuardEvent};
use yoke_core::postgres::RunId;
use yoke_core::step::{Order, Outcome, Step};
use yoke_core::{Duration, Instant};

/// How often it is looked for what an earlier guard left behind.
const ORPHANS: Duration = Duration::millis(20);

/// Everything that the loop holds.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) machine: Guard,
    pub(super) link: Link,
    pub(super) worker: Worker,
    pub(super) database: Database,
    pub(super) children: SignalFd,
    pub(super) timer: TimerFd,
    pub(super) stage: Stage,
    /// What is to be told to the machine.
    pub(super) events: VecDeque<GuardEvent>,
    /// Where the member listens that an order names.
    pub(super) upstream: Option<(u64, Upstream)>,
    /// The order to promote whose file is being made.
    pub(super) promoting: Option<u64>,
}

/// Where the guard is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// It first ends what an earlier guard left behind; the daemon's requests wait.
    Clearing {
        /// When to look again.
        next: Instant,
        /// The daemon was told that this takes long.
        told: bool,
    },
    /// As long as the daemon is there.
    Guarding,
    /// The daemon is gone: fences, then ends.
    Leaving,
}

/// Microseconds of CLOCK_BOOTTIME: goes on while the host sleeps, and nobody can set it.
pub(super) fn now() -> Instant {
    // The clock exists on every Linux that Rust runs on: it cannot fail with valid arguments.
    let time = clock_gettime(ClockId::CLOCK_BOOTTIME).expect("CLOCK_BOOTTIME can be read");
    Instant(time.num_microseconds().unsigned_abs())
}

impl Process {
    /// Runs until the daemon is gone and the database with it.
    pub(super) fn run(&mut self) -> nix::Result<()> {
        loop {
            self.advance();
            if self.stage == Stage::Leaving && !self.database.is_there() {
                self.link.flush();
                return Ok(());
            }
            self.link.flush();
            self.wait()?;
        }
    }

    /// Sleeps until something happens.
    fn wait(&mut self) -> nix::Result<()> {
        let due = [
            self.machine.next_timeout(),
            self.database.next_look(),
            match self.stage {
                Stage::Clearing { next, .. } => Some(next),
                _ => None,
            },
        ]
        .into_iter()
        .flatten()
        .min();
        match due {
            // A time that has passed already fires at once; zero would disarm it.
            Some(Instant(at)) => self.timer.set(
                Expiration::OneShot(TimeSpec::microseconds(
                    i64::try_from(at.max(1)).unwrap_or(i64::MAX),
                )),
                TimerSetTimeFlags::TFD_TIMER_ABSTIME,
            )?,
            None => self.timer.unset()?,
        }
        let mut wanted = PollFlags::empty();
        if self.stage == Stage::Guarding {
            wanted |= PollFlags::POLLIN;
        }
        if self.link.has_output() {
            wanted |= PollFlags::POLLOUT;
        }
        // While clearing, only the end of the connection is of interest: POLLHUP comes unasked.
        let link = self.link.as_fd();
        let mut fds = vec![
            PollFd::new(self.children.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.timer.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.worker.wake.as_fd(), PollFlags::POLLIN),
        ];
        if self.stage != Stage::Leaving {
            fds.push(PollFd::new(link, wanted));
        }
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(e) => return Err(e),
        }
        let ready = |i: usize| fds.get(i).and_then(|fd| fd.any()).unwrap_or(false);
        let (timer, link) = (ready(1), ready(3));
        drop(fds);
        if timer {
            // It is readable: this does not block.
            self.timer.wait()?;
        }
        if link {
            self.read_link();
        }
        Ok(())
    }

    /// Does all that is to be done now.
    fn advance(&mut self) {
        // What has ended first: no permission that comes late saves what is over already.
        if self.machine.next_timeout().is_some_and(|at| at <= now()) {
            self.events.push_back(GuardEvent::Timeout);
        }
        self.tell_machine();
        let mut dead = false;
        while let Ok(Some(_)) = self.children.read_signal() {
            dead = true;
        }
        self.look_at_database();
        self.tell_machine();
        if dead && !self.database.is_there() {
            reap_orphans();
        }
        for report in self.worker.reports() {
            self.take_report(report);
            self.tell_machine();
        }
        if let Stage::Clearing { next, told } = self.stage {
            self.clear(next, told);
        }
        self.look_at_database();
        self.tell_machine();
    }

    /// Does what is due with the database; what it tells comes to the machine with the next `tell_machine`.
    fn look_at_database(&mut self) {
        let Some(gone) = self.database.look(now()) else {
            return;
        };
        self.events.push_back(GuardEvent::Gone { run: gone.run });
        for number in gone.stops {
            self.events.push_back(GuardEvent::Outcome {
                number,
                outcome: Outcome::Done,
            });
        }
        if let Some(from) = gone.unasked {
            self.worker.give(Job::ReadLog { from });
        }
    }

    fn clear(&mut self, next: Instant, told: bool) {
        if now() < next {
            return;
        }
        if self.database.sweep_orphans() == 0 {
            self.stage = Stage::Guarding;
            self.link.send(&GuardReply::View(self.machine.view()));
            // What the daemon sent meanwhile, if it did.
            self.take_requests();
            return;
        }
        if !told {
            self.link.send(&GuardReply::Explain(
                "killing what an earlier guard's PostgreSQL left behind".into(),
            ));
        }
        self.stage = Stage::Clearing {
            next: now() + ORPHANS,
            told: true,
        };
    }

    /// Takes in what the daemon sent. Its end is the end of the database.
    fn read_link(&mut self) {
        let open = self.link.fill();
        self.take_requests();
        if !open {
            self.leave();
        }
    }

    /// While clearing, the requests stay where they are.
    fn take_requests(&mut self) {
        while self.stage == Stage::Guarding {
            match self.link.take::<GuardRequest>() {
                Ok(Some(request)) => {
                    self.take_request(request);
                    self.tell_machine();
                }
                Ok(None) => return,
                Err(why) => {
                    self.link.send(&GuardReply::Explain(why));
                    self.leave();
                }
            }
        }
    }

    fn leave(&mut self) {
        self.stage = Stage::Leaving;
        self.worker.end_all();
        self.database.kill(None);
    }

    fn take_request(&mut self, request: GuardRequest) {
        self.events.push_back(match request {
            GuardRequest::Permission(permission) => GuardEvent::Permission(permission),
            GuardRequest::Order { order, upstream } => {
                self.upstream = upstream.map(|upstream| (order.number, upstream));
                GuardEvent::Order(order)
            }
        });
    }

    /// Tells the machine what has happened, and does what it says.
    fn tell_machine(&mut self) {
        while let Some(event) = self.events.pop_front() {
            self.machine.handle(now(), event);
            while let Some(action) = self.machine.poll_action() {
                self.act(action);
            }
        }
    }

    fn act(&mut self, action: GuardAction) {
        match action {
            GuardAction::Execute { order, run } => self.execute(order, run),
            GuardAction::EndOrder { number } => self.worker.end(number),
            GuardAction::Kill { run } => {
                self.database.kill(Some(run));
                // The first blow falls now, not at the loop's next turn.
                self.look_at_database();
            }
            GuardAction::Answer { number, outcome } => {
                self.link.send(&GuardReply::Answer { number, outcome });
            }
            GuardAction::View(view) => self.link.send(&GuardReply::View(view)),
            GuardAction::Explain(reason) => {
                self.link.send(&GuardReply::Explain(reason.to_string()));
            }
        }
    }

    fn execute(&mut self, order: Order, run: Option<RunId>) {
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
                self.database.stop(number, mode);
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

    fn take_report(&mut self, report: Report) {
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
            } => self.link.send(&GuardReply::Progress {
                number,
                done,
                total,
            }),
            Report::Log(text) => self.link.send(&GuardReply::Explain(text)),
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
