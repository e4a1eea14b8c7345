//! The lease and the guard's permission (R10).
#![allow(clippy::unwrap_used)]

mod scenario;

use scenario::*;
use yoke_core::Event;
use yoke_core::message::{Body, RefusedBecause};
use yoke_core::permission::{GuardView, Lasts, Permission};
use yoke_core::postgres::Lsn;
use yoke_core::time::{Duration, Instant};

const LEASE: Duration = Duration::millis(3250);

fn lease_end(cluster: &Cluster) -> Option<Instant> {
    match cluster.db(DATA1).guard.permission.lasts {
        Lasts::Until(end) => Some(end),
        _ => None,
    }
}

/// The newest heartbeat of data1 that somebody had promised for by now, by when it was sent.
fn newest_answered(cluster: &Cluster) -> Instant {
    let sent_at = |round: u64| {
        cluster
            .sent_by(DATA1)
            .find(|s| matches!(&s.message.body, Body::Heartbeat(h) if h.round == round))
            .map(|s| s.at)
    };
    cluster
        .sent
        .iter()
        .filter_map(|s| match &s.message.body {
            Body::HeartbeatReply(r) if s.to == DATA1 && r.promised => sent_at(r.round),
            _ => None,
        })
        .max()
        .unwrap()
}

#[test]
fn r10_the_lease_counts_from_before_the_heartbeat_was_sent() {
    let mut cluster = Cluster::in_sync();
    cluster.wire_time = ms(100);
    cluster.run_for(secs(2));
    for _ in 0..2000 {
        cluster.run_for(ms(1));
        let end = lease_end(&cluster).unwrap();
        assert!(end <= newest_answered(&cluster) + LEASE);
    }
    cluster.over();
}

/// A guard that takes late what an earlier daemon gave, when the present one has found it without: that ends, or this member
/// would count as one whose database may serve.
#[test]
fn r10_what_an_earlier_daemon_gave_is_ended() {
    let mut cluster = Cluster::in_sync();
    let late = Permission {
        term: cluster.term(DATA2),
        serial: 99,
        lasts: Lasts::Unbounded,
    };
    cluster.db_mut(DATA2).guard.permission = late;
    cluster.run_for(ms(100));
    let held = cluster.db(DATA2).guard.permission;
    assert!(held.order() > late.order(), "{held}");
    assert_eq!(held.lasts, Lasts::Ended);
    cluster.over();
}

#[cfg(feature = "mutants")]
#[test]
fn r10_mutant_the_lease_counts_from_the_answers_arrival() {
    let mut cluster = Cluster::in_sync();
    cluster.config.mutant = Some(yoke_core::mutant::Mutant::R10LeaseFromArrival);
    cluster.restart_daemon(DATA1, ms(1));
    cluster.wire_time = ms(100);
    cluster.run_for(secs(2));
    let too_long = (0..500).any(|_| {
        cluster.run_for(ms(1));
        lease_end(&cluster).unwrap() > newest_answered(&cluster) + LEASE
    });
    assert!(too_long);
}

#[test]
fn r10_at_the_leases_end_the_guard_fences_and_the_leader_sends_no_more() {
    let mut cluster = Cluster::in_sync();
    cluster.cut_off(DATA1);
    cluster.run_for(LEASE + ms(30));
    assert_eq!(cluster.db(DATA1).guard.serving, None);
    assert_ne!(cluster.leader(), Some(DATA1));
    let now = cluster.now;
    cluster.run_for(secs(1));
    let late = cluster
        .sent_by(DATA1)
        .any(|s| s.at > now && matches!(s.message.body, Body::Heartbeat(_)));
    assert!(!late);
    cluster.run_until("data2 serves", D, |c| c.served_by() == Some(DATA2));
    cluster.over();
}

/// B3: heartbeats that nobody answers to must not renew the monitor's promise for ever.
#[test]
fn r10_a_leader_that_hears_nobody_leaves_the_others_free() {
    let mut cluster = Cluster::in_sync();
    cluster.cut(DATA1, DATA2);
    cluster.cut_one_way(MONITOR, DATA1);
    cluster.run_until("data2 serves", LEASE + D + secs(1), |c| {
        c.served_by() == Some(DATA2)
    });
    cluster.over();
}

