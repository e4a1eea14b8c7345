//! Which copies are in sync: the gate (R7), shrink first (R8), grow last (R9).
#![allow(clippy::unwrap_used)]

mod scenario;

use scenario::*;
use yoke_core::member::MemberId;
use yoke_core::message::{Body, Message};
use yoke_core::postgres::{Gate, Lsn, Want};
use yoke_core::record::Record;

fn names(record: &Record) -> Vec<MemberId> {
    record.others().map(|c| c.member).collect()
}

/// Whom the gate that `m` last asked for names; none: it asked for no open gate.
fn gate(cluster: &Cluster, m: MemberId) -> Option<Vec<MemberId>> {
    match &cluster.host(m).targets.last()?.want {
        Want::Primary {
            gate: Gate::Open(names),
            ..
        } => Some(names.iter().map(|c| c.member).collect()),
        _ => None,
    }
}

/// Runs a while and checks after each millisecond that an open gate covers the leader's record and what it proposed.
fn r7_holds_for(cluster: &mut Cluster, length: yoke_core::Duration) {
    let end = cluster.now + length;
    while cluster.now < end {
        cluster.run_for(ms(1));
        for m in [DATA1, DATA2] {
            let Some(gate) = cluster.host(m).leads().then(|| gate(cluster, m)).flatten() else {
                continue;
            };
            let record = cluster.record(m).unwrap();
            for name in names(&record) {
                assert!(gate.contains(&name), "{}", cluster.trace());
            }
        }
    }
}

#[test]
fn r7_the_gate_covers_the_committed_and_the_proposed_record() {
    let mut cluster = Cluster::in_sync();
    r7_holds_for(&mut cluster, secs(1));
    cluster.power_off(DATA2);
    r7_holds_for(&mut cluster, secs(5));
    cluster.start(DATA2);
    r7_holds_for(&mut cluster, secs(10));
    assert!(cluster.is_in_sync());
    cluster.demote(DATA1);
    r7_holds_for(&mut cluster, secs(10));
    cluster.over();
}

#[test]
fn r7_the_gate_is_closed_from_the_promotion_until_it_is_recorded() {
    let mut cluster = Cluster::in_sync();
    cluster.power_off(DATA1);
    cluster.run_for(secs(10));
    let targets = &cluster.host(DATA2).targets;
    let first = targets
        .iter()
        .find(|t| matches!(t.want, Want::Primary { .. }))
        .unwrap();
    assert!(matches!(
        first.want,
        Want::Primary {
            gate: Gate::Closed,
            ..
        }
    ));
    for target in targets {
        if let Want::Primary {
            gate: Gate::Open(_),
            ..
        } = target.want
        {
            let record = target.record.as_ref().unwrap();
            assert_eq!(record.promotions, cluster.db(DATA2).history);
        }
    }
    cluster.over();
}

#[test]
fn r8_the_shrink_is_committed_before_the_gate_opens() {
    let mut cluster = Cluster::in_sync();
    // data2 falls silent; the shrink is proposed, and accepted by nobody.
    let now = cluster.record(DATA1).unwrap().key;
    cluster.lose(
        move |s| matches!(&s.message.body, Body::HeartbeatReply(r) if r.accepted > Some(now)),
    );
    cluster.power_off(DATA2);
    cluster.run_for(SYNC_TIMEOUT + ms(600));
    assert!(cluster.record(DATA1).unwrap().is_lone(), "proposed");
    assert_eq!(gate(&cluster, DATA1), Some(vec![DATA2]));
    assert!(!cluster.is_served());
    cluster.lose_nothing();
    cluster.run_until("served", secs(1), Cluster::is_served);
    assert_eq!(gate(&cluster, DATA1), Some(vec![]));
    cluster.over();
}

#[cfg(feature = "mutants")]
#[test]
fn r8_mutant_the_gate_opens_when_the_shrink_is_proposed() {
    let mut cluster = Cluster::in_sync();
    cluster.config.mutant = Some(yoke_core::mutant::Mutant::R8OpensWhenProposed);
    cluster.restart_daemon(DATA1, ms(1));
    cluster.run_for(secs(1));
    cluster.mark();
    // data1 goes on acknowledging alone, and its shrink reaches nobody.
    cluster.lose(|s| {
        matches!(&s.message.body, Body::Heartbeat(h)
            if h.record.as_ref().is_some_and(|r| r.is_lone()))
    });
    cluster.cut(DATA1, DATA2);
    cluster.run_for(SYNC_TIMEOUT + ms(500));
    assert!(cluster.is_served());
    cluster.power_off(DATA1);
    cluster.run_for(D + D);
    assert!(cluster.watch.violations.iter().any(|v| v.starts_with("S1")));
}

