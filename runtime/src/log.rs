//! The daemon's log: lines on standard error, one an event.

use std::borrow::Cow;
use std::io::IsTerminal;
use std::time::{Duration, Instant};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

/// How often the same complaint is said again while it lasts.
const AGAIN: Duration = Duration::from_secs(30);

/// Begins to log. `RUST_LOG` (`debug`, or `yoke=debug,tokio_postgres=info`) goes before the configured level.
pub fn begin(level: LevelFilter) {
    let configured = Targets::new().with_default(level);
    let filter = std::env::var("RUST_LOG")
        .ok()
        .and_then(|wanted| wanted.parse::<Targets>().ok())
        .unwrap_or(configured);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    // Fails only when logging has begun already: then it goes on as it is.
    let _ = tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .try_init();
}

/// A complaint that may come many times a second: said when it is new, and then from time to time.
#[derive(Debug, Default)]
pub struct Repeated {
    last: Option<(String, Instant)>,
    kept_back: u64,
}

impl Repeated {
    /// Calls `say` with the complaint, and with how often it was kept back, unless the same was said just now.
    pub fn say(&mut self, what: &str, say: impl FnOnce(&str, &str)) {
        let now = Instant::now();
        if let Some((last, at)) = &self.last
            && last == what
            && now.duration_since(*at) < AGAIN
        {
            self.kept_back += 1;
            return;
        }
        let again = match std::mem::take(&mut self.kept_back) {
            0 => String::new(),
            n => format!(" (and {n} times before)"),
        };
        self.last = Some((what.to_owned(), now));
        say(what, &again);
    }
}

/// The core knows members by their place (`m0`); people know them by name.
pub fn named<'a>(text: &'a str, names: &[&str]) -> Cow<'a, str> {
    let mut out = String::new();
    let mut done = 0;
    let bytes = text.as_bytes();
    let is_word = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    for (at, pair) in bytes.windows(2).enumerate() {
        let place = usize::from(pair[1].wrapping_sub(b'0'));
        let before = at.checked_sub(1).and_then(|at| bytes.get(at));
        let alone = !is_word(before) && !is_word(bytes.get(at + 2));
        if let (b'm', Some(name), true) = (pair[0], names.get(place), alone) {
            out.push_str(&text[done..at]);
            out.push_str(name);
            done = at + 2;
        }
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[done..]);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_called_by_name() {
        let cases = [
            ("m0 voted for m1", "a voted for beta"),
            ("{m1/00ff}, m0", "{beta/00ff}, a"),
            ("m9 m11 xm1 m1x am0", "m9 m11 xm1 m1x am0"),
            ("über m1", "über beta"),
            ("", ""),
            ("m", "m"),
        ];
        for (from, to) in cases {
            assert_eq!(named(from, &["a", "beta"]), to);
        }
    }

    #[test]
    fn the_same_complaint_is_kept_back() {
        let mut said = Vec::new();
        let mut repeated = Repeated::default();
        for what in ["a", "a", "a", "b"] {
            repeated.say(what, |what, again| said.push(format!("{what}{again}")));
        }
        assert_eq!(said, ["a", "b (and 2 times before)"]);
    }
}
