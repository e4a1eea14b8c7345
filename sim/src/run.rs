//! One run from its scenario to its report, at once or step by step.

use crate::choices::Choices;
use crate::coverage::Coverage;
use crate::probe::Reached;
use crate::scenario::Scenario;
use crate::story::Story;
use crate::world::{Violation, World};
use std::cell::{Cell, RefCell};
use std::hash::Hasher;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use yoke_core::Config;

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// Stands for everything that happened.
    pub digest: u64,
    /// The promise that was broken, if one was.
    pub violation: Option<Violation>,
    /// What it went through.
    pub coverage: Coverage,
    /// The situations that it came by.
    pub reached: Reached,
    /// How many events.
    pub events: u64,
    /// How long it took, in microseconds of simulated time.
    pub length: u64,
    /// How often a node, a steward or a guard handled something.
    pub core_steps: u64,
    /// What happened, if it was asked for.
    pub story: Option<Box<Story>>,
}

/// How to run.
#[derive(Clone, Copy, Debug, Default)]
pub struct How {
    /// Whether to keep the story.
    pub trace: bool,
    /// The deliberate bug to run with: its place in the list of mutants.
    pub mutant: Option<usize>,
}

thread_local! {
    static PANIC: RefCell<Option<(String, bool)>> = const { RefCell::new(None) };
    /// Whether this thread is within [`caught`].
    static CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// Panics of a run are reported as violations; nothing is to be printed when they happen.
pub fn catch_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(set_hook);
}

fn set_hook() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !CAUGHT.get() {
            return usual(info);
        }
        let text = info
            .payload()
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| {
                info.payload()
                    .downcast_ref::<&str>()
                    .map(|s| (*s).to_owned())
            })
            .unwrap_or_default();
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let core = !place.contains("sim/src");
        PANIC.with(|p| *p.borrow_mut() = Some((format!("{text} ({place})"), core)));
    }));
}

/// What it comes to, or its panic.
pub(crate) fn caught<T>(it: impl FnOnce() -> T) -> std::thread::Result<T> {
    CAUGHT.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(it));
    CAUGHT.set(false);
    outcome
}

/// Runs a scenario to its end or its first violation.
pub fn run(scenario: &Scenario, how: How) -> Report {
    Session::begin(scenario, how).run()
}

/// A run that goes on step by step.
pub struct Session {
    pub(crate) world: World,
    ended: bool,
}

impl Session {
    /// Before the first step.
    pub fn begin(scenario: &Scenario, how: How) -> Session {
        let choices = Choices::of(scenario);
        let mutate = |config: &mut Config| {
            #[cfg(feature = "mutants")]
            {
                config.mutant = how.mutant.map(|m| yoke_core::mutant::Mutant::ALL[m]);
            }
            let _ = config;
        };
        Session {
            world: World::new(scenario.clone(), choices, how.trace, &mutate),
            ended: false,
        }
    }

    /// The next step; false if the run is at its end. A panic is a violation.
    pub fn step(&mut self) -> bool {
        if self.ended {
            return false;
        }
        let world = &mut self.world;
        let more = caught(|| {
            let stepped = world.step();
            let goes_on = stepped && !world.finished && world.violation.is_none();
            if !goes_on && world.violation.is_none() {
                world.at_the_end();
            }
            goes_on
        });
        self.ended = !*more.as_ref().unwrap_or(&false);
        if more.is_err() {
            let (what, core) = PANIC.with(|p| p.borrow_mut().take()).unwrap_or_default();
            world.violation = None;
            world.violated(if core { "core assertion" } else { "simulator" }, what);
        }
        if self.ended {
            world.digest.note(("end", world.now, world.events));
        }
        true
    }

    /// How many steps were done, and when it is.
    pub fn now(&self) -> (u64, u64) {
        (self.world.events, self.world.now)
    }

    /// Stands for everything that happened so far.
    pub fn digest(&self) -> u64 {
        self.world.digest.finish()
    }

    /// To its end.
    pub fn run(mut self) -> Report {
        while self.step() {}
        self.report()
    }

    /// What came of it.
    pub fn report(self) -> Report {
        let world = self.world;
        Report {
            digest: world.digest.finish(),
            violation: world.violation,
            coverage: world.coverage,
            reached: world.observer.reached,
            events: world.events,
            length: world.now,
            core_steps: world.core_steps,
            story: world.trace.into_story(),
        }
    }
}