/// B4: a leader that hears nobody proposes no shrink, or the only copy that could take over would lose its place. Nor if
/// its standby is cut off a while before the witness is: what was answered between the two is no answer to a question
/// asked since the copy had to leave.
#[test]
fn r8_a_leader_that_hears_nobody_proposes_no_shrink() {
    for between in [ms(0), SYNC_TIMEOUT - ms(300)] {
        let mut cluster = Cluster::in_sync();
        cluster.cut_one_way(DATA2, DATA1);
        cluster.run_for(between);
        cluster.cut_one_way(MONITOR, DATA1);
        cluster.run_for(secs(3));
        assert!(!cluster.said(DATA1, "leaves in_sync"));
        cluster.run_until("data2 serves", D + D, |c| c.served_by() == Some(DATA2));
        cluster.over();
    }
}

/// Whenever it has to leave: the leader does not wait for its next heartbeat with the question.
#[test]
fn r8_a_copy_that_has_to_leave_leaves_at_once() {
    for phase in 0..25 {
        let mut cluster = Cluster::in_sync();
        cluster.run_for(ms(10 * phase));
        let hangs = Trouble {
            hangs: true,
            ..Trouble::default()
        };
        cluster.trouble(DATA2, hangs);
        // Of which the look at the database is a part: it may be a fifth of a second old.
        cluster.run_until("it leaves", SYNC_TIMEOUT + ms(200), |c| {
            c.said(DATA1, "leaves in_sync")
        });
        cluster.over();
    }
}

#[test]
fn r8_a_promoted_leader_shrinks_out_at_once_what_is_stopped() {
    let mut cluster = Cluster::in_sync();
    cluster.kill_database(DATA1);
    cluster.run_until("data2 is primary", secs(1), |c| {
        c.db(DATA2).role() == DbRole::Primary
    });
    cluster.run_until("shrunk", ms(30), |c| {
        c.committed(DATA2).is_some_and(|r| r.is_lone())
    });
    cluster.over();
}

#[test]
fn r8_a_promoted_leader_shrinks_out_what_does_not_stream() {
    // data1's daemon is heard, but tells nothing of its database, which does not come up.
    let mut cluster = Cluster::in_sync();
    cluster.trouble(
        DATA1,
        Trouble {
            cannot_start: true,
            ..Trouble::default()
        },
    );
    cluster.demote(DATA1);
    cluster.run_until("released", secs(1), |c| c.said(DATA1, "releases its term"));
    cluster.lose(|s| s.from == DATA1 && matches!(s.message.body, Body::HeartbeatReply(_)));
    cluster.run_until("data2 serves", secs(1), |c| c.served_by() == Some(DATA2));
    assert!(cluster.said(DATA2, "it does not stream from the new primary"));
    cluster.over();
}

#[test]
fn r8_a_copy_that_lags_for_sync_timeout_leaves() {
    let mut cluster = Cluster::in_sync();
    cluster.trouble(
        DATA2,
        Trouble {
            hangs: true,
            ..Trouble::default()
        },
    );
    cluster.run_for(SYNC_TIMEOUT - ms(300));
    assert!(!cluster.said(DATA1, "leaves in_sync"));
    cluster.run_until("served alone", secs(1), |c| {
        c.is_served() && c.committed(DATA1).is_some_and(|r| r.is_lone())
    });
    cluster.over();
}

#[test]
fn r8_an_idle_primary_does_not_lose_its_standby() {
    let mut cluster = Cluster::in_sync();
    cluster.writes = false;
    cluster.run_for(secs(30));
    assert!(!cluster.said(DATA1, "leaves in_sync"));
    cluster.over();
}

#[test]
fn r9_a_copy_enters_after_the_gate_that_names_it_is_proven_and_its_flush_is_past_that() {
    let mut cluster = Cluster::lone();
    cluster.start(DATA2);
    loop {
        cluster.run_for(ms(1));
        assert!(cluster.since_mark() < secs(10));
        let Some(record) = cluster.record(DATA1).filter(|r| !r.is_lone()) else {
            continue;
        };
        let names: Vec<_> = record.others().collect();
        let Some(yoke_core::postgres::GateStatus::Open {
            names: proven,
            since,
        }) = cluster.db(DATA1).gate()
        else {
            panic!("proposed on an unproven gate\n{}", cluster.trace());
        };
        assert_eq!(proven, &names);
        assert!(cluster.db(DATA2).end >= *since);
        break;
    }
    cluster.over();
}

