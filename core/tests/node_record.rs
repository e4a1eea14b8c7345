//! The replicated register: take-over, commit, resume (R6), discards (R11), same database (R14).
#![allow(clippy::unwrap_used)]

mod scenario;

use scenario::*;
use std::sync::Arc;
use yoke_core::message::Body;
use yoke_core::permission::Lasts;
use yoke_core::postgres::Want;
use yoke_core::record::Record;

/// Whether a leader ever wanted a primary or gave a permission in a term of which nothing was committed.
fn wants_primary(cluster: &Cluster, m: MemberId) -> bool {
    cluster
        .host(m)
        .targets
        .iter()
        .any(|t| matches!(t.want, Want::Primary { .. }))
}

use yoke_core::member::MemberId;

#[test]
fn r6_nothing_is_promoted_before_the_take_over_is_committed() {
    let mut cluster = Cluster::in_sync();
    // The monitor votes, but its acceptances get lost.
    cluster.lose(|s| {
        s.from == MONITOR
            && matches!(&s.message.body, Body::HeartbeatReply(r) if r.accepted.is_some())
    });
    cluster.restart_daemon(DATA2, ms(1));
    cluster.run_for(D + secs(1));
    cluster.power_off(DATA1);
    cluster.run_until("data2 leads", D + D, |c| c.leader() == Some(DATA2));
    cluster.run_for(secs(3));
    assert!(!wants_primary(&cluster, DATA2));
    assert_eq!(cluster.db(DATA2).role(), DbRole::Standby);
    assert_eq!(cluster.db(DATA2).guard.permission.lasts, Lasts::Ended);
    cluster.lose_nothing();
    cluster.run_until("data2 serves", D + D, |c| c.served_by() == Some(DATA2));
    cluster.over();
}

#[cfg(feature = "mutants")]
#[test]
fn r6_mutant_its_own_record_counts_as_committed() {
    let mut cluster = Cluster::in_sync();
    cluster.config.mutant = Some(yoke_core::mutant::Mutant::R6OwnRecordCommitted);
    cluster.lose(|s| {
        s.from == MONITOR
            && matches!(&s.message.body, Body::HeartbeatReply(r) if r.accepted.is_some())
    });
    cluster.restart_daemon(DATA2, ms(1));
    cluster.run_for(D + secs(1));
    cluster.power_off(DATA1);
    cluster.run_until("data2 leads", D + D, |c| c.leader() == Some(DATA2));
    cluster.run_for(secs(3));
    assert!(wants_primary(&cluster, DATA2));
}

#[test]
fn r6_a_record_of_an_earlier_term_is_proposed_again() {
    // data1 has proposed (2,9) to nobody but itself, and the record of its term 3 has to be (3,10).
    let mut cluster = Cluster::in_sync();
    cluster.cut_off(DATA1);
    cluster.run_until("data1's lease is over", D, |c| c.leader() != Some(DATA1));
    let before = cluster.host(DATA1).disk.clone().unwrap().record.unwrap();
    for m in [DATA2, MONITOR] {
        cluster.kill_daemon(m);
    }
    let disk = cluster.host_mut(DATA1).disk.as_mut().unwrap();
    let uncommitted = Arc::new(Record {
        key: key(before.key.term.0, before.key.version + 5),
        ..Record::clone(&before)
    });
    disk.record = Some(uncommitted.clone());
    cluster.heal();
    cluster.power_off(DATA2);
    cluster.restart_daemon(DATA1, ms(1));
    cluster.start(MONITOR);
    cluster.run_until("data1 leads", D + D, |c| c.committed(DATA1).is_some());
    let committed = cluster.committed(DATA1).unwrap();
    assert!(committed.key.term > uncommitted.key.term);
    assert_eq!(committed.key.version, uncommitted.key.version + 1);
    assert_eq!(committed.in_sync, uncommitted.in_sync);
    cluster.over();
}

#[test]
fn r6_one_record_is_outstanding_at_most() {
    let mut cluster = Cluster::in_sync();
    cluster.lose(|s| matches!(&s.message.body, Body::HeartbeatReply(r) if r.accepted.is_some()));
    // Reasons enough for new records: data2's database dies, then it leaves.
    cluster.trouble(
        DATA2,
        Trouble {
            cannot_start: true,
            ..Trouble::default()
        },
    );
    cluster.kill_database(DATA2);
    cluster.stop(DATA2);
    cluster.run_for(secs(3));
    let proposed = cluster.trace_of(&["proposes"]);
    assert!(proposed.lines().count() <= 1, "{proposed}");
    cluster.over();
}

