#![no_main]

use fuzz_bodies::schedule::{self, Search};
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::sync::{LazyLock, Mutex};

/// Where libFuzzer looks for coverage that is not the code's: one counter a situation, by its hash. So it keeps what came
/// by a new one. Nothing in this program reads it: without `used` the optimizer drops it.
#[used]
#[unsafe(link_section = "__libfuzzer_extra_counters")]
static SITUATIONS: [AtomicU8; 1 << 16] = [const { AtomicU8::new(0) }; 1 << 16];

/// What comes next is its choice: libFuzzer's own would go by the code's coverage, which a few runs exhaust.
static SEARCH: LazyLock<Mutex<Search>> = LazyLock::new(Mutex::default);

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let scenario = schedule::scenario(bytes);
    let (events, situations) = schedule::explore(&scenario);
    for number in situations.numbers() {
        SITUATIONS[number as usize % SITUATIONS.len()].store(1, Relaxed);
    }
    let mut search = SEARCH.lock().expect("a panic ends the process");
    search.learn(&scenario, events, &situations);
});

libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], _size: usize, max_size: usize, seed: u32| {
    let search = SEARCH.lock().expect("a panic ends the process");
    let scenario = search.next(seed.into());
    let text = scenario.to_string();
    let size = text.len().min(max_size);
    data[..size].copy_from_slice(&text.as_bytes()[..size]);
    size
});