#[test]
fn r10_a_leader_whose_daemon_hangs_is_fenced_before_another_serves() {
    let mut cluster = Cluster::in_sync();
    cluster.kill_daemon(DATA1);
    cluster.run_for(LEASE + ms(300));
    assert_eq!(cluster.db(DATA1).role(), DbRole::Down);
    assert_ne!(cluster.served_by(), Some(DATA2));
    cluster.over();
}

#[test]
fn r10_only_a_committed_lone_record_needs_no_lease() {
    let mut cluster = Cluster::in_sync();
    cluster.power_off(DATA2);
    let mut proposed = false;
    for _ in 0..4000 {
        cluster.run_for(ms(1));
        let unbounded = cluster.db(DATA1).guard.permission.lasts == Lasts::Unbounded;
        let lone = cluster.committed(DATA1).is_some_and(|r| r.is_lone());
        proposed |= !lone && cluster.record(DATA1).is_some_and(|r| r.is_lone());
        assert!(!unbounded || lone);
    }
    assert!(proposed);
    assert_eq!(cluster.db(DATA1).guard.permission.lasts, Lasts::Unbounded);
    cluster.over();
}

#[test]
fn r10_a_record_naming_another_copy_waits_for_the_guards_lease() {
    let mut cluster = Cluster::lone();
    cluster.start(DATA2);
    let mut grown = false;
    while !grown {
        cluster.run_for(ms(1));
        assert!(cluster.since_mark() < secs(10));
        grown = cluster.record(DATA1).is_some_and(|r| !r.is_lone());
    }
    assert!(lease_end(&cluster).is_some_and(|end| end > cluster.now));
    cluster.run_until("in sync", secs(5), Cluster::is_in_sync);
    cluster.over();
}

/// The guard has the lease, the daemon does not hear of it: no growth.
#[test]
fn r10_without_the_guards_confirmation_nothing_grows() {
    let mut cluster = Cluster::lone();
    cluster.host_mut(DATA1).guard_hangs = true;
    cluster.start(DATA2);
    cluster.run_for(secs(10));
    assert!(cluster.record(DATA1).unwrap().is_lone());
    cluster.host_mut(DATA1).guard_hangs = false;
    cluster.run_until("in sync", secs(30), Cluster::is_in_sync);
    cluster.over();
}

/// Its host does not run from the moment in which it orders its promotion. Awake again, the permission is over, and the
/// guard has not said yet that there is something to fence.
#[test]
fn r10_who_has_ordered_a_promotion_votes_for_nobody_before_the_guard_has_spoken() {
    let mut cluster = Cluster::in_sync();
    cluster.power_off(DATA1);
    cluster.run_until("data2 leads", secs(10), |c| c.leader() == Some(DATA2));
    cluster.host_mut(DATA2).guard_hangs = true;
    cluster.run_until("data2 is promoted", secs(10), |c| {
        c.db(DATA2).role() == DbRole::Promoting
    });
    let before = GuardView {
        serving: None,
        ..cluster.db(DATA2).guard
    };
    cluster.handle(DATA2, Event::Guard(before));
    cluster.now = cluster.now + LEASE + D;
    let term = cluster.term(DATA2).0;
    let record = cluster.record(DATA2).unwrap();
    let copy = record.copy_of(DATA1).unwrap().id;
    let refused = cluster.asks_vote_at(DATA1, DATA2, term + 1, record, copy, Lsn(u64::MAX));
    assert_eq!(refused, Some(RefusedBecause::PrimaryRuns));
    cluster.host_mut(DATA2).guard_hangs = false;
    cluster.run_until("data2 serves", D + secs(2), |c| {
        c.served_by() == Some(DATA2)
    });
    cluster.over();
}

