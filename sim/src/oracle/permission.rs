//! R10 on each host by itself: a database serves only while its guard's permission lasts, and is gone within F of its end.
//! S2 rests on that, whether or not another database serves at the time.

use crate::scenario::Kind;
use crate::world::World;

impl World {
    /// After every event.
    pub(crate) fn check_permission(&mut self) {
        if self.scenario.kind == Kind::Unbounded {
            return;
        }
        for h in 0..self.hosts.len() {
            let host = &self.hosts[h];
            let serves = host.server.as_ref().is_some_and(|s| s.serving && !s.killed);
            if !serves {
                self.oracles.unpermitted[h] = None;
                continue;
            }
            let now = host.clock.at(self.now);
            // A guard that did not run for a while needs a moment.
            let excused = host.paused(self.now) || host.excused_until > self.now;
            let permission = self.oracles.specification.members[h].holds;
            let over = permission.is_none_or(|permission| permission.is_over(now));
            let fencing = host.config.decision_timeout.0 * 3 / 20;
            let since = &mut self.oracles.unpermitted[h];
            if !over || excused || host.guard_paused_until > self.now {
                *since = None;
                continue;
            }
            let for_so_long = self.now - *since.get_or_insert(self.now);
            if for_so_long > fencing {
                self.violated(
                    "permission",
                    format!(
                        "m{h} has served for {} ms since its permission ended",
                        for_so_long / 1000
                    ),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::postgres::directory::DataDir;
    use crate::postgres::server::Server;
    use crate::world::World;
    use yoke_core::postgres::{RunId, SystemId};

    #[test]
    fn who_serves_without_permission_is_gone_within_f() {
        let mut world = World::still();
        world.hosts[1].storage.directory = Some(DataDir::fresh(7, SystemId(7)));
        let mut server = Server::new(RunId(5), None, 1);
        server.serving = true;
        world.hosts[1].server = Some(server);
        let f = world.scenario.decision_timeout * 3 / 20;
        world.check_permission();
        world.now += f;
        world.check_permission();
        assert_eq!(world.violation, None);
        world.now += 1;
        world.check_permission();
        assert!(world.violation.is_some_and(|v| v.oracle == "permission"));
    }
}
