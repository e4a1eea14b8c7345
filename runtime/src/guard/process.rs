//! The guard's loop: one thread between the daemon, the clock, its children and the worker. It never waits for a disk.

use crate::guard::database::{Database, Gone};
use crate::guard::door::Door;
use crate::guard::hello::Hello;
use crate::guard::link::Link;
use crate::guard::untold::Untold;
use crate::guard::vip::Address;
use crate::guard::wire::{GuardReply, GuardRequest};
use crate::guard::worker::{Job, Worker};
use crate::postgres::processes::reap_orphans;
use crate::postgres::{Context, Upstream};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::signalfd::SignalFd;
use nix::sys::time::{TimeSpec, TimeValLike};
use nix::sys::timerfd::{Expiration, TimerFd, TimerSetTimeFlags};
use nix::time::{ClockId, clock_gettime};
use std::collections::VecDeque;
use std::os::fd::AsFd;
use yoke_core::guard::{Guard, GuardAction, GuardEvent};
use yoke_core::step::Outcome;
use yoke_core::{Duration, Instant};

/// How often it is looked for what an earlier guard left behind.
const ORPHANS: Duration = Duration::millis(20);
/// How long it stays with nothing to guard and nobody to tell it anything: a daemon that is replaced needs far less.
const ALONE: Duration = Duration::secs(10);

/// Everything that the loop holds.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) machine: Guard,
    /// What the daemon's configuration says of the database.
    pub(super) context: Context,
    pub(super) door: Door,
    /// The daemon that is heard: the newest. None: it is gone, and the next one is waited for.
    pub(super) link: Option<Link>,
    /// Since when there is none.
    pub(super) alone_since: Instant,
    /// What there was nobody to tell.
    pub(super) untold: Untold,
    /// Told to end: as soon as nothing runs.
    pub(super) leaving: bool,
    pub(super) worker: Worker,
    pub(super) database: Database,
    /// The database is seen gone, but not the virtual address yet.
    pub(super) gone: Option<Gone>,
    pub(super) address: Address,
    /// Children that ended, and who asks it to end.
    pub(super) signals: SignalFd,
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
    /// From then on, whether a daemon is there or not.
    Guarding,
}

/// Microseconds of CLOCK_BOOTTIME: goes on while the host sleeps, and nobody can set it.
pub(super) fn now() -> Instant {
    // The clock exists on every Linux that Rust runs on: it cannot fail with valid arguments.
    let time = clock_gettime(ClockId::CLOCK_BOOTTIME).expect("CLOCK_BOOTTIME can be read");
    Instant(time.num_microseconds().unsigned_abs())
}

impl Process {
    /// Runs until there is nothing to guard and nobody to guard it for.
    pub(super) fn run(&mut self) -> nix::Result<()> {
        loop {
            self.advance();
            if let Some(link) = &mut self.link {
                link.flush();
            }
            if self.is_over() {
                return Ok(());
            }
            self.wait()?;
        }
    }

    /// Nothing runs and nothing is under way, and it was told to end, or nobody came for long.
    fn is_over(&self) -> bool {
        self.is_idle() && (self.leaving || self.ends_alone_at().is_some_and(|at| at <= now()))
    }

    fn is_idle(&self) -> bool {
        !self.database.is_there()
            && self.gone.is_none()
            && self.address.is_idle()
            && self.machine.view().order.is_none()
    }

    fn ends_alone_at(&self) -> Option<Instant> {
        (self.link.is_none() && self.is_idle()).then(|| self.alone_since + ALONE)
    }

