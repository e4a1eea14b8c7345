//! The guard's one worker: carries out what may wait for a disk or a helper, one job after the other, so that the loop
//! never does.
//!
//! The thread lives as long as the process: the postmaster gets its SIGQUIT when the thread that forked it ends.

use crate::postgres::execute::{Ending, execute};
use crate::postgres::start::{Spawned, start};
use crate::postgres::{Context, Said, Upstream, log};
use nix::sys::eventfd::EventFd;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use yoke_core::step::{Outcome, Step};

/// What is to be done.
#[derive(Debug)]
pub(super) enum Job {
    /// A step on files.
    Step {
        number: u64,
        step: Step,
        upstream: Option<Upstream>,
        ending: Ending,
    },
    /// Start the postmaster.
    Start {
        number: u64,
        cgroup: Option<RawFd>,
        ending: Ending,
    },
    /// What the daemon's configuration says has changed.
    Context(Box<Context>),
    /// Tell the end of PostgreSQL's log from this position on.
    ReadLog { from: u64 },
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Report {
    Done { number: u64, outcome: Outcome },
    Started { number: u64, result: Said<Spawned> },
    Progress { number: u64, done: u64, total: u64 },
    Log(String),
}

/// The loop's end of the worker.
#[derive(Debug)]
pub(super) struct Worker {
    jobs: Sender<Job>,
    reports: Receiver<Report>,
    /// Readable when there is a report.
    pub(super) wake: Arc<EventFd>,
    /// The order under way, and how it is told to end.
    current: Option<(u64, Ending)>,
}

impl Worker {
    pub(super) fn spawn(context: Context) -> std::io::Result<Worker> {
        let wake = Arc::new(EventFd::from_flags(
            nix::sys::eventfd::EfdFlags::EFD_CLOEXEC | nix::sys::eventfd::EfdFlags::EFD_NONBLOCK,
        )?);
        let (jobs, to_do) = channel();
        let (report, reports) = channel();
        let bell = Arc::clone(&wake);
        std::thread::Builder::new()
            .name("worker".into())
            .spawn(move || {
                let mut context = context;
                let tell = |said: Report| {
                    // Both fail only when the process ends.
                    let _ = report.send(said);
                    let _ = bell.write(1);
                };
                for job in to_do {
                    match job {
                        Job::Context(new) => context = *new,
                        job => carry_out(&context, job, &tell),
                    }
                }
            })?;
        Ok(Worker {
            jobs,
            reports,
            wake,
            current: None,
        })
    }

    /// Begins an order's job.
    pub(super) fn begin(&mut self, number: u64, job: impl FnOnce(Ending) -> Job) {
        let ending = Ending::default();
        self.current = Some((number, ending.clone()));
        self.give(job(ending));
    }

    /// Gives it something that is no order.
    pub(super) fn give(&self, job: Job) {
        // The thread ends with the process only.
        let _ = self.jobs.send(job);
    }

    /// Tells an order to end; it reports all the same.
    pub(super) fn end(&self, number: u64) {
        if let Some((current, ending)) = &self.current
            && *current == number
        {
            ending.end();
        }
    }

    /// Tells whatever is under way to end.
    pub(super) fn end_all(&self) {
        if let Some((_, ending)) = &self.current {
            ending.end();
        }
    }

    /// Whether the order was told to end.
    pub(super) fn is_ended(&self, number: u64) -> bool {
        self.current
            .as_ref()
            .is_some_and(|(current, ending)| *current == number && ending.is_set())
    }

    /// What was reported.
    pub(super) fn reports(&self) -> Vec<Report> {
        // Empty it before looking: what comes in between rings again.
        let _ = self.wake.read();
        self.reports.try_iter().collect()
    }
}

fn carry_out(context: &Context, job: Job, tell: &dyn Fn(Report)) {
    match job {
        Job::Step {
            number,
            step,
            upstream,
            ending,
        } => {
            let mut told = 0;
            let mut progress = |done: u64, total: u64| {
                // One in a hundred is enough.
                if done == 0 || done >= total || done - told > total / 100 {
                    told = done;
                    tell(Report::Progress {
                        number,
                        done,
                        total,
                    });
                }
            };
            let mut say = |text| tell(Report::Log(text));
            let outcome = execute(context, &step, upstream, &ending, &mut progress, &mut say);
            tell(Report::Done { number, outcome });
        }
        Job::Start {
            number,
            cgroup,
            ending,
        } => tell(Report::Started {
            number,
            result: start(context, cgroup, &ending),
        }),
        Job::Context(_) => {}
        Job::ReadLog { from } => {
            let file = context.log_file();
            let text = log::last_words(&file, from).unwrap_or_default();
            tell(Report::Log(format!(
                "PostgreSQL's last words in {}: {text}",
                file.display()
            )));
        }
    }
}