#[test]
fn r6_a_record_of_equal_key_and_other_contents_is_no_acceptance() {
    let mut cluster = Cluster::powered_off();
    cluster.start(MONITOR);
    cluster.run_for(D);
    let held = cluster.record(MONITOR).unwrap();
    let other = Arc::new(Record {
        in_sync: vec![first_copy(DATA1)],
        ..Record::clone(&held)
    });
    let reply = cluster
        .beats(DATA1, MONITOR, 1, Some(held.clone()))
        .unwrap();
    assert_eq!(reply.accepted, Some(held.key));
    let reply = cluster.beats(DATA1, MONITOR, 1, Some(other)).unwrap();
    assert_eq!(reply.accepted, None);
    assert_eq!(cluster.record(MONITOR), Some(held));
}

#[test]
fn r6_a_restarted_daemon_leads_on_and_leaves_the_gate_alone_until_its_record_is_committed() {
    let mut cluster = Cluster::in_sync();
    let term = cluster.term(DATA1);
    cluster.lose(|s| matches!(&s.message.body, Body::HeartbeatReply(r) if r.accepted.is_some()));
    cluster.restart_daemon(DATA1, ms(300));
    assert!(cluster.said(DATA1, "resumes"));
    cluster.run_for(secs(2));
    assert_eq!(cluster.term(DATA1), term);
    for target in &cluster.host(DATA1).targets {
        assert_eq!(target.want, Want::AS_FOUND);
    }
    cluster.lose_nothing();
    cluster.run_for(secs(5));
    assert!(cluster.is_in_sync());
    assert_eq!(cluster.longest_gap(), secs(0));
    cluster.over();
}

/// F5 in model2.md: neither the primary of the term nor seen running; nobody else is eligible.
#[test]
fn r6_a_daemon_restarted_in_the_middle_of_a_promotion_leads_on() {
    let mut cluster = Cluster::powered_off();
    for m in [DATA1, DATA2, MONITOR] {
        cluster.start(m);
    }
    cluster.run_until("promoted", D + secs(2), |c| {
        c.db(DATA1).role() == DbRole::Promoting
    });
    let term = cluster.term(DATA1);
    cluster.restart_daemon(DATA1, ms(50));
    cluster.run_until("data1 serves", secs(1), |c| c.served_by() == Some(DATA1));
    assert_eq!(cluster.term(DATA1), term);
    cluster.run_until("in sync", secs(5), Cluster::is_in_sync);
    cluster.over();
}

#[test]
fn r6_no_daemon_resumes_a_term_that_it_did_not_vote_for_itself_in() {
    let mut cluster = Cluster::in_sync();
    cluster.kill_daemon(DATA1);
    cluster.host_mut(DATA1).disk.as_mut().unwrap().voted_for = Some(DATA2);
    cluster.start(DATA1);
    assert!(!cluster.said(DATA1, "resumes"));
    let mut cluster = Cluster::in_sync();
    cluster.kill_daemon(DATA1);
    let disk = cluster.host_mut(DATA1).disk.as_mut().unwrap();
    let term = disk.record.as_ref().unwrap().key.term.0;
    disk.record = Some(Arc::new(Record {
        key: key(term - 1, 99),
        ..Record::clone(disk.record.as_ref().unwrap())
    }));
    cluster.start(DATA1);
    assert!(!cluster.said(DATA1, "resumes"));
}

/// An answer to a heartbeat of the previous daemon run promises for less long than it would seem.
#[test]
fn r10_a_resumed_leader_counts_no_answer_to_its_predecessors_heartbeats() {
    let mut cluster = Cluster::in_sync();
    let last_round = |c: &Cluster| {
        c.sent_by(DATA1)
            .filter_map(|s| match &s.message.body {
                Body::Heartbeat(h) => Some(h.round),
                _ => None,
            })
            .collect::<Vec<_>>()
    };
    cluster.run_for(secs(1));
    let old = last_round(&cluster);
    cluster.mark();
    cluster.restart_daemon(DATA1, ms(100));
    cluster.run_for(secs(2));
    let new = last_round(&cluster);
    assert!(
        new.iter().all(|round| old.iter().all(|o| o < round)),
        "{old:?} {new:?}"
    );
    cluster.over();
}

