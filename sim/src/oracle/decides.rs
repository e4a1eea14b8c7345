//! What a member decides, judged at once: what it hands to its disk is decided now, though it may leave much later, and
//! what it was told has to show in what it holds. What is said is judged in [`super::specification`].

use crate::oracle::specification::{Judged, must};
use crate::postgres::directory::DataDir;
use crate::postgres::server::Phase;
use crate::world::World;
use yoke_core::HardState;
use yoke_core::member::MemberId;
use yoke_core::message::{Body, HeartbeatReply, Message};
use yoke_core::permission::Lasts;
use yoke_core::postgres::PgState;
use yoke_core::record::{Copy, RecordKey, Term};
use yoke_core::step::Step;
use yoke_core::view::{Glance, RoleView};

/// Whoever is asked again this long after an answer has had the time to take up what that said.
const TAKES_UP: u64 = 200_000;
/// What a copy confirmed is certain to a leader after so long.
const REMEMBERS: u64 = 5_000_000;
/// A leader believes a word against what a copy confirmed if it asked for it so much later; and some more, since what was
/// confirmed travels for a while.
const UNCLEAR: u64 = 800_000;
/// What its guard sees, a daemon that runs knows after so long.
const HEARS: u64 = 50_000;

/// What a message tells that has to show in what its receiver holds.
#[derive(Debug)]
pub(crate) enum Told {
    Record(RecordKey),
    Report(usize, HeartbeatReply),
}

/// What it tells.
pub(crate) fn told(from: usize, message: &Message) -> Option<Told> {
    match &message.body {
        Body::Answer { record, .. } => record.as_ref().map(|r| Told::Record(r.key)),
        Body::HeartbeatReply(reply) => Some(Told::Report(from, reply.clone())),
        _ => None,
    }
}

impl World {
    /// A node has handled what it was told.
    pub(crate) fn check_told(&mut self, h: usize, told: &Told) {
        match told {
            Told::Record(key) => self.check_takes_up(h, *key),
            Told::Report(from, reply) => self.check_fallen(h, reply, *from),
        }
    }

    /// A node hands a state to its disk. A newer record of its own in it is a proposal.
    pub(crate) fn check_decides(&mut self, h: usize, state: &HardState) {
        let own = state.record.as_ref().filter(|r| {
            r.key.term == state.term
                && usize::from(r.primary.0) == h
                && state.voted_for == Some(r.primary)
        });
        let Some(record) = own else { return };
        let decided = &mut self.oracles.specification.members[h].decided;
        let Some(before) = decided.replace(record.clone()) else {
            return;
        };
        // What is left from before a pause was decided some time ago.
        if before.key >= record.key || before.key.term != record.key.term || self.hosts[h].left_over
        {
            return;
        }
        for copy in &record.in_sync {
            if !before.names(*copy)
                && let Err(why) = self.judge_growth(h, *copy, record.key.term)
            {
                let what = format!("m{h} proposes {record}: {why}");
                self.violated("specification", what);
            }
        }
    }

    /// R9, R10: what has to be true when a copy is to enter.
    fn judge_growth(&mut self, h: usize, copy: Copy, term: Term) -> Judged {
        let host = &self.hosts[h];
        let (now, majority) = (host.clock.at(self.now), host.config.majority());
        if let Some(guard) = &host.guard {
            let held = guard.view().permission;
            must!(
                matches!(held.lasts, Lasts::Until(end) if end > now),
                "R10: {copy} enters while the guard holds {held}"
            );
        }
        let leaves_out = |step: &Step| match step {
            Step::WriteSettings(s) => s.gate.as_ref().is_some_and(|names| !names.contains(&copy)),
            _ => false,
        };
        let under_way = host.execs.iter().any(|e| leaves_out(&e.order.step));
        must!(
            !under_way,
            "R9: {copy} enters while a gate without it is being written"
        );
        let heard = self.oracles.specification.members[h]
            .lead
            .heard_at(h, now, majority);
        let just = host.config.decision_timeout.part(1, 5);
        must!(
            now.since(heard) < just,
            "R9: {copy} enters, and no majority was heard since {heard}"
        );
        self.grows(h, copy, term)
    }

    /// R10: who has no lease, and needs one, leads no more.
    pub(crate) fn check_leads(&mut self, h: usize, view: &Glance<'_>) {
        let config = &self.hosts[h].config;
        let (now, majority) = (self.hosts[h].clock.at(self.now), config.majority());
        let spec = &self.oracles.specification;
        let said = &spec.members[h];
        let lead = &said.lead;
        let newest = lead.newest.and_then(|key| spec.records.get(&key));
        let alone = newest.is_some_and(|record| {
            // A resumed leader goes by what its predecessor knew committed, and gave its guard.
            record.is_lone()
                && (lead.is_committed(h, record.key, majority)
                    || said.unbounded_in == Some(lead.term))
        });
        let end = lead.heard_at(h, now, majority).max(lead.began) + config.lease();
        if view.role == RoleView::Leader && lead.term == view.term && !alone && now > end {
            let term = lead.term;
            self.violated(
                "specification",
                format!("m{h} leads term {term}: R10: its lease ended at {end}"),
            );
        }
    }

