#![no_main]

use fuzz_bodies::schedule;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// Where libFuzzer looks for coverage that is not the code's: one counter a situation, by its hash. Nothing in
/// this program reads it: without `used` the optimizer drops it, and nothing guides.
#[used]
#[unsafe(link_section = "__libfuzzer_extra_counters")]
static SITUATIONS: [AtomicU8; 1 << 16] = [const { AtomicU8::new(0) }; 1 << 16];

static MUTANT: LazyLock<Option<usize>> = LazyLock::new(schedule::mutant);
/// For `fuzz/compare`: every run is a random seed, and nothing guides.
static RANDOM: LazyLock<bool> = LazyLock::new(|| std::env::var_os("YOKE_RANDOM").is_some());

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    schedule::explore(bytes, *MUTANT, |situation| {
        SITUATIONS[situation as usize % SITUATIONS.len()].store(1, Relaxed);
    });
});

libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mut tape = data[..size].to_vec();
    if *RANDOM {
        tape = seed.wrapping_mul(0x9E37_79B1).to_le_bytes().to_vec();
    } else {
        schedule::mutate(&mut tape, seed.into());
    }
    let size = tape.len().min(max_size);
    data[..size].copy_from_slice(&tape[..size]);
    size
});
