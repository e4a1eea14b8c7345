//! A state file brought back from an older copy: who notices that, and what it may not hide (R12).
#![allow(clippy::unwrap_used)]

mod scenario;

use scenario::*;
use yoke_core::member::MemberId;
use yoke_core::message::{Body, Message, Reached, RefusedBecause};
use yoke_core::postgres::Lsn;
use yoke_core::record::CopyId;
use yoke_core::view::RoleView;

const ALL: [MemberId; 3] = [DATA1, DATA2, MONITOR];

/// A hand-over: every member writes its state.
fn the_role_moves(cluster: &mut Cluster) {
    cluster.demote(DATA1);
    cluster.run_until("data2 serves", secs(5), |c| c.served_by() == Some(DATA2));
    cluster.run_until("in sync again", secs(30), Cluster::is_in_sync);
    cluster.run_for(secs(2));
    cluster.mark();
}

fn is_out(cluster: &Cluster, m: MemberId) -> bool {
    cluster.node(m).view().role == RoleView::WithoutState
}

/// The count found at the start is below what a peer has seen.
#[test]
fn r12_a_state_restored_from_an_older_copy_is_noticed() {
    for m in ALL {
        let mut cluster = Cluster::in_sync();
        let old = cluster.host(m).disk.clone();
        the_role_moves(&mut cluster);
        cluster.power_off(m);
        cluster.host_mut(m).disk = old;
        cluster.start(m);
        cluster.run_until("it says so", secs(1), |c| c.said(m, "its state file is"));
        cluster.run_until("it joins again", secs(1), |c| !is_out(c, m));
        cluster.run_until("in sync again", secs(30), Cluster::is_in_sync);
        cluster.over();
    }
}

/// The witness was told by the leader's heartbeats, and refuses although the primary is gone.
#[test]
fn r12_a_leader_passes_on_what_it_has_seen() {
    let mut cluster = Cluster::in_sync();
    let old = cluster.host(DATA2).disk.clone();
    cluster.run_for(secs(5));
    cluster.power_off(DATA1);
    cluster.power_off(DATA2);
    cluster.host_mut(DATA2).disk = old;
    cluster.start(DATA2);
    cluster.run_for(D + D);
    assert!(is_out(&cluster, DATA2));
    assert_eq!(cluster.leader(), None);
    let why = cluster.node(DATA2).view().stays_out.unwrap();
    assert!(why.contains("data1"), "{why}");
    cluster.start(DATA1);
    cluster.run_until("in sync again", secs(30), Cluster::is_in_sync);
    cluster.over();
}

/// The monitor with an old state whose count has overtaken what was seen, by terms that nobody else heard of.
fn overtaken() -> Cluster {
    let mut cluster = Cluster::in_sync();
    let old = cluster.host(MONITOR).disk.clone();
    the_role_moves(&mut cluster);
    cluster.power_off(MONITOR);
    let seen = cluster.host(MONITOR).disk.as_ref().map(|s| s.writes);
    cluster.host_mut(MONITOR).disk = old;
    cluster.cut_off(MONITOR);
    cluster.start(MONITOR);
    for term in 50..70 {
        cluster.inject(DATA1, MONITOR, term, Body::Ask { nonce: 1 });
        cluster.run_for(ms(10));
    }
    assert!(cluster.host(MONITOR).disk.as_ref().map(|s| s.writes) > seen);
    assert!(!is_out(&cluster, MONITOR));
    cluster
}

/// By the time somebody listens the old count has overtaken what was seen: the one found at the start tells.
#[test]
fn r12_writes_of_its_own_do_not_hide_an_old_state() {
    let mut cluster = overtaken();
    // It is heard before it hears anything.
    cluster.lose(|s| s.to == MONITOR);
    cluster.heal();
    cluster.run_for(secs(1));
    cluster.lose_nothing();
    cluster.run_until("it says so", secs(1), |c| {
        c.said(MONITOR, "its state file is an old one")
    });
    cluster.run_until("it joins again", secs(1), |c| !is_out(c, MONITOR));
    cluster.over();
}

