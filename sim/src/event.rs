//! What can happen, and what happens then.

use crate::host::{Input, ToGuard};
use crate::postgres::instance::DbEv;
use crate::postgres::standby::Wire;
use crate::queue::Alarm;
use crate::scenario::Links;
use crate::world::World;
use yoke_core::Message;
use yoke_core::guard::GuardEvent;
use yoke_core::postgres::RunId;
use yoke_core::step::Order;

/// Something that will happen.
#[derive(Clone, Debug)]
pub(crate) enum Ev {
    Fault(usize),
    /// For this fault, everything is copied aside.
    Image(usize),
    Heal,
    BootHost {
        h: usize,
    },
    /// The host dies and comes back at once.
    Restart {
        h: usize,
    },
    StartDaemon {
        h: usize,
    },
    Resume {
        h: usize,
    },
    Recheck,
    /// A moment of the guard has come that a blow waited for.
    Strike {
        h: usize,
    },
    /// A link that comes and goes.
    Flap {
        one: usize,
        other: usize,
        links: Links,
        period: u64,
        until: u64,
    },
    /// The deadline of a guard that was kept from looking at it.
    GuardTimer {
        h: usize,
        guard: u64,
    },
    ToGuard {
        h: usize,
        daemon: u64,
        what: ToGuard,
    },
    ToDaemon {
        h: usize,
        daemon: u64,
        input: Input,
    },
    Deliver {
        from: usize,
        to: usize,
        /// Which connection between the two it was sent over.
        link: u64,
        message: Box<Message>,
    },
    Synced {
        h: usize,
        token: u64,
    },
    Exec {
        h: usize,
        guard: u64,
        number: u64,
    },
    Sql {
        h: usize,
        daemon: u64,
        order: Box<Order>,
        run: Option<RunId>,
        given_up: bool,
    },
    Dead {
        h: usize,
        run: RunId,
    },
    Gone {
        h: usize,
        run: RunId,
    },
    Db {
        h: usize,
        run: RunId,
        ev: DbEv,
    },
    Wire {
        from: usize,
        to: usize,
        conn: u64,
        wire: Wire,
    },
    /// It has passed the link; its host did not run.
    WireLands {
        from: usize,
        to: usize,
        conn: u64,
        wire: Wire,
    },
    LinkWhole {
        from: usize,
        to: usize,
    },
    Client {
        client: usize,
        session: u64,
    },
    Probe,
}

impl Ev {
    /// The host on which it happens.
    fn host(&self) -> Option<usize> {
        match self {
            Ev::GuardTimer { h, .. }
            | Ev::ToGuard { h, .. }
            | Ev::ToDaemon { h, .. }
            | Ev::Synced { h, .. }
            | Ev::Exec { h, .. }
            | Ev::Sql { h, .. }
            | Ev::Dead { h, .. }
            | Ev::Gone { h, .. }
            | Ev::Db { h, .. }
            | Ev::StartDaemon { h } => Some(*h),
            Ev::Deliver { to, .. } => Some(*to),
            _ => None,
        }
    }

    /// The host whose database it may change; none: any.
    pub(crate) fn place(&self) -> Option<usize> {
        match self {
            Ev::Wire { to, .. } | Ev::WireLands { to, .. } | Ev::LinkWhole { to, .. } => Some(*to),
            other => other.host(),
        }
    }
}

impl World {
    /// An alarm rings.
    pub(crate) fn rings(&mut self, alarm: Alarm) {
        match alarm {
            Alarm::Daemon(h) => {
                let daemon = self.hosts[h].daemon_runs;
                let input = Input::Timer;
                self.happens(Ev::ToDaemon { h, daemon, input });
            }
            Alarm::Guard(h) => {
                let guard = self.hosts[h].guard_runs;
                self.happens(Ev::GuardTimer { h, guard });
            }
            Alarm::Client(client) => self.client_gives_up(client),
        }
    }

    /// It happens, unless its host is down or paused.
    pub(crate) fn happens(&mut self, ev: Ev) {
        if let Some(h) = ev.host() {
            let host = &mut self.hosts[h];
            if !host.up {
                return;
            }
            if host.paused(self.now) {
                host.backlog.push_back(ev);
                return;
            }
        }
        match ev {
            Ev::Fault(number) => {
                self.fault(number);
                self.look_for_trouble();
                self.network_stands(number);
            }
            Ev::Image(number) => self.take_images(number),
            Ev::Heal => {
                self.look_for_trouble();
                self.check_standing();
                self.heal();
            }
            Ev::BootHost { h } if self.is_kept_off(h) => self.after(100_000, Ev::BootHost { h }),
            Ev::BootHost { h } => self.host_boots(h),
            Ev::Restart { h } => {
                self.host_dies(h);
                self.host_boots(h);
            }
            Ev::StartDaemon { h } => self.daemon_starts(h),
            Ev::Resume { h } => self.resume(h),
            Ev::Recheck => self.check_two_primaries(),
            Ev::Strike { h } => self.armed_strikes(h),
            Ev::Flap {
                one,
                other,
                links,
                period,
                until,
            } => self.on_flap(one, other, links, period, until),
            Ev::GuardTimer { h, guard } => {
                if self.hosts[h].guard_runs == guard {
                    self.guard_handles(h, GuardEvent::Timeout);
                }
            }
            Ev::ToGuard { h, daemon, what } => {
                if self.hosts[h].daemon_runs == daemon {
                    self.on_to_guard(h, what);
                }
            }
            Ev::ToDaemon { h, daemon, input } => {
                if self.hosts[h].daemon_runs == daemon {
                    self.daemon_gets(h, input);
                }
            }
            Ev::Deliver {
                from,
                to,
                link,
                message,
            } => {
                if self.passes(from, to) && self.net.link(from, to) == link {
                    self.digest.note((self.now, from, to));
                    self.daemon_gets(to, Input::Received(from, message));
                }
            }
            Ev::Synced { h, token } => self.on_synced(h, token),
            Ev::Exec { h, guard, number } => {
                if self.hosts[h].guard_runs == guard {
                    self.on_exec(h, number);
                }
            }
            Ev::Sql {
                h,
                daemon,
                order,
                run,
                given_up,
            } => {
                if let Some((number, outcome)) = self.answers(h, daemon, &order, run, given_up)
                    && self.hosts[h].daemon_runs == daemon
                {
                    self.daemon_gets(h, Input::Outcome { number, outcome });
                }
            }
            Ev::Dead { h, run } => self.on_dead(h, run),
            Ev::Gone { h, run } => {
                if self.hosts[h].server.as_ref().is_some_and(|s| s.run == run) {
                    self.database_ends(h, false);
                } else {
                    self.guard_handles(h, GuardEvent::Gone { run });
                }
            }
            Ev::Db { h, run, ev } => self.on_db(h, run, ev),
            Ev::Wire {
                from,
                to,
                conn,
                wire,
            } => self.on_wire_arrives(from, to, conn, wire),
            Ev::WireLands {
                from,
                to,
                conn,
                wire,
            } => self.wire_lands(from, to, conn, wire),
            Ev::LinkWhole { from, to } => self.on_link_whole(from, to),
            Ev::Client { client, session } => self.client_wakes(client, session),
            Ev::Probe => self.probe(),
        }
    }
}