#[test]
fn r9_a_gate_that_is_not_proven_grows_nothing() {
    let mut cluster = Cluster::lone();
    cluster.db_mut(DATA1).proofs_fail = true;
    cluster.start(DATA2);
    cluster.run_for(secs(20));
    assert!(cluster.record(DATA1).unwrap().is_lone());
    cluster.db_mut(DATA1).proofs_fail = false;
    cluster.run_until("in sync", secs(60), Cluster::is_in_sync);
    cluster.over();
}

/// A restart of the primary in the middle of the growth voids what was proven.
#[test]
fn r9_a_new_run_voids_the_evidence() {
    let mut cluster = Cluster::lone();
    cluster.start(DATA2);
    cluster.run_until("growing", secs(10), |c| gate(c, DATA1) == Some(vec![DATA2]));
    cluster.kill_database(DATA1);
    let history = cluster.db(DATA1).history.clone();
    let mut grown = None;
    while grown.is_none() {
        cluster.run_for(ms(1));
        assert!(cluster.since_mark() < secs(30));
        grown = cluster.record(DATA1).filter(|r| !r.is_lone());
    }
    let record = grown.unwrap();
    assert_ne!(record.promotions, history, "grown in the new run");
    cluster.run_until("in sync", secs(10), Cluster::is_in_sync);
    cluster.over();
}

#[test]
fn r9_nothing_grows_while_no_majority_is_heard() {
    let mut cluster = Cluster::lone();
    cluster.power_off(MONITOR);
    cluster.run_for(secs(5));
    // data2's database streams, its daemon is not heard.
    cluster.lose(|s| s.from == DATA2);
    cluster.start(DATA2);
    cluster.run_for(secs(20));
    assert!(cluster.record(DATA1).unwrap().is_lone());
    assert_eq!(cluster.longest_gap(), secs(0));
    cluster.over();
}

#[test]
fn r9_a_growth_that_stalls_is_given_up_and_writes_go_on() {
    let mut cluster = Cluster::lone();
    cluster.start(DATA2);
    cluster.run_until("growing", secs(10), |c| gate(c, DATA1) == Some(vec![DATA2]));
    cluster.trouble(
        DATA2,
        Trouble {
            hangs: true,
            ..Trouble::default()
        },
    );
    cluster.run_for(secs(20));
    assert!(cluster.is_served());
    let gap = cluster.longest_gap();
    assert!(gap <= SYNC_TIMEOUT + secs(1), "{gap}");
    cluster.trouble(DATA2, Trouble::default());
    cluster.run_until("in sync", secs(60), Cluster::is_in_sync);
    cluster.over();
}

#[test]
fn r9_the_steady_time_doubles_with_each_flap() {
    let mut cluster = Cluster::in_sync();
    let mut times = Vec::new();
    for _ in 0..4 {
        cluster.trouble(
            DATA2,
            Trouble {
                hangs: true,
                ..Trouble::default()
            },
        );
        cluster.run_until("shrunk", secs(10), |c| {
            c.committed(DATA1).is_some_and(|r| r.is_lone())
        });
        cluster.trouble(DATA2, Trouble::default());
        times.push(cluster.run_until("in sync", secs(60), Cluster::is_in_sync));
    }
    for pair in times.windows(2) {
        assert!(pair[1] > pair[0] + ms(300), "{times:?}");
    }
    cluster.over();
}

#[test]
fn r9_a_deposed_leader_grows_nothing_and_the_next_one_begins_anew() {
    let mut cluster = Cluster::lone();
    cluster.start(DATA2);
    cluster.run_until("growing", secs(10), |c| gate(c, DATA1) == Some(vec![DATA2]));
    let term = cluster.term(DATA1);
    cluster.inject(MONITOR, DATA1, term.0 + 5, Body::Ask { nonce: 1 });
    cluster.run_until("in sync", secs(20), Cluster::is_in_sync);
    assert!(cluster.record(DATA1).unwrap().key.term > term);
    let gap = cluster.longest_gap();
    assert!(gap <= ms(300), "{gap}");
    cluster.over();
}