/// It forgets durably: its own writes would hide the loss from its next start.
#[test]
fn r12_what_was_forgotten_stays_so_over_a_restart() {
    let mut cluster = overtaken();
    cluster.lose(|s| matches!(s.message.body, Body::Answer { .. }));
    cluster.heal();
    cluster.run_until("it says so", secs(1), |c| is_out(c, MONITOR));
    cluster.run_for(ms(10));
    cluster.restart_daemon(MONITOR, ms(10));
    cluster.run_for(secs(1));
    assert!(is_out(&cluster, MONITOR));
    cluster.lose_nothing();
    cluster.run_until("it joins again", secs(1), |c| !is_out(c, MONITOR));
    cluster.over();
}

/// The state is written before the stamp (R15).
#[test]
fn r12_a_state_older_than_its_stamp_is_lost() {
    let mut cluster = Cluster::in_sync();
    let old = cluster.host(DATA2).disk.clone();
    the_role_moves(&mut cluster);
    cluster.power_off(DATA2);
    cluster.host_mut(DATA2).disk = old;
    cluster.cut_off(DATA2);
    cluster.start(DATA2);
    cluster.run_for(secs(1));
    assert!(cluster.said(DATA2, "older than the stamp"));
    assert!(is_out(&cluster, DATA2));
    cluster.over();
}

/// What others tell it before it has looked at its directory would make it as new as the stamp, and hide the loss.
#[test]
fn r12_nothing_is_learnt_before_the_directory_was_looked_at() {
    let mut cluster = Cluster::in_sync();
    let old = cluster.host(DATA2).disk.clone();
    the_role_moves(&mut cluster);
    let record = cluster.record(DATA2).unwrap();
    let term = cluster.term(DATA2).0;
    cluster.power_off(DATA2);
    cluster.host_mut(DATA2).disk = old;
    cluster.cut_off(DATA2);
    cluster.start(DATA2);
    cluster.passes_on(MONITOR, DATA2, term, &record);
    cluster.inject(MONITOR, DATA2, term, Body::Ask { nonce: 1 });
    cluster.run_for(secs(1));
    assert!(cluster.said(DATA2, "older than the stamp"));
    assert!(is_out(&cluster, DATA2));
    cluster.over();
}

/// Nobody takes a vote request or an acceptance of one that has forgotten, before it knows that itself.
#[test]
fn r12_who_has_forgotten_gets_no_vote() {
    let mut cluster = Cluster::in_sync();
    let old = cluster.host(DATA2).disk.clone();
    cluster.run_for(secs(5));
    cluster.power_off(DATA1);
    cluster.power_off(DATA2);
    cluster.host_mut(DATA2).disk = old;
    // Nothing that the monitor says reaches data2, so that it learns nothing.
    cluster.lose(|s| s.from == MONITOR);
    cluster.start(DATA2);
    cluster.run_for(D + D + secs(1));
    assert!(cluster.campaigned(DATA2));
    let forgot = cluster.sent_by(MONITOR).any(|s| match &s.message.body {
        Body::VoteReply(r) => r.refusal.as_ref().map(|r| r.why) == Some(RefusedBecause::Forgot),
        _ => false,
    });
    assert!(forgot);
    cluster.over();
}

/// A voter knows what a copy has flushed, and refuses one that ends below that.
#[test]
fn r12_a_voter_refuses_a_copy_that_ends_below_what_it_knows_flushed() {
    let mut cluster = Cluster::in_sync();
    cluster.run_for(secs(1));
    cluster.cut_off(DATA1);
    cluster.lose(|s| s.from == DATA2);
    cluster.run_for(D + ms(10));
    let record = cluster.record(MONITOR).unwrap();
    let copy = record.copy_of(DATA2).unwrap().id;
    let term = cluster.term(MONITOR).0 + 1;
    let end = cluster.db(DATA2).end;
    // Two heartbeats of commits are known of.
    let below = Lsn(end.0 - 700);
    let why = cluster.asks_vote_at(DATA2, MONITOR, term, record.clone(), copy, below);
    assert_eq!(why, Some(RefusedBecause::FellBack));
    // Of another copy it knows nothing; and this one is good at its end.
    let other = cluster.asks_vote_at(DATA2, MONITOR, term, record.clone(), CopyId(9), below);
    assert_eq!(other, Some(RefusedBecause::NotEligible));
    let why = cluster.asks_vote_at(DATA2, MONITOR, term, record, copy, end);
    assert_eq!(why, None);
}

