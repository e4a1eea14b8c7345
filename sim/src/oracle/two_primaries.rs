//! S2: never are two databases writable, acknowledging, or readable as primary at the same time, while clocks are bounded
//! and guards run. A database serves from the moment that its promotion is executed until it is killed or gone.

use crate::scenario::Kind;
use crate::world::World;

impl World {
    /// A promotion is executed at this host.
    pub(crate) fn on_serving(&mut self, h: usize) {
        self.say(h, || "counts as serving from now on".into());
        self.promotion_begins(h);
        self.check_two_primaries();
    }

    /// Whether more than one database serves.
    pub(crate) fn check_two_primaries(&mut self) {
        if self.scenario.kind == Kind::Unbounded {
            return;
        }
        let now = self.now;
        let serving: Vec<usize> = (0..self.hosts.len())
            .filter(|h| {
                let host = &self.hosts[*h];
                // A guard that did not run for a while needs a moment.
                let excused = host.paused(now) || host.excused_until > now || self.guard_paused(*h);
                !excused && host.server.as_ref().is_some_and(|s| s.serving && !s.killed)
            })
            .collect();
        if let [first, second, ..] = serving[..] {
            self.violated(
                "two_primaries",
                format!("the databases of m{first} and m{second} both serve as primary"),
            );
        }
    }
}
