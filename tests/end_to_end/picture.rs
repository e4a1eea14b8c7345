//! `yoke demo` as a person sees it: a picture on a terminal, keys, and afterwards the terminal as it was.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use nix::pty::{Winsize, openpty};
use nix::sys::termios::{Termios, tcgetattr};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tests::programs;

/// The longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(90);
const LOOK: Duration = Duration::from_millis(50);

/// A terminal of a hundred columns, and somebody in front of it.
struct Person {
    keys: File,
    terminal: OwnedFd,
    before: Termios,
    output: Arc<Mutex<String>>,
    reader: JoinHandle<()>,
    demo: Demo,
    /// So much of the output was looked at.
    seen: usize,
}

/// Does not outlive the test: its nodes then stop by themselves.
struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        // Fails only when it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Person {
    fn sits_down() -> Person {
        let size = Winsize {
            ws_row: 30,
            ws_col: 100,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let pair = openpty(&size, None).unwrap();
        let terminal = || pair.slave.try_clone().unwrap();
        let before = tcgetattr(&pair.slave).unwrap();
        let demo = Command::new(programs::yoke())
            .arg("demo")
            .env("TERM", "xterm")
            .stdin(terminal())
            .stdout(terminal())
            .stderr(terminal())
            .spawn()
            .unwrap();
        let keys = File::from(pair.master);
        let mut screen = keys.try_clone().unwrap();
        let output = Arc::new(Mutex::new(String::new()));
        let seen = Arc::clone(&output);
        let reader = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // It fails when the last one who could write has gone.
            while let Ok(n @ 1..) = screen.read(&mut bytes) {
                seen.lock()
                    .unwrap()
                    .push_str(&String::from_utf8_lossy(&bytes[..n]));
            }
        });
        Person {
            keys,
            terminal: pair.slave,
            before,
            output,
            reader,
            demo: Demo(demo),
            seen: 0,
        }
    }

    /// Waits until this is written, after what was waited for before.
    fn sees(&mut self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let output = self.output.lock().unwrap().clone();
            if let Some(at) = output[self.seen..].find(text) {
                self.seen += at + text.len();
                return;
            }
            let ended = self.demo.0.try_wait().unwrap();
            let in_time = Instant::now() < deadline;
            assert!(
                in_time && ended.is_none(),
                "no `{text}` ({ended:?}): {output}"
            );
            std::thread::sleep(LOOK);
        }
    }

    fn presses(&mut self, key: &str) {
        self.keys.write_all(key.as_bytes()).unwrap();
    }

    /// Waits for the demo's end: how it ended, what it wrote, and the terminal's settings then.
    fn gets_up(mut self) -> (ExitStatus, String, Termios) {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.demo.0.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "the demo does not end");
            std::thread::sleep(LOOK);
        };
        let after = tcgetattr(&self.terminal).unwrap();
        drop(self.terminal);
        self.reader.join().unwrap();
        let output = self.output.lock().unwrap().clone();
        (status, output, after)
    }
}

#[test]
fn a_person_kills_postgresql_and_quits() {
    let mut person = Person::sits_down();
    let before = person.before.clone();
    person.sees("\x1b[?1049h");
    person.sees("A failover now would lose nothing");
    person.presses("p");
    person.sees("data1: PostgreSQL killed");
    person.sees("well after");
    person.presses("q");
    let (status, output, after) = person.gets_up();
    assert!(status.success(), "{output}");
    assert_eq!(
        after, before,
        "the terminal's settings are not what they were"
    );
    let (_, left) = output.rsplit_once("\x1b[?1049l").unwrap();
    assert!(!left.contains("\x1b[?25l"), "the cursor is hidden: {left}");
    assert!(
        output.contains("\x1b[?25h"),
        "the cursor is hidden: {output}"
    );
    assert!(left.contains("data1: PostgreSQL killed"), "{left}");
    assert!(left.contains("No acknowledged write was lost"), "{left}");
}
