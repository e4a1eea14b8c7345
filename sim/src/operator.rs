//! Carries out the scenario: faults, healing, and what operators do.

use crate::choices::About;
use crate::event::Ev;
use crate::host::Input;
use crate::oracle::few_moves::Cause;
use crate::scenario::{Blow, Kind, Links, Target, Trigger, What};
use crate::world::World;
use yoke_core::Duration;
use yoke_core::operator::Command;

impl World {
    /// Whom a fault meets.
    pub(crate) fn meets(&self, target: Target) -> usize {
        let serving = |h: &usize| {
            self.hosts[*h]
                .server
                .as_ref()
                .is_some_and(|s| s.serving && !s.killed)
        };
        let count = self.hosts.len();
        match target {
            Target::Member(member) => member % count,
            Target::Primary => (0..count).find(serving).unwrap_or(0),
            Target::Standby => (0..count)
                .filter(|h| self.scenario.members[*h])
                .find(|h| !serving(h))
                .unwrap_or(1),
        }
    }

    /// The cluster is ready: the scenario's time begins.
    pub(crate) fn is_ready(&mut self) {
        self.ready = Some(self.now);
        self.trace
            .say(self.now, None, || "the cluster is ready".into());
        for (number, fault) in self.scenario.faults.clone().into_iter().enumerate() {
            if !fault.early {
                self.after(fault.at, Ev::Fault(number));
            }
        }
        self.plan_images();
        self.after(self.scenario.heal_after, Ev::Heal);
    }

