//! Whether anything comes to a standby that follows. Where the primary has removed the WAL that it needs, its receiver
//! connects, is refused and connects again: a look may well find it streaming.

use super::facts::RunFacts;
use crate::member::MemberId;
use crate::postgres::Lsn;
use crate::time::{Duration, Instant};

/// A stream that nothing came over is believed after so long without a break.
const STEADY: Duration = Duration::secs(1);

impl RunFacts {
    /// A look: whom it is set to follow, from whom it streams, where it is.
    pub(super) fn fed(
        &mut self,
        now: Instant,
        follows: Option<MemberId>,
        from: Option<MemberId>,
        position: Lsn,
    ) {
        let streams = from.is_some() && from == follows;
        let since = streams.then(|| self.streaming_since.unwrap_or(now));
        self.streaming_since = since;
        self.starved = match (follows, self.starved) {
            (None, _) => None,
            (_, None) => (!streams).then_some((now, position)),
            (_, Some((_, then))) if streams && position > then => None,
            _ if since.is_some_and(|since| now.since(since) >= STEADY) => None,
            (_, starved) => starved,
        };
    }
}