    /// After every event: which databases run, as far as a guard that runs can tell.
    pub(crate) fn note_down(&mut self) {
        for h in 0..self.hosts.len() {
            let host = &self.hosts[h];
            let server = host.server.as_ref();
            let down = server.is_none_or(|s| s.phase == Phase::Starting);
            // Neither guard nor daemon says or hears anything meanwhile.
            let daemon = host.daemon.as_ref().map_or(0, |d| d.paused_until);
            let paused = host.paused_until.max(host.guard_paused_until).max(daemon);
            let since = &mut self.oracles.specification.members[h].down_since;
            *since = match down && paused <= self.now {
                true => since.or(Some(self.now)),
                false => None,
            };
        }
    }

    /// R4: it stands only while its database is seen running.
    pub(crate) fn check_stands(&mut self, h: usize, view: &Glance<'_>) {
        if view.role == RoleView::Candidate
            && let Some(since) = self.oracles.specification.members[h].down_since
            && self.now > since + HEARS
        {
            let what = format!("m{h} stands for election: R4: its database does not run");
            self.violated("specification", what);
        }
    }

    /// R8: a leader was told by a copy in sync that it holds less than it confirmed: it leaves at once. Nothing is asked of
    /// a leader that is busy with something else.
    fn check_fallen(&mut self, h: usize, told: &HeartbeatReply, from: usize) {
        let report = &told.report;
        let lead = &mut self.oracles.specification.members[h].lead;
        let news = lead.is_news(from, told.round);
        let host = &self.hosts[h];
        let (Some(id), Some(daemon)) = (report.copy, &host.daemon) else {
            return;
        };
        let member = MemberId(from as u8);
        let copy = Copy { member, id };
        let server = host.server.as_ref();
        // An answer may tell of a time before a pause: what matters is that the disk did go back, and has not got again what
        // it lost.
        let confirmed = server.filter(|s| s.writable()).map(|s| s.settled(copy));
        let went_back =
            |dir: &DataDir| dir.went_back == Some(id) && Some(dir.wal.end()) < confirmed;
        let theirs = self.hosts[from].storage.directory.as_ref();
        let fell = theirs.is_some_and(went_back)
            && report.running
            && report.drained
            && Some(report.end) < confirmed;
        if !fell || !news || !told.promised || daemon.paused_until > self.now {
            return;
        }
        let glance = daemon.glance();
        let now = host.clock.at(self.now);
        let lead = &self.oracles.specification.members[h].lead;
        let troubled = server.is_none_or(|s| s.hung || s.stalled)
            || self.troubled_database(h) > self.now
            || self.now < self.oracles.handing_over_until;
        // Its memory of copies begins with its leadership, and with its daemon's run.
        // What answers an old question tells of that time; and of one that came right after the last that it confirmed, which
        // of the two was later, is not clear.
        let struck = self.losses.struck_at(from).unwrap_or_default();
        let fresh = lead.sent_at(told.round).is_some_and(|at| {
            let age = now.since(at).0;
            age < REMEMBERS / 5 && self.now - 2 * age > struck + UNCLEAR
        });
        let settled = glance.role == RoleView::Leader
            && fresh
            && lead.term == glance.term
            && now.since(lead.began).0 > 3 * REMEMBERS
            && glance.record.map(|r| r.key) == glance.committed;
        if settled && !troubled && glance.record.is_some_and(|r| r.names(copy)) {
            let what = format!(
                "m{h} keeps {copy} in sync: R8: it confirmed more than {}",
                report.end
            );
            self.violated("specification", what);
        }
    }