    /// A fault comes.
    pub(crate) fn fault(&mut self, number: usize) {
        if self.healed {
            return;
        }
        let what = self.scenario.faults[number].what;
        let now = self.now;
        self.trace.say(now, None, || format!("FAULT {what}"));
        self.coverage.happened(what.word());
        self.stirred_at = now;
        self.observe_fault(what);
        match what {
            What::Daemon(target, trigger, down) => {
                let h = self.meets(target);
                self.arm(h, trigger, Blow::Daemon, down);
            }
            What::Host(target, trigger, down) => {
                let h = self.meets(target);
                self.arm(h, trigger, Blow::Host, down);
            }
            What::Aim(target, trigger, blow, time) => {
                let h = self.meets(target);
                if let Trigger::Counted(more) = trigger {
                    let host = &mut self.hosts[h];
                    host.counted = Some((host.actions + more, blow, time));
                } else {
                    self.arm(h, trigger, blow, time);
                }
            }
            What::LoseState(target, down)
            | What::ForgetState(target, down)
            | What::RestoreState(target, _, down)
            | What::LoseData(target, down)
            | What::LoseLast(target, down)
            | What::RestoreData(target, _, down)
            | What::BaseBackup(target, down)
            | What::LoseAll(target, down)
            | What::ForeignData(target, down)
            | What::RestoreUnheard(target, _, down)
            | What::RestoreHost(target, _, down) => self.loses(number, target, what, down),
            What::Timeout(target, length) => {
                let h = self.meets(target);
                self.hosts[h].configured = Some(Duration(length.max(1_000_000)));
            }
            What::Guard(target) => {
                let h = self.meets(target);
                self.strikes(h, Blow::Guard, 0);
            }
            What::Database(target) => {
                let h = self.meets(target);
                self.strikes(h, Blow::Database, 0);
            }
            What::PowerLoss(down) => {
                for h in 0..self.hosts.len() {
                    self.host_dies(h);
                    let away = self
                        .choices
                        .within(About::Restart, h, 2, 50_000, down.max(50_001));
                    self.after(away, Ev::BootHost { h });
                }
            }
            What::PauseDaemon(target, time) => {
                let h = self.meets(target);
                self.strikes(h, Blow::PauseDaemon, time);
            }
            What::PauseGuard(target, time) => {
                let h = self.meets(target);
                self.strikes(h, Blow::PauseGuard, time);
            }
            What::PauseHost(target, time) => {
                let h = self.meets(target);
                self.strikes(h, Blow::PauseHost, time);
            }
            What::Freeze(target, time) => {
                let h = self.meets(target);
                if self.scenario.kind == Kind::Unbounded && !self.hosts[h].paused(now) {
                    let host = &mut self.hosts[h];
                    host.frozen_until = now + time;
                    host.clock.misses(now, time);
                    self.strikes(h, Blow::PauseHost, time);
                    self.clock_changed(h);
                }
            }
            What::Jump(target, by) => {
                let h = self.meets(target);
                if self.scenario.kind == Kind::Unbounded {
                    self.hosts[h].clock.jumps(by);
                    self.clock_changed(h);
                }
            }
            What::Rate(target, rate) => {
                let h = self.meets(target);
                let rate = match self.scenario.kind {
                    Kind::Unbounded => rate.max(1),
                    _ => rate.clamp(900, 1100),
                };
                if !self.hosts[h].paused(now) {
                    self.hosts[h].clock.goes(now, rate);
                    self.clock_changed(h);
                }
            }
            What::HangDatabase(target, time) => {
                let h = self.meets(target);
                let host = &mut self.hosts[h];
                host.hung_until = host.hung_until.max(now + time);
                if let Some(server) = &mut host.server {
                    server.hung = true;
                }
                self.after(time, Ev::Resume { h });
            }
            What::Wedge(target) => {
                let h = self.meets(target);
                if let Some(server) = &mut self.hosts[h].server {
                    (server.hung, server.wedged) = (true, true);
                }
                self.look_for_trouble();
            }
            What::HangDisk(target, time) => {
                let h = self.meets(target);
                let host = &mut self.hosts[h];
                host.stalled_until = host.stalled_until.max(now + time);
                if let Some(server) = &mut host.server {
                    server.stalled = true;
                }
                self.after(time, Ev::Resume { h });
            }
            What::SlowDisk(target, time) => {
                let h = self.meets(target);
                self.hosts[h].disk.slow_until = now + time;
            }
            What::SlowSyncs(target, share, most, time) => {
                let h = self.meets(target);
                self.hosts[h].disk.tail = (share, most, now + time);
            }
            What::FullDisk(target, time) => {
                let h = self.meets(target);
                let disk = &mut self.hosts[h].disk;
                disk.full_until = disk.full_until.max(now + time);
            }
            What::LateSteps(target, most, time) => {
                let h = self.meets(target);
                self.hosts[h].late_steps = (most, now + time);
            }
            What::Cut(from, to, links, time) => {
                let (from, to) = (self.meets(from), self.meets(to));
                if from != to {
                    self.net.cut(from, to, links, now + time);
                }
            }
            What::Isolate(target, links, time) => {
                let h = self.meets(target);
                self.isolates(h, links, time);
            }
            What::Part(one, other, links, time) => {
                let (one, other) = (self.meets(one), self.meets(other));
                if one != other {
                    self.net.part(one, other, links, now + time);
                }
            }
            What::Split(group, links, time) => {
                let is_in = |h: usize| group >> h & 1 == 1;
                for one in (0..self.hosts.len()).filter(|h| is_in(*h)) {
                    for other in (0..self.hosts.len()).filter(|h| !is_in(*h)) {
                        self.net.part(one, other, links, now + time);
                    }
                }
            }
            What::Flap(one, other, links, period, time) => {
                let (one, other) = (self.meets(one), self.meets(other));
                if one != other {
                    self.on_flap(one, other, links, period.max(1_000), now + time);
                }
            }
            What::Reset(one, other, links) => {
                let (one, other) = (self.meets(one), self.meets(other));
                self.resets(one, other, links);
            }
            What::Hold(from, to, links, time) => {
                let (from, to) = (self.meets(from), self.meets(to));
                if from != to {
                    self.net.hold(from, to, links, now + time);
                }
            }
            What::Echo(..) => self.echoes(number),
            What::Loss(share, time) => self.net.loss = (share, now + time),
            What::Tail(share, most, time) => self.net.tail = (share, most, now + time),
            What::Double(share, time) => self.net.double = (share, now + time),
            What::Edit(target, members, down) => {
                let h = self.meets(target);
                self.is_edited(h, members as usize, down);
            }
            What::Demote(target) => {
                let h = self.meets(target);
                self.coverage.orders_to_hand_over += 1;
                self.oracles.handing_over_until = now + 4 * self.longest_timeout;
                if self.hosts[h].up {
                    let request = self.fresh_uid();
                    self.daemon_gets(h, Input::Operator(request, Command::Demote));
                }
            }
            What::Pause(target) => self.operator_says(target, Command::Pause),
            What::Resume(target) => self.operator_says(target, Command::Resume),
            What::Reinit(target) => self.operator_says(target, Command::Reinit),
            What::Adopt(target) => {
                let h = self.meets(target);
                self.operator_adopts(h);
            }
            What::Operator(target) => {
                let h = self.meets(target);
                self.operator_comes(h);
            }
            What::Trouble(target, trouble, time) => {
                let h = self.meets(target);
                self.trouble_begins(h, trouble, time);
            }
            What::StopDaemon(target, down) => {
                let h = self.meets(target);
                if self.hosts[h].up {
                    self.hosts[h].away = down;
                    self.oracles.handing_over_until = now + 4 * self.longest_timeout;
                    self.daemon_gets(h, Input::Stop);
                }
            }
        }
    }

