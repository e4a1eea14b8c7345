#![no_main]

use fuzz_bodies::{frames, memory::Counting};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| frames::run(bytes));
