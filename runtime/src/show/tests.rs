use super::cluster::{Answers, merge};
use super::table::render;
use crate::admin::Report;
use crate::admin::protocol::{Known, MemberEntry};
use crate::hooks::vip::Place;
use crate::hooks::{Hooks, Role, Told, VipView};
use std::sync::Arc;
use yoke_core::member::{MemberId, MemberKind};
use yoke_core::postgres::{
    Doors, Fault, GateStatus, Lsn, PgState, PgStatus, PrimaryStatus, Rewrite, RunId, SystemId,
    Timeline,
};
use yoke_core::record::{Copy, CopyId, History, Promotion, Record, RecordKey, Term};
use yoke_core::view::{ClusterView, RoleView};
use yoke_core::{Duration, Instant};

type Answer = Result<Report, String>;

fn copy(member: u8) -> Copy {
    Copy {
        member: MemberId(member),
        id: CopyId(0xA0 + u64::from(member)),
    }
}

fn history() -> History {
    History::from(vec![Promotion {
        timeline: Timeline(2),
        start: Lsn(0x200_0000),
        term: Term(3),
        n: 1,
    }])
}

fn record(in_sync: Vec<Copy>) -> Arc<Record> {
    Arc::new(Record {
        forced: false,
        paused: false,
        key: RecordKey {
            term: Term(3),
            version: 7,
        },
        primary: MemberId(0),
        in_sync,
        promotions: history(),
        system_id: SystemId(1),
    })
}

fn report(me: u8, role: RoleView, state: PgState, record: Option<Arc<Record>>) -> Report {
    let entry = |name: &str, kind, port| MemberEntry {
        name: name.to_owned(),
        kind,
        address: ([127, 0, 0, 1], port).into(),
    };
    let has_data = state != PgState::NoData;
    Report {
        version: "0.1.0".to_owned(),
        cluster: "yoke".to_owned(),
        members: vec![
            entry("data1", MemberKind::Data, 4401),
            entry("data2", MemberKind::Data, 4402),
            entry("monitor", MemberKind::Witness, 4403),
        ],
        now: Instant(9_000_000),
        view: ClusterView {
            me: MemberId(me),
            role,
            term: Term(3),
            leader: (role == RoleView::Follower && record.is_some()).then_some(MemberId(0)),
            record,
            committed: None,
            postgres: PgStatus {
                target: 1,
                run: RunId(1),
                system_id: has_data.then_some(SystemId(1)),
                copy: has_data.then_some(copy(me).id),
                stamped: true,
                stamp: None,
                history: history(),
                made_newest: false,
                state,
                end: Lsn(if has_data { 0x300_0060 } else { 0 }),
                fault: None,
                notes: Vec::new(),
            },
            lease_left: None,
            growing: Vec::new(),
            stays_out: None,
        },
        known: vec![Known::default(); 3],
        hooks: Hooks::default(),
    }
}

/// What the leader knows of a follower that it heard so long ago.
fn known(heard: Duration, end: u64, lag: Duration) -> Known {
    Known {
        heard: Some(heard),
        flushed: Some(Lsn(end)),
        lag: Some(lag),
        unreachable: None,
    }
}

fn primary(names: Vec<Copy>) -> PgState {
    PgState::Primary(PrimaryStatus {
        promoted_in: Term(3),
        recovery_end: Lsn(0x200_0060),
        gate: GateStatus::Open {
            names,
            since: Lsn(0x200_0100),
        },
        doors: Doors::Open,
        standbys: Vec::new(),
        wrote_at: Instant(8_000_000),
    })
}

fn standby() -> PgState {
    PgState::Standby {
        of: Some(MemberId(0)),
        streaming: true,
        replay_paused: false,
        drained: true,
    }
}

/// A whole cluster in which data2 is in sync.
fn whole() -> Vec<Answer> {
    let record = Some(record(vec![copy(0), copy(1)]));
    vec![
        Ok(report(
            0,
            RoleView::Leader,
            primary(vec![copy(1)]),
            record.clone(),
        )),
        Ok(report(1, RoleView::Follower, standby(), record.clone())),
        Ok(report(2, RoleView::Follower, PgState::NoData, record)),
    ]
}

/// The same after data2 has left.
fn lone() -> Vec<Answer> {
    let record = Some(record(vec![copy(0)]));
    vec![
        Ok(report(0, RoleView::Leader, primary(vec![]), record.clone())),
        Ok(report(1, RoleView::Follower, standby(), record.clone())),
        Ok(report(2, RoleView::Follower, PgState::NoData, record)),
    ]
}

fn with(mut each: Vec<Answer>, place: usize, change: impl FnOnce(&mut Report)) -> Vec<Answer> {
    change(each[place].as_mut().unwrap());
    each
}

