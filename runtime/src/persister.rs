//! The thread that makes states durable, so that a slow disk never stops the driver.

use crate::state_file::StatusDir;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use yoke_core::HardState;

/// How long after a refusal of the disk it is tried again.
const RETRY: Duration = Duration::from_millis(300);
/// How often a disk that goes on refusing is complained of.
const COMPLAIN: Duration = Duration::from_secs(10);

/// Hands states to the thread; the newest replaces one that still waits.
#[derive(Debug)]
pub struct Persister {
    slot: Arc<Slot>,
}

#[derive(Debug, Default)]
struct Slot {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    state: Option<(u64, Box<HardState>)>,
    ended: bool,
}

impl Slot {
    /// What another thread left in a panic is whole: every change is one assignment.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Persister {
    /// Starts the thread. `durable` is called on it with the number of each state that is safe.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn start(dir: StatusDir, durable: impl Fn(u64) + Send + 'static) -> std::io::Result<Self> {
        let slot = Arc::new(Slot::default());
        let theirs = Arc::clone(&slot);
        std::thread::Builder::new()
            .name("state".to_owned())
            .spawn(move || run(durable, &theirs, dir))?;
        Ok(Persister { slot })
    }

    /// Asks for a state to be made durable. Never waits.
    pub fn persist(&self, seq: u64, state: Box<HardState>) {
        self.slot.lock().state = Some((seq, state));
        self.slot.changed.notify_one();
    }
}

impl Drop for Persister {
    fn drop(&mut self) {
        self.slot.lock().ended = true;
        self.slot.changed.notify_one();
    }
}

/// Arguments end in reverse: the directory's lock is free before `durable` goes.
fn run(durable: impl Fn(u64), slot: &Slot, dir: StatusDir) {
    let mut complained: Option<Instant> = None;
    loop {
        let mut waiting = slot.lock();
        let (seq, state) = loop {
            if let Some(next) = waiting.state.take() {
                break next;
            }
            if waiting.ended {
                return;
            }
            waiting = slot
                .changed
                .wait(waiting)
                .unwrap_or_else(PoisonError::into_inner);
        };
        drop(waiting);

        match dir.store(&state) {
            Ok(()) => {
                if complained.take().is_some() {
                    tracing::info!("the state is written again");
                }
                durable(seq);
            }
            Err(error) => {
                if complained.is_none_or(|at| at.elapsed() >= COMPLAIN) {
                    complained = Some(Instant::now());
                    tracing::error!(
                        "the state cannot be written, so this member can promise nothing: {error}; trying on"
                    );
                }
                // Nothing is lost by waiting: what rests on this state is held back. A newer one replaces it.
                std::thread::sleep(RETRY);
                let mut waiting = slot.lock();
                if waiting.ended {
                    return;
                }
                waiting.state.get_or_insert((seq, state));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use yoke_core::record::Term;

    fn state(term: u64) -> Box<HardState> {
        Box::new(HardState {
            members: vec!["a".to_owned()].into(),
            term: Term(term),
            voted_for: None,
            record: None,
            longest_promise: yoke_core::Duration::ZERO,
            stamped: false,
        })
    }

    #[test]
    fn the_newest_state_is_durable_when_it_is_said() {
        let temp = tempfile::tempdir().unwrap();
        let dir = StatusDir::lock(temp.path()).unwrap();
        let (tell, told) = mpsc::channel();
        let persister = Persister::start(dir, move |seq| tell.send(seq).unwrap()).unwrap();
        for seq in 1..=100 {
            persister.persist(seq, state(seq));
        }
        while told.recv().unwrap() < 100 {}
        drop(persister);
        // The channel ends with the thread, and with it the lock.
        assert!(told.recv().is_err());
        let dir = StatusDir::lock(temp.path()).unwrap();
        let loaded = dir.load(&["a".to_owned()]).unwrap().unwrap();
        assert_eq!(loaded.term, Term(100));
    }

    #[test]
    fn a_disk_that_refuses_is_tried_again() {
        let temp = tempfile::tempdir().unwrap();
        let dir = StatusDir::lock(temp.path()).unwrap();
        // A directory stands where the new file should be written.
        let obstacle = temp.path().join("yoke.state.new");
        std::fs::create_dir(&obstacle).unwrap();
        let (tell, told) = mpsc::channel();
        let persister = Persister::start(dir, move |seq| tell.send(seq).unwrap()).unwrap();
        persister.persist(1, state(1));
        assert!(told.recv_timeout(RETRY / 3).is_err());
        std::fs::remove_dir(&obstacle).unwrap();
        assert_eq!(told.recv().unwrap(), 1);
    }
}