    fn operator_says(&mut self, target: Target, command: Command) {
        let h = self.meets(target);
        if self.hosts[h].up {
            let request = self.fresh_uid();
            self.daemon_gets(h, Input::Operator(request, command));
        }
    }

    /// Something strikes a host; it lasts so long.
    pub(crate) fn strikes(&mut self, h: usize, blow: Blow, time: u64) {
        let until = self.now + time;
        match blow {
            Blow::Daemon => {
                self.daemon_dies(h);
                self.after(time, Ev::StartDaemon { h });
            }
            Blow::Host => {
                self.host_dies(h);
                self.after(time, Ev::BootHost { h });
            }
            Blow::Tear => self.tears(h, time),
            Blow::Guard => {
                self.is_in_trouble(h, Cause::Guard);
                self.guard_dies(h);
            }
            Blow::Database => {
                self.is_in_trouble(h, Cause::Database);
                if let Some(run) = self.hosts[h].server.as_ref().map(|s| s.run) {
                    self.on_dead(h, run);
                    let gone = self.choices.within(About::GoneTime, h, 1, 5_000, 100_000);
                    self.after(gone, Ev::Gone { h, run });
                }
            }
            Blow::PauseDaemon => {
                if let Some(daemon) = &mut self.hosts[h].daemon {
                    daemon.paused_until = daemon.paused_until.max(until);
                    self.after(time, Ev::Resume { h });
                }
            }
            Blow::PauseGuard => {
                let host = &mut self.hosts[h];
                if host.guard.is_some() {
                    host.guard_paused_until = host.guard_paused_until.max(until);
                    self.after(time, Ev::Resume { h });
                }
            }
            Blow::PauseHost => {
                let host = &mut self.hosts[h];
                host.paused_until = host.paused_until.max(until);
                // In the middle of what its daemon does.
                if let Some(daemon) = &mut host.daemon {
                    daemon.paused_until = daemon.paused_until.max(until);
                }
                self.after(time, Ev::Resume { h });
            }
            Blow::Isolate => self.isolates(h, Links::All, time),
        }
        self.look_for_trouble();
    }

    fn isolates(&mut self, h: usize, links: Links, time: u64) {
        for other in (0..self.hosts.len()).filter(|other| *other != h) {
            self.net.part(h, other, links, self.now + time);
        }
    }

    /// A host's clock has changed: its deadlines come at another time.
    fn clock_changed(&mut self, h: usize) {
        if self.hosts[h].guard.is_some() && !self.guard_paused(h) {
            self.guard_drains(h);
        }
        let now = self.now;
        let daemon = self.hosts[h].daemon.as_ref();
        if daemon.is_some_and(|daemon| daemon.paused_until <= now) {
            self.daemon_handles(h);
        }
    }

    fn arm(&mut self, h: usize, trigger: Trigger, blow: Blow, time: u64) {
        if !self.hosts[h].up || self.hosts[h].daemon.is_none() {
            return;
        }
        self.hosts[h].armed = Some((trigger, blow, time));
        if trigger == Trigger::Actions(0) {
            self.armed_strikes(h);
        }
    }

