//! Lines for people, with the time.

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

/// Prints a line with the time of day (UTC, as in the daemons' logs); an empty one as it is.
pub fn say(line: &str) {
    match line.is_empty() {
        true => plain(""),
        false => plain(&format!("{} {line}", clock(SystemTime::now()))),
    }
}

/// Prints lines as they are.
pub fn plain(text: &str) {
    // Whoever closed our output does not want to know.
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// The time of day in whole seconds.
pub fn time_of_day() -> String {
    clock(SystemTime::now())
        .chars()
        .take("01:02:03".len())
        .collect()
}

/// The time of day in milliseconds, UTC.
pub fn clock(now: SystemTime) -> String {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = since.as_secs() % 86_400;
    format!(
        "{:02}:{:02}:{:02}.{:03}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
        since.subsec_millis()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_time_of_day_is_utc() {
        let at = UNIX_EPOCH + Duration::from_millis(86_400_000 * 3 + 3_723_004);
        assert_eq!(clock(at), "01:02:03.004");
    }
}
