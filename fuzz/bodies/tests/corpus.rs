//! The committed corpora, replayed: every file goes through the very function that its fuzz target calls.
#![allow(clippy::unwrap_used)]

use fuzz_bodies::memory::Counting;
use fuzz_bodies::{events, frames, hard_state, ini, schedule};
use std::fs;
use std::path::Path;
use yoke::peer::handshake::PROTOCOL;
use yoke::state_file::{Found, StatusDir};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn replay(target: &str, run: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../corpus")
        .join(target);
    let mut files: Vec<_> = fs::read_dir(&corpus)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", corpus.display());
    let mut bytes = 0;
    for file in files {
        let contents = fs::read(&file).unwrap();
        bytes += contents.len();
        // The last line before a panic names the file.
        println!("{}", file.display());
        run(&contents);
    }
    assert!(
        bytes < 64 << 10,
        "{} has {bytes} bytes: minimise it",
        corpus.display()
    );
}

#[test]
fn frames_replay() {
    replay("frames", frames::run);
}

#[test]
fn ini_replay() {
    replay("ini", ini::run);
}

#[test]
fn hard_state_replay() {
    replay("hard_state", hard_state::run);
}

#[test]
fn events_replay() {
    replay("events", events::run);
}

#[test]
fn schedule_replay() {
    replay("schedule", schedule::run);
}

/// Of another form, the fuzzer would have to find the whole of today's by itself.
#[test]
fn the_seeds_are_of_todays_forms() {
    let seed = |name: &str| {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus");
        fs::read(corpus.join(name)).unwrap()[1..].to_vec()
    };
    for name in ["admin", "copy", "dialler", "peer"] {
        let begin = [&b"YOKE"[..], &PROTOCOL.to_be_bytes()].concat();
        assert_eq!(seed(&format!("frames/{name}"))[..6], begin, "{name}");
    }
    let names = ["data1", "data2", "monitor"].map(str::to_owned);
    let found = StatusDir::judge("yoke.state".into(), &seed("hard_state/whole"), &names);
    assert!(matches!(found, Ok(Found::State(_))), "{found:?}");
}