    /// Sleeps until something happens.
    fn wait(&mut self) -> nix::Result<()> {
        let due = [
            self.machine.next_timeout(),
            self.database.next_look(),
            self.door.next_due(),
            self.ends_alone_at(),
            self.address.holds_until(),
            match self.stage {
                Stage::Clearing { next, .. } => Some(next),
                Stage::Guarding => None,
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
        // While clearing, only the end of the connection is of interest: POLLHUP comes unasked.
        let mut wanted = PollFlags::empty();
        if self.stage == Stage::Guarding {
            wanted |= PollFlags::POLLIN;
        }
        if self.link.as_ref().is_some_and(Link::has_output) {
            wanted |= PollFlags::POLLOUT;
        }
        let mut fds = vec![
            PollFd::new(self.timer.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.worker.wake.as_fd(), PollFlags::POLLIN),
        ];
        fds.extend(self.link.iter().map(|l| PollFd::new(l.as_fd(), wanted)));
        let with_link = fds.len();
        let door = self.door.fds();
        fds.extend(door.map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(e) => return Err(e),
        }
        let ready = |fd: &PollFd<'_>| fd.any().unwrap_or(false);
        let timer = ready(&fds[0]);
        let link = fds[3..with_link].iter().any(ready);
        let door = fds[with_link..].iter().any(ready);
        drop(fds);
        if timer {
            // It is readable: this does not block.
            self.timer.wait()?;
        }
        // R16: the newest daemon first. What an older one still sent is never read.
        if door && let Some((daemon, hello)) = self.door.admit() {
            self.hear(daemon, hello);
        } else if link {
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
        let dead = self.take_signals();
        self.look_at_database();
        self.tell_machine();
        if dead && !self.database.is_there() {
            reap_orphans();
        }
        for report in self.worker.reports() {
            self.take_report(report);
            self.tell_machine();
        }
        self.look_at_address();
        if let Stage::Clearing { next, told } = self.stage {
            self.clear(next, told);
        }
        self.look_at_database();
        self.tell_machine();
        self.look_at_address();
    }

    /// Does what is due with the database; what it tells comes to the machine with the next `tell_machine`.
    pub(super) fn look_at_database(&mut self) {
        if let Some(gone) = self.database.look(now()) {
            self.address.leave(Some(gone.run));
            self.gone = Some(gone);
        }
        // The address leaves before the role does.
        if self.address.holds_until().is_some() {
            return;
        }
        let Some(gone) = self.gone.take() else {
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
        let left = self.database.sweep_orphans();
        if left == 0 && self.address.holds_until().is_none() {
            self.stage = Stage::Guarding;
            self.tell(&GuardReply::View(self.machine.view()));
            // What the daemon sent meanwhile, if it did.
            self.take_requests();
            return;
        }
        if left > 0 && !told {
            self.tell(&GuardReply::Explain(
                "killing what an earlier guard's PostgreSQL left behind".into(),
            ));
        }
        self.stage = Stage::Clearing {
            next: now() + ORPHANS,
            told: told || left > 0,
        };
    }

    /// Hears this daemon from now on, and the one before no more.
    fn hear(&mut self, mut daemon: Link, hello: Hello) {
        if let Some(other) = self.context.other_database(&hello.context) {
            if self.is_idle() {
                // Nothing runs: that daemon starts a guard of its own.
                self.leaving = true;
                return;
            }
            daemon.send(&GuardReply::Refused(format!(
                "it goes on guarding the database as it was started: {other}. Undo that in the configuration; or stop the daemon with the former one (SIGTERM), then start it with the new one"
            )));
            daemon.flush();
            return;
        }
        if hello.context != self.context {
            self.context = hello.context.clone();
            // The order under way goes on as it began.
            self.worker.give(Job::Context(Box::new(hello.context)));
        }
        self.address.configure(&self.context);
        self.leaving = false;
        if self.stage == Stage::Guarding {
            daemon.send(&GuardReply::View(self.machine.view()));
        }
        for text in self.untold.take(now()) {
            daemon.send(&GuardReply::Explain(text));
        }
        if hello.version != env!("CARGO_PKG_VERSION") {
            daemon.send(&GuardReply::Explain(format!(
                "this guard is of yoke {}, and stays until its database is stopped",
                env!("CARGO_PKG_VERSION")
            )));
        }
        self.link = Some(daemon);
    }

    /// Takes in what the daemon sent.
    fn read_link(&mut self) {
        let open = self.link.as_mut().is_some_and(Link::fill);
        self.take_requests();
        if !open {
            self.lose_link();
        }
    }

    /// The daemon is gone: the database goes on for as long as the permission lasts.
    fn lose_link(&mut self) {
        self.link = None;
        self.alone_since = now();
    }

    /// While clearing, the requests stay where they are.
    fn take_requests(&mut self) {
        while self.stage == Stage::Guarding
            && let Some(link) = &mut self.link
        {
            match link.take::<GuardRequest>() {
                Ok(Some(GuardRequest::Leave)) => self.leave(),
                // It has said its last word.
                Ok(Some(_)) if self.leaving => {}
                Ok(Some(request)) => {
                    self.take_request(request);
                    self.tell_machine();
                }
                Ok(None) => return,
                Err(why) => {
                    link.send(&GuardReply::Explain(why));
                    link.flush();
                    self.lose_link();
                }
            }
        }
    }

    fn leave(&mut self) {
        self.leaving = true;
        self.worker.end_all();
        self.database.kill(None);
        self.address.leave(None);
    }

    /// Takes in what the signals say; whether a child has ended.
    fn take_signals(&mut self) -> bool {
        let mut dead = false;
        while let Ok(Some(signal)) = self.signals.read_signal() {
            match i32::try_from(signal.ssi_signo).map(Signal::try_from) {
                Ok(Ok(Signal::SIGCHLD)) => dead = true,
                // Where a daemon is, it decides: a signal to all of a service's processes is meant for it.
                Ok(Ok(Signal::SIGTERM | Signal::SIGINT)) if self.link.is_none() => self.leave(),
                _ => {}
            }
        }
        dead
    }

    /// Tells the daemon. What there is nobody to tell is kept if it is for people; all else a new daemon sees in the view.
    pub(super) fn tell(&mut self, reply: &GuardReply) {
        match (&mut self.link, reply) {
            (Some(link), _) => link.send(reply),
            (None, GuardReply::Explain(text)) => self.untold.keep(now(), text),
            _ => {}
        }
    }

    fn take_request(&mut self, request: GuardRequest) {
        self.events.push_back(match request {
            GuardRequest::Permission(permission) => GuardEvent::Permission(permission),
            GuardRequest::Order { order, upstream } => {
                self.upstream = upstream.map(|upstream| (order.number, upstream));
                GuardEvent::Order(order)
            }
            GuardRequest::Admits { run } => {
                return self.address.admit(run, &self.machine.view());
            }
            GuardRequest::Leave => return,
        });
    }

    /// Tells the machine what has happened, and does what it says.
    pub(super) fn tell_machine(&mut self) {
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
                self.address.leave(Some(run));
                // The first blow falls now, not at the loop's next turn.
                self.look_at_database();
            }
            GuardAction::Answer { number, outcome } => {
                self.tell(&GuardReply::Answer { number, outcome });
            }
            GuardAction::View(view) => self.tell(&GuardReply::View(view)),
            GuardAction::Explain(reason) => {
                self.tell(&GuardReply::Explain(reason.to_string()));
            }
        }
    }
}
