//! Lost memory: a member that lost its state file, and how it joins again (R12). One that is older than it should be:
//! `node_old_state`.
#![allow(clippy::unwrap_used)]

mod scenario;

use scenario::*;
use yoke_core::member::MemberId;
use yoke_core::message::{Body, RefusedBecause};
use yoke_core::record::Term;
use yoke_core::view::RoleView;

/// The host loses its power and this of its disk, and comes back at once.
fn loses_state(cluster: &mut Cluster, m: MemberId) {
    cluster.power_off(m);
    cluster.host_mut(m).disk = None;
    cluster.start(m);
}

fn is_out(cluster: &Cluster, m: MemberId) -> bool {
    cluster.node(m).view().role == RoleView::WithoutState
}

#[test]
fn r12_a_lost_monitor_joins_again_by_itself() {
    let mut cluster = Cluster::in_sync();
    loses_state(&mut cluster, MONITOR);
    cluster.run_until("the monitor has state", secs(1), |c| !is_out(c, MONITOR));
    assert_eq!(cluster.record(MONITOR), cluster.record(DATA1));
    assert_eq!(cluster.term(MONITOR), cluster.term(DATA1));
    // Its vote is good again, once its silence is over.
    cluster.run_for(D + secs(1));
    cluster.power_off(DATA1);
    cluster.run_until("data2 serves", D + secs(1), |c| {
        c.served_by() == Some(DATA2)
    });
    cluster.over();
}

#[test]
fn r12_every_member_alone_joins_again_and_nothing_stops() {
    for m in [DATA2, MONITOR] {
        let mut cluster = Cluster::in_sync();
        loses_state(&mut cluster, m);
        cluster.run_until("in sync again", secs(20), |c| {
            !is_out(c, m) && c.is_in_sync()
        });
        assert_eq!(cluster.leader(), Some(DATA1));
        cluster.over();
    }
}

#[test]
fn r12_a_primary_that_lost_its_state_becomes_a_standby_or_is_elected_again() {
    let mut cluster = Cluster::in_sync();
    loses_state(&mut cluster, DATA1);
    cluster.run_until("in sync again", D + D + secs(10), Cluster::is_in_sync);
    assert!(!is_out(&cluster, DATA1));
    cluster.over();
}

/// B8: monitor and standby are replaced at once; the lone primary answers each alone.
#[test]
fn r12_the_leader_of_a_committed_lone_record_may_answer_alone() {
    let mut cluster = Cluster::lone();
    loses_state(&mut cluster, MONITOR);
    cluster.run_until("the monitor has state", secs(1), |c| !is_out(c, MONITOR));
    cluster.host_mut(DATA2).disk = None;
    cluster.start(DATA2);
    cluster.run_until("in sync again", secs(30), Cluster::is_in_sync);
    cluster.over();
}

/// An answer of the leader is not enough while its record names another copy: that one may have been elected since.
#[test]
fn r12_the_leader_of_two_copies_may_not_answer_alone() {
    let mut cluster = Cluster::in_sync();
    cluster.cut(DATA2, MONITOR);
    loses_state(&mut cluster, MONITOR);
    cluster.run_for(secs(5));
    assert!(is_out(&cluster, MONITOR));
    let why = cluster.node(MONITOR).view().stays_out.unwrap();
    assert!(why.contains("data2") && why.contains("start yoke"), "{why}");
    cluster.heal();
    cluster.run_until("the monitor has state", secs(1), |c| !is_out(c, MONITOR));
    cluster.over();
}

#[test]
fn r12_members_without_state_do_not_answer_each_other() {
    let mut cluster = Cluster::in_sync();
    for m in [DATA2, MONITOR] {
        cluster.power_off(m);
        cluster.host_mut(m).disk = None;
    }
    for m in [DATA2, MONITOR] {
        cluster.start(m);
    }
    cluster.run_for(secs(20));
    for m in [DATA2, MONITOR] {
        assert!(is_out(&cluster, m), "{m}");
    }
    let why = cluster.node(MONITOR).view().stays_out.unwrap();
    assert!(why.contains("data2 lost its state file, too"), "{why}");
    cluster.over();
}

/// The question is younger than the loss: an answer to an older one may be from before it (F5 in model.md).
#[test]
fn r12_an_answer_to_an_older_question_does_not_count() {
    let mut cluster = Cluster::in_sync();
    cluster.lose(|s| s.to == MONITOR && matches!(s.message.body, Body::Answer { .. }));
    let record = cluster.record(DATA1).unwrap();
    loses_state(&mut cluster, MONITOR);
    cluster.run_for(ms(500));
    for m in [DATA1, DATA2] {
        cluster.passes_on(m, MONITOR, 1, &record);
    }
    cluster.run_for(ms(10));
    assert!(is_out(&cluster, MONITOR));
}

#[test]
fn r12_the_adopted_term_counts_as_voted_in_and_its_promise_as_given() {
    let mut cluster = Cluster::in_sync();
    loses_state(&mut cluster, MONITOR);
    cluster.run_until("the monitor has state", secs(1), |c| !is_out(c, MONITOR));
    let term = cluster.term(MONITOR).0;
    let voted = cluster.refusal(DATA2, MONITOR, term).unwrap();
    assert_eq!(voted, RefusedBecause::VotedForAnother);
    let voted = cluster.refusal(DATA1, MONITOR, term).unwrap();
    assert_eq!(voted, RefusedBecause::VotedForAnother);
    // R5: silent for the D that its peers name, whatever it has forgotten.
    cluster.lose(|s| matches!(s.message.body, Body::Heartbeat(_)));
    cluster.run_for(D - secs(1));
    let silent = cluster.refusal(DATA2, MONITOR, term + 7).unwrap();
    assert!(
        matches!(silent, RefusedBecause::Silent | RefusedBecause::Promised),
        "{silent:?}"
    );
}

/// Under a guard that outlived the loss: it refuses every order of a lower term than it has seen (R16).
#[test]
fn r12_who_joins_again_is_not_below_its_guard() {
    let mut cluster = Cluster::in_sync();
    cluster.kill_daemon(DATA2);
    cluster.host_mut(DATA2).disk = None;
    let seen = Term(cluster.term(DATA1).0 + 7);
    cluster.db_mut(DATA2).guard.term = seen;
    cluster.start(DATA2);
    cluster.run_until("data2 has state", secs(1), |c| !is_out(c, DATA2));
    assert!(cluster.term(DATA2) >= seen);
    cluster.run_until("in sync again", secs(30), Cluster::is_in_sync);
    cluster.over();
}

/// What it led is forgotten with what it proposed in it: it does not lead that term on.
#[test]
fn r12_nobody_resumes_an_adopted_term() {
    let mut cluster = Cluster::lone();
    let term = cluster.term(DATA1);
    cluster.cut(DATA1, DATA2);
    cluster.start(DATA2);
    cluster.run_for(ms(200));
    cluster.kill_daemon(DATA1);
    cluster.host_mut(DATA1).disk = None;
    cluster.heal();
    cluster.start(DATA1);
    cluster.run_until("data1 has state", secs(1), |c| !is_out(c, DATA1));
    assert_eq!(cluster.term(DATA1), term);
    cluster.restart_daemon(DATA1, ms(50));
    assert!(!cluster.said(DATA1, "resumes"));
    cluster.run_until("data1 serves", D + D + secs(2), |c| {
        c.served_by() == Some(DATA1) && c.leader() == Some(DATA1)
    });
    assert!(cluster.term(DATA1) > term);
    cluster.over();
}
