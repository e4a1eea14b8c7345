//! Lines for people, with the time.

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

/// Prints a line with the time of day (UTC, as in the daemons' logs); an empty one as it is.
pub fn say(line: &str) {
    match line.is_empty() {
        true => plain(""),
        false => plain(&format!("{} {line}", time_of_day(SystemTime::now()))),
    }
}

/// Prints lines as they are.
pub fn plain(text: &str) {
    // Whoever closed our output does not want to know.
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Hours to milliseconds, UTC.
pub fn time_of_day(now: SystemTime) -> String {
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
        assert_eq!(time_of_day(at), "01:02:03.004");
    }
}
