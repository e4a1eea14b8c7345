//! How far it is, on a terminal, and Ctrl-C: the first lets what runs come to its end, the second ends it at once.

use std::io::{IsTerminal, Write, stderr};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// A line that is written over itself.
pub(crate) struct Progress {
    began: Instant,
    shown: Instant,
    all: u64,
    wanted: bool,
}

/// How often the line changes.
const PAUSE: Duration = Duration::from_millis(250);

impl Progress {
    /// Nothing of so many is done.
    pub(crate) fn new(all: u64) -> Self {
        let now = Instant::now();
        Progress {
            began: now,
            shown: now,
            all,
            wanted: stderr().is_terminal(),
        }
    }

    /// So many are done, with so many events; so many failed.
    pub(crate) fn show(&mut self, done: u64, events: u64, failed: usize) {
        if !self.wanted || self.shown.elapsed() < PAUSE {
            return;
        }
        self.shown = Instant::now();
        let millis = self.began.elapsed().as_millis().max(1) as u64;
        let left = millis * (self.all - done) / done.max(1) / 1000;
        eprint!(
            "\r\x1b[K{done} of {} seeds, {failed} failed, {} events/s, {left} s left",
            self.all,
            events * 1000 / millis
        );
        let _ = stderr().flush();
    }

    /// The line goes.
    pub(crate) fn end(&self) {
        if self.wanted {
            eprint!("\r\x1b[K");
        }
    }
}

/// Becomes true at the first Ctrl-C; a second one ends the process.
pub(crate) fn stop_at_ctrl_c() -> Result<Arc<AtomicBool>, String> {
    let stop = Arc::new(AtomicBool::new(false));
    // The order counts: the second signal finds the flag that the first one set.
    signal_hook::flag::register_conditional_shutdown(
        signal_hook::consts::SIGINT,
        130,
        Arc::clone(&stop),
    )
    .and_then(|_| signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::clone(&stop)))
    .map_err(|error| format!("Ctrl-C cannot be caught: {error}"))?;
    Ok(stop)
}