fn without(mut each: Vec<Answer>, places: &[usize]) -> Vec<Answer> {
    for place in places {
        each[*place] = Err("127.0.0.1:4400 did not answer within 1 s".to_owned());
    }
    each
}

fn text(each: &[Answer]) -> String {
    wide(each, None)
}

fn wide(each: &[Answer], width: Option<u16>) -> String {
    let first = each.iter().flatten().next().unwrap();
    render(&merge(&Answers { first, each }), width)
}

fn summary(each: &[Answer]) -> (bool, String) {
    let first = each.iter().flatten().next().unwrap();
    let cluster = merge(&Answers { first, each });
    (cluster.failover_possible, cluster.summary)
}

#[test]
fn a_whole_cluster() {
    insta::assert_snapshot!(text(&whole()), @r"
    Cluster yoke: data1 leads, term 3, version 7
    A failover now would lose nothing: data2 is in sync.

    | Member  | Address        | Role    | Database           | TL |  Position | Lag | Heard | In sync |
    |---------|----------------|---------|--------------------|----|-----------|-----|-------|---------|
    | data1   | 127.0.0.1:4401 | primary | serves             |  2 | 0/3000060 |     |       | yes     |
    | data2   | 127.0.0.1:4402 | standby | streams from data1 |  2 | 0/3000060 | 0 B |       | yes     |
    | monitor | 127.0.0.1:4403 | witness |                    |    |           |     |       |         |
    ");
}

/// Everything that can be known is.
fn known_well() -> Vec<Answer> {
    with(whole(), 0, |r| {
        r.view.lease_left = Some(Duration::millis(3_140));
        r.known[1] = known(Duration::millis(120), 0x300_0060, Duration::ZERO);
        r.known[2] = Known {
            heard: Some(Duration::secs(75)),
            ..Known::default()
        };
    })
}

#[test]
fn lease_lag_and_who_was_heard_when() {
    insta::assert_snapshot!(text(&known_well()));
}

#[test]
fn a_narrow_terminal_gets_fewer_columns_and_then_folded_ones() {
    let folded = [90, 80, 60, 40].map(|width| wide(&known_well(), Some(width)));
    for (text, width) in folded.iter().zip([90, 80, 60, 40]) {
        let table = text.lines().filter(|l| l.starts_with('|'));
        assert!(
            table.clone().count() >= 5 && table.into_iter().all(|l| l.chars().count() <= width)
        );
    }
    insta::assert_snapshot!(folded.concat());
}

#[test]
fn a_silent_member_is_shown_as_the_leader_last_knew_it() {
    let each = with(without(whole(), &[1]), 0, |r| {
        r.known[1] = known(Duration::secs(61), 0x200_0000, Duration::secs(63));
    });
    insta::assert_snapshot!(text(&each));
}

#[test]
fn who_runs_and_is_not_connected_is_told() {
    let refused =
        || Some("it refuses: it has the members a, b, c, here they are a, x, c".to_owned());
    let each = with(whole(), 2, |r| r.known[1].unreachable = refused());
    let note = "monitor: it cannot reach data2: it refuses: it has the members";
    assert!(text(&each).contains(note), "{}", text(&each));
    // Who does not answer here either is complained of once.
    assert!(!text(&without(each, &[1])).contains("cannot reach"));
}

#[test]
fn a_broken_cluster() {
    let each = with(lone(), 1, |r| {
        r.view.postgres.state = PgState::Rewriting {
            how: Rewrite::Clone,
            done: 1_230_000_000,
            total: 3_456_000_000,
        };
        r.view.postgres.copy = None;
        r.view.postgres.fault = Some(Fault("cannot copy from m0: the disk is full".to_owned()));
        r.view.postgres.notes = vec!["role app has synchronous_commit=off".to_owned()];
    });
    insta::assert_snapshot!(text(&without(each, &[2])), @r"
    Cluster yoke: data1 leads, term 3, version 7
    No failover is possible: data1 serves alone, data2: being copied, 1.2 of 3.4 GB (35 %).

    | Member  | Address        | Role      | Database                           | TL |  Position | Lag | Heard | In sync |
    |---------|----------------|-----------|------------------------------------|----|-----------|-----|-------|---------|
    | data1   | 127.0.0.1:4401 | primary   | serves alone                       |  2 | 0/3000060 |     |       | yes     |
    | data2   | 127.0.0.1:4402 | rejoining | being copied, 1.2 of 3.4 GB (35 %) |    |           |     |       | no      |
    | monitor | 127.0.0.1:4403 | witness   | does not answer                    |    |           |     |       |         |

    data2: cannot copy from data1: the disk is full
    data2: role app has synchronous_commit=off
    monitor: 127.0.0.1:4400 did not answer within 1 s
    ");
}

#[test]
fn what_a_failover_would_lose() {
    assert_eq!(
        summary(&whole()),
        (
            true,
            "A failover now would lose nothing: data2 is in sync.".to_owned()
        )
    );
    let cases = [
        (
            with(lone(), 1, |r| r.view.postgres.end = Lsn(0x300_0060 - 1234)),
            "No failover is possible: data1 serves alone, data2 is catching up (1234 bytes behind).",
        ),
        (
            without(lone(), &[1]),
            "No failover is possible: data1 serves alone, data2 does not answer.",
        ),
        (
            with(lone(), 1, |r| {
                r.view.postgres.state = PgState::Stopped {
                    shutdown_checkpoint: None,
                }
            }),
            "No failover is possible: data1 serves alone, data2: stopped.",
        ),
        (
            without(whole(), &[1]),
            "No failover is possible: data2 is in sync but does not answer.",
        ),
        (
            with(whole(), 1, |r| r.view.postgres.state = PgState::Starting),
            "No failover is possible: data2 is in sync, but its database: starting.",
        ),
        (
            with(whole(), 1, |r| r.view.postgres.copy = Some(CopyId(9))),
            "No failover is possible: data2 has lost the copy that is in sync.",
        ),
        (
            without(whole(), &[2]),
            "No failover is possible: data2 is in sync, but without data1 and monitor there is no majority.",
        ),
        (
            with(whole(), 0, |r| r.view.postgres.state = PgState::Promoting),
            "data1 leads, but its database does not serve yet: being promoted.",
        ),
        (
            without(whole(), &[0]),
            "What a failover would lose is not known: data1 leads, but does not answer here.",
        ),
        (
            without(with(whole(), 2, |r| r.view.leader = None), &[0, 1]),
            "No leader: only 1 of 3 members answer, and a majority is 2.",
        ),
    ];
    for (each, expected) in cases {
        assert_eq!(summary(&each), (false, expected.to_owned()));
    }
}

#[test]
fn why_there_is_no_leader() {
    let nobody = |role: RoleView| -> Vec<Answer> {
        let stopped = || PgState::Stopped {
            shutdown_checkpoint: None,
        };
        let mut each = vec![
            Ok(report(0, role, stopped(), None)),
            Ok(report(1, RoleView::Follower, stopped(), None)),
            Ok(report(2, RoleView::Follower, PgState::NoData, None)),
        ];
        for report in each.iter_mut().flatten() {
            let report: &mut Report = report;
            report.view.leader = None;
        }
        each
    };
    let cases = [
        (RoleView::Candidate, "No leader: an election is under way."),
        (
            RoleView::WithoutState,
            "No leader: data1 has no state (see below).",
        ),
        (
            RoleView::Follower,
            "No leader: nobody stands for election (data1: stopped, data2: stopped).",
        ),
    ];
    for (role, expected) in cases {
        assert_eq!(summary(&nobody(role)), (false, expected.to_owned()));
    }
}

#[test]
fn the_operators_own_commands_are_shown_below_the_table() {
    let vip = |place, failed: Option<&str>| {
        Some(VipView {
            ip: "1.2.3.4".to_owned(),
            place,
            since: Instant(7_000_000),
            failed: failed.map(str::to_owned),
        })
    };
    let told = |role, failed: Option<&str>| {
        Some(Told {
            role,
            at: Instant(8_500_000),
            under_way: false,
            failed: failed.map(str::to_owned),
        })
    };
    let each = with(whole(), 0, |r| {
        r.hooks.vip = vip(Place::Here, None);
        r.hooks.role = told(Role::Master, None);
    });
    let each = with(each, 1, |r| {
        let failed = "remove_command failed (exit 1) after 0.003 s: no such device";
        r.hooks.vip = vip(Place::Away, Some(failed));
        r.hooks.role = told(
            Role::Slave,
            Some("failed (exit 127, not found) after 0.002 s"),
        );
    });
    let shown = text(&each);
    let (_, notes) = shown.split_once("\n\ndata1").unwrap_or(("", &shown));
    insta::assert_snapshot!(notes, @"
    : vip 1.2.3.4: here (for 2.000 s)
    data2: vip 1.2.3.4: not here (for 2.000 s); remove_command failed (exit 1) after 0.003 s: no such device
    data2: role command (slave), 0.500 s ago: failed (exit 127, not found) after 0.002 s
    ");
    let merged = merge(&Answers {
        first: each[0].as_ref().unwrap(),
        each: &each,
    });
    let shown = &merged.members[0];
    assert_eq!(
        shown.vip.as_deref(),
        Some("vip 1.2.3.4: here (for 2.000 s)")
    );
    let role = "role command (master), 0.500 s ago: done";
    assert_eq!(shown.role_command.as_deref(), Some(role));
}
