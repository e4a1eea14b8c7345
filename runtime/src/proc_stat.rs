//! What the kernel says of a process: `/proc/PID/stat` (proc(5)).

use nix::unistd::Pid;

/// A process, as far as it is of interest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Stat {
    /// The program's name, the first 15 bytes.
    pub(crate) name: String,
    /// `S` sleeps, `T` is stopped by a signal, `Z` has ended and was not waited for.
    pub(crate) state: char,
    /// Its parent.
    pub(crate) parent: Pid,
    /// When it was started, in clock ticks since the host's start: tells it from a later process with the same number.
    pub(crate) started: u64,
}

impl Stat {
    /// None: there is no such process any more.
    pub(crate) fn of(pid: Pid) -> Option<Stat> {
        Stat::parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// Reads `17 (some name) S 16 …`; the start is the 22nd field.
    fn parse(text: &str) -> Option<Stat> {
        // A name may hold blanks and brackets.
        let (before, after) = text.rsplit_once(") ")?;
        let mut fields = after.split_ascii_whitespace();
        Some(Stat {
            name: before.split_once(" (")?.1.to_owned(),
            state: fields.next()?.chars().next()?,
            parent: Pid::from_raw(fields.next()?.parse().ok()?),
            started: fields.nth(17)?.parse().ok()?,
        })
    }

    pub(crate) fn is_zombie(&self) -> bool {
        self.state == 'Z'
    }
}

/// Every process that there is.
pub(crate) fn pids() -> impl Iterator<Item = Pid> {
    std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .map(Pid::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_blanks_and_brackets_does_not_confuse() {
        let text = "17 (a) b) S 16 17 17 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 9\n";
        let expected = Stat {
            name: "a) b".to_owned(),
            state: 'S',
            parent: Pid::from_raw(16),
            started: 4711,
        };
        assert_eq!(Stat::parse(text), Some(expected));
        assert_eq!(Stat::parse(""), None);
        assert_eq!(Stat::parse("17 (postgres) S 16"), None);
    }

    #[test]
    fn this_process_is_found() {
        let me = nix::unistd::getpid();
        let stat = Stat::of(me).expect("it runs");
        assert_eq!(stat.parent, nix::unistd::getppid());
        assert!(!stat.is_zombie() && stat.started > 0);
        assert!(pids().any(|pid| pid == me));
    }
}