    /// R3: it was told of a newer record, whose leader it need not hear to take it up.
    fn check_takes_up(&mut self, h: usize, key: RecordKey) {
        let host = &self.hosts[h];
        let Some(daemon) = &host.daemon else { return };
        let glance = daemon.glance();
        let disk = &host.disk;
        let written = [&disk.next, &disk.under_way].into_iter().flatten().next();
        let newest = written.map(|(_, state)| state).or(disk.durable.as_ref());
        let now = host.clock.at(self.now);
        let spec = &self.oracles.specification;
        // Its guard has not said yet that its own primary is down, or that nothing can serve any more (R10).
        let said = &spec.members[h];
        let held = said.holds.map(|holds| holds.order());
        let confirmed = said.given.is_none_or(|given| held >= Some(given.order()));
        let serves = host.guard.as_ref().is_some_and(|guard| {
            let view = guard.view();
            view.serving.is_some() || !view.permission.is_over(now)
        }) || !confirmed
            || self.guard_paused(h);
        // Nobody but itself writes the record while it leads, or its own primary is still to be stopped (R10); without
        // memory, and before it knows whether it has any, it takes up nothing (R12).
        let free = glance.role != RoleView::Leader
            && glance.role != RoleView::WithoutState
            && glance.postgres.state != PgState::Unknown
            && daemon.paused_until <= self.now
            && !serves
            && !self.losses.is_any_forgetful();
        let holds = newest
            .filter(|s| !s.lost)
            .map(|s| s.record.as_ref().map(|r| r.key));
        let lacks = free && holds.is_some_and(|holds| holds < Some(key));
        let told = spec.members[h].told_of;
        let told = told.filter(|(of, _)| lacks && holds.is_some_and(|holds| holds < Some(*of)));
        if let Some((of, at)) = told
            && key >= of
            && self.now >= at + TAKES_UP
        {
            self.violated(
                "specification",
                format!("m{h} was told of {of} and {key}: R3: and holds {holds:?}"),
            );
        }
        let first = lacks.then_some((key, self.now));
        self.oracles.specification.members[h].told_of = told.or(first);
    }
}

#[cfg(test)]
mod tests {
    use super::HEARS;
    use crate::postgres::rewind::Fate;
    use crate::postgres::server::{Phase, Server};
    use crate::postgres::steps::Exec;
    use crate::world::World;
    use yoke_core::Guard;
    use yoke_core::guard::GuardEvent;
    use yoke_core::member::MemberId;
    use yoke_core::permission::{Lasts, Permission};
    use yoke_core::postgres::{Doors, PgStatus, RunId};
    use yoke_core::record::{Copy, CopyId, Term};
    use yoke_core::step::{Order, Settings, Step};
    use yoke_core::view::{Glance, RoleView};

    const COPY: Copy = Copy {
        member: MemberId(1),
        id: CopyId(7),
    };

    /// What is said against a growth.
    fn why(world: &mut World) -> String {
        world
            .judge_growth(0, COPY, Term(1))
            .err()
            .unwrap_or_default()
    }

    fn gives(world: &mut World, serial: u64, lasts: Lasts) {
        let now = world.hosts[0].clock.at(world.now);
        if let Some(guard) = &mut world.hosts[0].guard {
            let term = Term(1);
            let permission = Permission {
                term,
                serial,
                lasts,
            };
            guard.handle(now, GuardEvent::Permission(permission));
        }
    }

    #[test]
    fn a_growth_needs_a_bounded_permission_a_majority_and_no_gate_that_leaves_the_copy_out() {
        let mut world = World::still();
        world.now = 60_000_000;
        let host = &mut world.hosts[0];
        let now = host.clock.at(world.now);
        host.guard = Some(Guard::new(host.config.clone(), 1));
        gives(&mut world, 1, Lasts::Unbounded);
        assert!(why(&mut world).contains("while the guard holds"));
        let lease = world.hosts[0].config.lease();
        gives(&mut world, 2, Lasts::Until(now + lease));
        assert!(why(&mut world).contains("no majority was heard"));
        world.oracles.specification.members[0].lead.all_acked(now);
        assert_eq!(why(&mut world), "");
        let step = Step::WriteSettings(Settings {
            generation: 1,
            gate: Some(vec![]),
            follow: None,
            copy: None,
            doors: Doors::Open,
        });
        world.hosts[0].execs.push(Exec {
            order: Order {
                term: Term(1),
                number: 1,
                step,
            },
            run: None,
            ending: false,
            source: None,
            parts: 0,
            part_time: 0,
            fate: Fate::default(),
            looks: 0,
        });
        assert!(why(&mut world).contains("a gate without it"));
    }

    #[test]
    fn who_stands_for_election_has_a_database_that_runs() {
        let mut world = World::still();
        let postgres = PgStatus::unknown();
        let view = Glance {
            me: MemberId(1),
            role: RoleView::Candidate,
            term: Term(3),
            leader: None,
            record: None,
            committed: None,
            postgres: &postgres,
            growing: &[],
        };
        let mut server = Server::new(RunId(5), None, 1);
        server.phase = Phase::Standby;
        world.hosts[1].server = Some(server);
        world.note_down();
        world.now += 2 * HEARS;
        world.check_stands(1, &view);
        world.hosts[1].server = None;
        world.note_down();
        world.now += HEARS;
        world.check_stands(1, &view);
        assert_eq!(world.violation, None, "it may not have heard yet");
        world.now += 1;
        world.check_stands(1, &view);
        assert!(world.violation.is_some_and(|v| v.what.contains("R4")));
    }
}