#[test]
fn r10_an_older_permission_changes_nothing() {
    // The growth's lease reaches the guard before the "no end" that the disk still holds back.
    let mut cluster = Cluster::lone();
    let serial = cluster.db(DATA1).guard.permission.serial;
    cluster.start(DATA2);
    cluster.run_until("in sync", secs(10), Cluster::is_in_sync);
    assert!(cluster.db(DATA1).guard.permission.serial > serial);
    cluster.over();
}

#[test]
fn r10_a_primary_is_stopped_before_another_leader_is_heard() {
    let mut cluster = Cluster::in_sync();
    let record = cluster.record(DATA1).unwrap();
    let term = record.key.term.0 + 5;
    let theirs = std::sync::Arc::new(yoke_core::record::Record {
        key: key(term, record.key.version + 1),
        primary: DATA2,
        ..yoke_core::record::Record::clone(&record)
    });
    cluster.cut_off(DATA1);
    let reply = cluster
        .beats(DATA2, DATA1, term, Some(theirs.clone()))
        .unwrap();
    assert!(!reply.promised);
    assert_eq!(cluster.record(DATA1), Some(record), "not taken up yet");
    cluster.run_for(ms(100));
    assert_eq!(cluster.db(DATA1).guard.serving, None);
    let reply = cluster
        .beats(DATA2, DATA1, term, Some(theirs.clone()))
        .unwrap();
    assert_eq!((reply.promised, reply.accepted), (true, Some(theirs.key)));
    cluster.over();
}

#[test]
fn r10_a_primary_is_stopped_before_anothers_record_is_taken_up() {
    let mut cluster = Cluster::lone();
    let record = cluster.record(DATA1).unwrap();
    let term = record.key.term.0 + 5;
    let theirs = yoke_core::record::Record {
        key: key(term, record.key.version + 1),
        primary: DATA2,
        in_sync: vec![first_copy(DATA2)],
        ..yoke_core::record::Record::clone(&record)
    };
    cluster.cut_off(DATA1);
    cluster.passes_on(DATA2, DATA1, term, &theirs);
    assert_eq!(cluster.record(DATA1), Some(record));
    cluster.run_for(ms(100));
    assert_eq!(cluster.db(DATA1).guard.serving, None);
    cluster.passes_on(DATA2, DATA1, term, &theirs);
    assert_eq!(cluster.record(DATA1).unwrap().key, theirs.key);
    cluster.over();
}

#[test]
fn r10_no_vote_for_another_while_ones_own_primary_may_serve() {
    let mut cluster = Cluster::lone();
    cluster.cut_off(DATA1);
    // Deposed by a higher term, its database serves on without a lease; its promise to itself runs out.
    let body = Body::Ask { nonce: 1 };
    cluster.inject(MONITOR, DATA1, 50, body);
    cluster.run_for(D + secs(1));
    assert_eq!(cluster.served_by(), Some(DATA1));
    let mut record = yoke_core::record::Record::clone(&cluster.record(DATA1).unwrap());
    record.in_sync.push(first_copy(DATA2));
    let term = cluster.term(DATA1).0 + 10;
    let copy = first_copy(DATA2).id;
    let reply = cluster.asks_vote(DATA2, DATA1, term, Some(std::sync::Arc::new(record)), copy);
    assert!(reply.unwrap().refusal.is_some());
    cluster.over();
}

#[test]
fn r10_a_leader_elected_again_keeps_its_database_serving() {
    let mut cluster = Cluster::lone();
    let term = cluster.term(DATA1);
    cluster.inject(MONITOR, DATA1, term.0 + 5, Body::Ask { nonce: 1 });
    cluster.run_for(secs(10));
    assert_eq!(cluster.leader(), Some(DATA1));
    assert!(cluster.term(DATA1) > term);
    assert_eq!(cluster.longest_gap(), secs(0));
    cluster.over();
}

#[test]
fn r10_a_guard_that_was_replaced_gets_the_permission_anew() {
    let mut cluster = Cluster::lone();
    // The guard is killed, and its database with it; the next one knows no permission.
    cluster.db_mut(DATA1).guard_is_replaced();
    cluster.run_for(ms(100));
    cluster.run_until("data1 serves", secs(2), |c| c.served_by() == Some(DATA1));
    cluster.over();
}
