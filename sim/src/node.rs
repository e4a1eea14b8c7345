//! The node of a daemon; with the feature `mutants` the decision loop of 2015 may stand in its place.

use crate::host::Daemon;
use yoke_core::event::Event;
use yoke_core::view::Glance;
use yoke_core::{Action, Instant};

macro_rules! ask {
    ($daemon:expr, $($call:tt)*) => {{
        #[cfg(feature = "mutants")]
        if let Some(original) = &$daemon.original {
            return original.$($call)*;
        }
        $daemon.node.$($call)*
    }};
}

macro_rules! tell {
    ($daemon:expr, $($call:tt)*) => {{
        #[cfg(feature = "mutants")]
        if let Some(original) = &mut $daemon.original {
            return original.$($call)*;
        }
        $daemon.node.$($call)*
    }};
}

impl Daemon {
    pub(crate) fn handle(&mut self, now: Instant, event: Event) {
        tell!(self, handle(now, event));
    }
    pub(crate) fn poll_action(&mut self) -> Option<Action> {
        tell!(self, poll_action())
    }
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        ask!(self, next_timeout())
    }
    pub(crate) fn glance(&self) -> Glance<'_> {
        ask!(self, glance())
    }
}

impl crate::world::World {
    /// The loop of 2015 knows none of our rules: it is judged by what users were promised alone (S1, S2, L).
    #[cfg_attr(
        not(feature = "mutants"),
        expect(unused_variables, clippy::unused_self)
    )]
    pub(crate) fn knows_no_rule_of(&self, oracle: &str) -> bool {
        #[cfg(feature = "mutants")]
        if self.hosts[0].config.mutant == Some(yoke_core::mutant::Mutant::Original2015) {
            let promises = [
                "lost_write",
                "history",
                "two_primaries",
                "liveness",
                "standing",
                "start",
            ];
            return !promises.contains(&oracle);
        }
        false
    }
}

#[cfg(feature = "mutants")]
impl crate::world::World {
    /// Once the cluster is set up, each daemon decides as in 2015.
    pub(crate) fn goes_back_to_2015(&self, h: usize, daemon: &mut Daemon) {
        let host = &self.hosts[h];
        let wanted = host.config.mutant == Some(yoke_core::mutant::Mutant::Original2015);
        if !wanted || self.ready.is_none() || daemon.original.is_some() {
            return;
        }
        let (Some(state), Some(guard)) = (host.disk.durable.as_deref(), &host.guard) else {
            return;
        };
        daemon.original = Some(crate::original::Original::new(
            host.clock.at(self.now),
            host.config.clone(),
            state.clone(),
            daemon.node.view().postgres,
            guard.view(),
        ));
    }
}