/// What a daemon said of the copy before this one comes late: nothing was written since, and still this one stands.
#[test]
fn r12_the_late_word_of_an_earlier_start_does_not_hide_what_was_seen() {
    let mut cluster = Cluster::in_sync();
    cluster.run_for(secs(1));
    let of_data2 = |s: &&Sent| matches!(s.message.body, Body::HeartbeatReply(_));
    let said = cluster.sent_by(DATA2).filter(of_data2).last().unwrap();
    let mut late = Message {
        seen: None,
        ..said.message.clone()
    };
    cluster.cut_off(DATA1);
    cluster.lose(|s| s.from == DATA2);
    cluster.run_for(D + ms(10));
    cluster.hand_in(DATA2, MONITOR, late.clone());
    let (Some(presence), Body::HeartbeatReply(reply)) = (&mut late.presence, &mut late.body) else {
        panic!("{late:?}");
    };
    (presence.start, presence.found) = (presence.start + 1, presence.writes);
    let end = reply.report.end;
    (reply.report.copy, reply.report.end) = (Some(CopyId(9)), Lsn(1));
    cluster.hand_in(DATA2, MONITOR, late);
    let record = cluster.record(MONITOR).unwrap();
    let copy = record.copy_of(DATA2).unwrap().id;
    let term = cluster.term(MONITOR).0 + 1;
    let below = Lsn(end.0 - 1);
    let why = cluster.asks_vote_at(DATA2, MONITOR, term, record, copy, below);
    assert_eq!(why, Some(RefusedBecause::FellBack));
}

/// A leader knows of a new start, and of the copy only what an earlier one said: that does not hide what was said since.
#[test]
fn r12_an_old_word_passed_on_as_of_a_new_start_hides_nothing() {
    let mut cluster = Cluster::in_sync();
    cluster.run_for(secs(1));
    let beats = |s: &&Sent| matches!(s.message.body, Body::Heartbeat(_)) && s.to == MONITOR;
    let mut relay = cluster
        .sent_by(DATA1)
        .filter(beats)
        .last()
        .unwrap()
        .message
        .clone();
    cluster.cut_off(DATA1);
    cluster.lose(|s| s.from == DATA2);
    let Body::Heartbeat(beat) = &mut relay.body else {
        panic!("{relay:?}");
    };
    let of_data2 = beat.sightings[usize::from(DATA2.0)].as_mut().unwrap();
    let (copy, end) = of_data2.reached.map(|r| (r.copy, r.end)).unwrap();
    of_data2.presence.start += 1;
    of_data2.presence.found = of_data2.presence.writes;
    of_data2.reached_at -= 1;
    of_data2.reached = of_data2.reached.map(|r| Reached {
        copy: CopyId(9),
        ..r
    });
    cluster.hand_in(DATA1, MONITOR, relay);
    cluster.run_for(D + ms(10));
    let record = cluster.record(MONITOR).unwrap();
    let term = cluster.term(MONITOR).0 + 1;
    let below = Lsn(end.0 - 1);
    let why = cluster.asks_vote_at(DATA2, MONITOR, term, record, copy, below);
    assert_eq!(why, Some(RefusedBecause::FellBack));
}

/// A restart is no loss, however often and whenever.
#[test]
fn r12_a_restart_is_no_loss() {
    let mut cluster = Cluster::in_sync();
    for round in 0..12 {
        for m in [DATA2, MONITOR] {
            cluster.power_off(m);
            cluster.run_for(ms(7 * round));
            cluster.start(m);
            cluster.run_for(ms(13 * round));
        }
    }
    cluster.run_until("in sync again", secs(60), Cluster::is_in_sync);
    for m in ALL {
        assert!(!cluster.said(m, "state file is") && !cluster.said(m, "went back in time"));
    }
    cluster.over();
}