/// A new record of the copy that a member lost in between: the leader learns the new id.
#[test]
fn a_copy_that_was_replaced_leaves_and_the_new_one_enters() {
    let mut cluster = Cluster::in_sync();
    cluster.power_off(DATA2);
    cluster.db_mut(DATA2).copy = Some(yoke_core::record::CopyId(0xe0));
    cluster.start(DATA2);
    cluster.run_until("in sync", secs(20), Cluster::is_in_sync);
    let gap = cluster.longest_gap();
    assert!(gap <= SYNC_TIMEOUT + secs(1), "{gap}");
    cluster.over();
}

#[test]
fn three_data_members_all_enter_and_the_slowest_is_dropped() {
    let mut cluster = Cluster::bare(3, 0);
    cluster.fill_disks(&[DATA1]);
    let mut cluster = cluster.settled();
    cluster.trouble(
        DATA2,
        Trouble {
            hangs: true,
            ..Trouble::default()
        },
    );
    cluster.run_for(secs(5));
    assert!(cluster.is_served());
    assert_eq!(names(&cluster.committed(DATA1).unwrap()), [MONITOR]);
    cluster.trouble(DATA2, Trouble::default());
    cluster.run_until("all in sync", secs(20), Cluster::is_in_sync);
    let gap = cluster.longest_gap();
    assert!(gap <= SYNC_TIMEOUT + secs(1), "{gap}");
    cluster.over();
}

/// The standby's host dies, and comes back with a directory that ends below what was confirmed to the primary, which alone
/// can tell.
#[test]
fn r8_a_copy_that_went_back_leaves() {
    let mut cluster = Cluster::in_sync();
    let mut answer = dies_and_answers_less(&mut cluster);
    let presence = answer.presence.as_mut().unwrap();
    presence.start += 1;
    presence.found = presence.writes;
    cluster.hand_in(DATA2, DATA1, answer);
    assert!(cluster.said(DATA1, "shows less than it has confirmed"));
    cluster.over();
}

/// A daemon that did not run for a moment answers at once all that it was asked meanwhile, and says of its database what it
/// knew before.
#[test]
fn r8_the_old_word_of_a_daemon_that_ran_on_is_no_disk_that_went_back() {
    let mut cluster = Cluster::in_sync();
    let answer = dies_and_answers_less(&mut cluster);
    cluster.hand_in(DATA2, DATA1, answer);
    assert!(!cluster.said(DATA1, "shows less than it has confirmed"));
    cluster.over();
}

/// Data2's host dies; its answer to the newest heartbeat, from before, but that it ends a bit lower.
fn dies_and_answers_less(cluster: &mut Cluster) -> Message {
    cluster.run_for(secs(1));
    let answers = cluster.sent_by(DATA2).filter(|s| match &s.message.body {
        Body::HeartbeatReply(reply) => reply.report.drained,
        _ => false,
    });
    let mut answer = answers.last().unwrap().message.clone();
    cluster.power_off(DATA2);
    cluster.mark();
    cluster.run_for(secs(1));
    let round = |s: &Sent| match &s.message.body {
        Body::Heartbeat(heartbeat) => Some(heartbeat.round),
        _ => None,
    };
    let newest = cluster.sent_by(DATA1).filter_map(round).last().unwrap();
    let Body::HeartbeatReply(reply) = &mut answer.body else {
        unreachable!("it was looked for")
    };
    reply.round = newest;
    reply.report.end = Lsn(reply.report.end.0 - 700);
    answer
}

/// A standby's answer of long ago comes once more, or only now: it says less than the copy has confirmed since.
#[test]
fn r8_a_late_report_is_no_disk_that_went_back() {
    let mut cluster = Cluster::in_sync();
    cluster.mark();
    cluster.run_for(secs(1));
    let of_then = cluster.sent_by(DATA2).find_map(|s| match &s.message.body {
        Body::HeartbeatReply(reply) if reply.report.drained => Some(reply.clone()),
        _ => None,
    });
    let (of_then, term) = (of_then.unwrap(), cluster.term(DATA1));
    cluster.run_for(secs(4));
    for _ in 0..100 {
        cluster.inject(DATA2, DATA1, term.0, Body::HeartbeatReply(of_then.clone()));
        cluster.run_for(ms(10));
    }
    let trace = cluster.trace();
    assert!(!trace.contains("leaves in_sync"), "{trace}");
    assert_eq!(cluster.record(DATA1).unwrap().in_sync.len(), 2, "{trace}");
}