#[test]
fn r6_a_resumed_lone_primary_serves_on_when_it_can_reach_nobody() {
    let mut cluster = Cluster::lone();
    cluster.cut_off(DATA1);
    cluster.restart_daemon(DATA1, ms(100));
    cluster.run_for(secs(30));
    assert_eq!(cluster.longest_gap(), secs(0));
    cluster.heal();
    cluster.run_for(secs(10));
    assert_eq!(cluster.longest_gap(), secs(0));
    assert_eq!(cluster.leader(), Some(DATA1));
    cluster.over();
}

#[test]
fn r6_the_record_holds_exactly_the_promotions_of_the_primarys_copy() {
    let mut cluster = Cluster::in_sync();
    for _ in 0..2 {
        let leader = cluster.leader().unwrap();
        cluster.kill_database(leader);
        cluster.run_for(secs(1));
        cluster.run_until("in sync", secs(20), Cluster::is_in_sync);
        let leader = cluster.leader().unwrap();
        let record = cluster.committed(leader).unwrap();
        assert_eq!(record.promotions, cluster.db(leader).history);
    }
    cluster.over();
}

#[test]
fn r11_what_the_record_names_is_not_discarded() {
    // data1 died as the primary with a write that nobody has; its copy is named until data2 shrinks it out.
    let mut cluster = Cluster::in_sync();
    cluster.power_off(DATA1);
    cluster.db_mut(DATA1).end.0 += 500;
    cluster.run_until("data2 is committed", D + secs(1), |c| {
        c.committed(DATA2).is_some_and(|r| r.primary == DATA2)
    });
    // The shrink does not come through for a while.
    cluster.lose(|s| {
        matches!(&s.message.body, Body::Heartbeat(h)
            if h.record.as_ref().is_some_and(|r| r.is_lone()))
    });
    cluster.start(DATA1);
    cluster.run_for(secs(2));
    assert_eq!(cluster.db(DATA1).discarded, 0);
    for target in &cluster.host(DATA1).targets {
        let named = target
            .record
            .as_ref()
            .is_some_and(|r| r.copy_of(DATA1).is_some());
        let discards = matches!(
            target.want,
            Want::Standby {
                may_discard: true,
                ..
            }
        );
        assert!(!(named && discards), "{target:?}");
    }
    cluster.lose_nothing();
    cluster.run_until("in sync", secs(20), Cluster::is_in_sync);
    assert_eq!(
        cluster.db(DATA1).discarded,
        1,
        "what nobody has is discarded"
    );
    cluster.over();
}

#[test]
fn r11_a_restarted_standbys_daemon_discards_nothing_before_it_has_looked() {
    let mut cluster = Cluster::in_sync();
    cluster.restart_daemon(DATA2, ms(1));
    // The leader is heard before the steward says what there is.
    let record = cluster.record(DATA1).unwrap();
    let committed = Some(record.key);
    let body = Body::Heartbeat(yoke_core::message::Heartbeat {
        round: u64::MAX / 2,
        promise: D,
        record: None,
        committed,
        follow: true,
        leaving: false,
        sightings: Vec::new(),
    });
    cluster.inject(DATA1, DATA2, record.key.term.0, body);
    cluster.run_for(secs(1));
    for target in &cluster.host(DATA2).targets {
        assert!(
            !matches!(
                target.want,
                Want::Standby {
                    may_discard: true,
                    ..
                }
            ),
            "{target:?}"
        );
    }
    cluster.over();
}

#[test]
fn r11_nothing_is_discarded_on_a_record_that_is_not_known_committed() {
    let mut cluster = Cluster::in_sync();
    cluster.cut(DATA1, DATA2);
    cluster.run_until("lone", secs(5), |c| {
        c.committed(DATA1).is_some_and(|r| r.is_lone())
    });
    // The record that leaves data2 out reaches it, but nobody says that it is committed.
    let lone = cluster.record(DATA1).unwrap();
    cluster.passes_on(MONITOR, DATA2, lone.key.term.0, &lone);
    cluster.run_for(ms(500));
    assert_eq!(cluster.record(DATA2), Some(lone));
    for target in &cluster.host(DATA2).targets {
        assert!(!matches!(
            target.want,
            Want::Standby {
                may_discard: true,
                ..
            }
        ));
    }
    cluster.over();
}