    /// A pause or a hang may be over.
    pub(crate) fn resume(&mut self, h: usize) {
        let now = self.now;
        let host = &mut self.hosts[h];
        if host.up && host.paused_until > 0 && host.paused_until <= now {
            host.paused_until = 0;
            // Its guard needs a moment to have its turn.
            host.excused_until = now + host.config.fencing().0;
            let excused = host.config.fencing().0;
            let backlog = std::mem::take(&mut host.backlog);
            self.say(h, || "host: runs again".into());
            self.after(excused, Ev::Recheck);
            let (first, then) = backlog
                .into_iter()
                .partition::<Vec<_>, _>(|ev| matches!(ev, Ev::GuardTimer { .. }));
            for ev in first {
                self.happens(ev);
            }
            // What the daemon was in the middle of comes before what arrived meanwhile.
            let now = self.now;
            let daemon = self.hosts[h].daemon.as_ref();
            if daemon.is_some_and(|daemon| daemon.paused_until <= now) {
                self.daemon_handles(h);
            }
            for ev in then {
                self.happens(ev);
            }
        }
        if self.hosts[h].paused(now) {
            return;
        }
        let host = &mut self.hosts[h];
        if let Some(server) = host
            .server
            .as_mut()
            .filter(|s| s.hung && !s.wedged && host.hung_until <= now)
        {
            server.hung = false;
            let run = server.run;
            let wires = std::mem::take(&mut server.wire_backlog);
            let backlog = std::mem::take(&mut server.backlog);
            self.say(h, || "postgres: runs again".into());
            for ev in backlog {
                self.on_db(h, run, ev);
            }
            for (from, conn, wire) in wires {
                self.wire_lands(from, h, conn, wire);
            }
        }
        let host = &mut self.hosts[h];
        if let Some(server) = host
            .server
            .as_mut()
            .filter(|s| s.stalled && host.stalled_until <= now)
        {
            server.stalled = false;
            let run = server.run;
            for ev in std::mem::take(&mut server.backlog) {
                self.on_db(h, run, ev);
            }
        }
        self.guard_resumes(h);
        let Some(daemon) = &mut self.hosts[h].daemon else {
            return;
        };
        if daemon.paused_until > 0 && daemon.paused_until <= now {
            daemon.paused_until = 0;
            let backlog = std::mem::take(&mut daemon.backlog);
            self.say(h, || "daemon: runs again".into());
            self.daemon_handles(h);
            for input in backlog {
                self.daemon_gets(h, input);
            }
        }
    }

    /// Everything heals; nothing goes wrong any more.
    pub(crate) fn heal(&mut self) {
        if self.healed {
            return;
        }
        self.trace.say(self.now, None, || "EVERYTHING HEALS".into());
        self.healed = true;
        self.words.all_may_return();
        self.stirred_at = self.now;
        self.heal_at = Some(self.now);
        self.net.heal();
        self.scenario.network = (0, 0, 0);
        self.scenario.failures = 0;
        let now = self.now;
        for h in 0..self.hosts.len() {
            let host = &mut self.hosts[h];
            host.armed = None;
            host.away = host.away.min(300_000);
            host.disk.slow_until = 0;
            host.disk.tail = (0, 0, 0);
            let were_late = std::mem::take(&mut host.late_steps) != (0, 0);
            if host.guard_paused_until > now {
                host.guard_paused_until = now;
            }
            host.hung_until = 0;
            host.stalled_until = 0;
            if were_late {
                self.late_steps_end(h);
            }
            self.troubles_end(h);
            self.takes_foreign_away(h);
            self.is_edited_back(h);
            let host = &mut self.hosts[h];
            if host.paused_until > now && host.frozen_until <= now {
                host.paused_until = now;
            }
            if let Some(daemon) = &mut host.daemon
                && daemon.paused_until > now
            {
                daemon.paused_until = now;
            }
            self.resume(h);
            if std::mem::take(&mut self.hosts[h].disk.full_until) > now {
                self.has_space(h);
            }
            let away = self.choices.within(About::Restart, h, 3, 10_000, 300_000);
            self.after(
                away,
                if self.hosts[h].up {
                    Ev::StartDaemon { h }
                } else {
                    Ev::BootHost { h }
                },
            );
        }
        if self.scenario.kind == Kind::Unbounded {
            self.after(3_000_000, Ev::Heal);
        }
    }
}
