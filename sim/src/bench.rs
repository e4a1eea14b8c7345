//! How fast the simulator is, on one core, with every oracle on; and how much memory a step asks for.

use nix::time::{ClockId, clock_gettime};
use sim::{How, Profile, Scenario};
use std::alloc::{GlobalAlloc, Layout, System};
use std::ops::Range;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Counts while it is told to; else it only passes on.
struct Counting;

static COUNTS: AtomicBool = AtomicBool::new(false);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if COUNTS.load(Ordering::Relaxed) {
            ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if COUNTS.load(Ordering::Relaxed) {
            ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: as the caller promises.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// A release build that does less in a second of processor time has become slow: half of what it is meant to do.
const LEAST: u64 = 500_000;

/// What the mix of all faults costs, which is what the seeds are: clusters of up to seven members, with short timeouts and
/// busy clients; the same where nothing goes wrong; and the cluster that most have, three hosts with the defaults, for an
/// hour in which nothing goes wrong.
pub(crate) fn run(seeds: Range<u64>, how: How) -> Result<ExitCode, String> {
    let of = |profile| -> Vec<Scenario> {
        let scenario = |seed| sim::scenario_in(profile, seed);
        seeds.clone().map(scenario).collect()
    };
    let named = |profile| format!("profile {profile}, seeds {}..{}", seeds.start, seeds.end);
    let events = measure(&named(Profile::Mix), &of(Profile::Mix), how)?;
    measure(&named(Profile::Calm), &of(Profile::Calm), how)?;
    let hour = Scenario {
        heal_after: 3_600_000_000,
        ..Scenario::calm(1)
    };
    measure("three hosts with the defaults, one calm hour", &[hour], how)?;
    if events < LEAST {
        return Err(format!(
            "less than {LEAST} events: is this a release build?"
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs the scenarios once for the speed, and once more to count; how many events a second were done. A simulated second is
/// one of the run's, from its hosts' start to its end: all that the product does in one is done.
fn measure(what: &str, scenarios: &[Scenario], how: How) -> Result<u64, String> {
    let all = || {
        let (mut events, mut length, mut steps) = (0, 0, 0);
        for scenario in scenarios {
            let report = sim::run(scenario, how);
            events += report.events;
            length += report.length;
            steps += report.core_steps;
        }
        (events, length / 1_000_000, steps)
    };
    let (began, worked) = (Instant::now(), processor_time()?);
    let (events, seconds, steps) = all();
    let millis = (processor_time()? - worked).as_millis().max(1) as u64;
    let waited = began.elapsed().as_millis();
    ALLOCATIONS.store(0, Ordering::Relaxed);
    COUNTS.store(true, Ordering::Relaxed);
    all();
    COUNTS.store(false, Ordering::Relaxed);
    let allocations = ALLOCATIONS.load(Ordering::Relaxed);
    let a_second = |count: u64| count * 1000 / millis;
    let a_step = |of: u64| {
        let hundredths = allocations * 100 / of.max(1);
        format!("{}.{:02}", hundredths / 100, hundredths % 100)
    };
    println!(
        "{what}, on one core, every oracle on: {millis} ms of processor time, {waited} ms by the clock; a second of processor time does"
    );
    println!("{:>12} events", a_second(events));
    println!(
        "{:>12} simulated seconds, of {} events each",
        a_second(seconds),
        events / seconds.max(1)
    );
    println!("{:>12} core steps", a_second(steps));
    println!(
        "{:>12} allocations an event, {} a core step",
        a_step(events),
        a_step(steps)
    );
    Ok(a_second(events))
}

/// What this process has worked; the clock would count other processes of a busy machine, too.
fn processor_time() -> Result<Duration, String> {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)
        .map(Duration::from)
        .map_err(|error| format!("the processor time cannot be read: {error}"))
}
