//! Terms, votes, promises (R1 to R5).
#![allow(clippy::unwrap_used)]

mod scenario;

use scenario::*;
use std::sync::Arc;
use yoke_core::message::{Body, Refusal, RefusedBecause, VoteReply};
use yoke_core::record::{Record, Term};

/// The monitor alone, its silence after the start over: who asks, asks nobody else.
fn monitor_alone() -> Cluster {
    let mut cluster = Cluster::powered_off();
    cluster.start(MONITOR);
    cluster.run_for(D + ms(1));
    cluster
}

#[test]
fn r1_a_vote_does_not_leave_before_it_is_durable() {
    let mut cluster = Cluster::in_sync();
    cluster.power_off(DATA1);
    cluster.disk_hangs(MONITOR, true);
    cluster.run_for(D + D);
    assert!(cluster.campaigned(DATA2));
    assert!(!cluster.said(MONITOR, "vote in term"));
    assert_ne!(cluster.leader(), Some(DATA2));
    cluster.disk_hangs(MONITOR, false);
    cluster.run_until("data2 serves", secs(2), |c| c.served_by() == Some(DATA2));
    cluster.over();
}

#[test]
fn r1_a_promise_does_not_leave_before_its_length_is_durable() {
    let mut cluster = Cluster::powered_off();
    cluster
        .host_mut(MONITOR)
        .disk
        .as_mut()
        .unwrap()
        .longest_promise = secs(1);
    cluster.start(MONITOR);
    cluster.disk_hangs(MONITOR, true);
    assert!(cluster.beats(DATA1, MONITOR, 1, None).is_none());
    cluster.disk_hangs(MONITOR, false);
    cluster.run_for(ms(3));
    assert_eq!(
        cluster.host(MONITOR).disk.as_ref().unwrap().longest_promise,
        D
    );
    assert!(cluster.sent_by(MONITOR).any(|s| matches!(&s.message.body,
        Body::HeartbeatReply(r) if r.promised)));
}

#[test]
fn r1_stopping_a_database_waits_for_no_disk() {
    let mut cluster = Cluster::in_sync();
    cluster.disk_hangs(DATA1, true);
    // data1 learns that data2 leads term 9.
    cluster.inject(DATA2, DATA1, 9, heartbeat(1, None));
    cluster.run_for(ms(3));
    assert!(cluster.db(DATA1).guard.fencing);
    cluster.run_for(ms(30));
    assert_eq!(cluster.db(DATA1).role(), DbRole::Down);
    cluster.over();
}

#[test]
fn r2_one_vote_a_term() {
    let mut cluster = monitor_alone();
    assert_eq!(cluster.refusal(DATA2, MONITOR, 5), None);
    let other = Some(RefusedBecause::VotedForAnother);
    assert_eq!(cluster.refusal(DATA1, MONITOR, 5), other);
    // The same candidate may ask again; a restart forgets nothing.
    assert_eq!(cluster.refusal(DATA2, MONITOR, 5), None);
    cluster.restart_daemon(MONITOR, ms(1));
    cluster.run_for(D + ms(1));
    assert_eq!(cluster.refusal(DATA1, MONITOR, 5), other);
    assert_eq!(cluster.refusal(DATA1, MONITOR, 6), None);
}

/// Three standbys of one primary stood at once, and nobody won: who waited for the end of the candidacy lost D/10.
#[test]
fn r2_a_term_that_cannot_be_won_any_more_is_given_up_at_once() {
    let mut cluster = Cluster::in_sync();
    cluster.power_off(DATA1);
    cluster.lose(|s| matches!(s.message.body, Body::VoteReply(ref r) if !r.pre));
    cluster.run_until("data2 is a candidate", D + secs(1), |c| {
        c.said(DATA2, "vote for me")
    });
    let term = cluster.term(DATA2);
    let asked = cluster.sent_by(DATA2).find_map(|s| match &s.message.body {
        Body::Vote(candidacy) => Some(candidacy.round),
        _ => None,
    });
    let round = asked.unwrap();
    cluster.lose_nothing();
    for from in [DATA1, MONITOR] {
        let refusal = Some(Refusal {
            why: RefusedBecause::VotedForAnother,
            wait: secs(0),
            record: None,
        });
        let pre = false;
        let reply = VoteReply {
            round,
            pre,
            refusal,
        };
        cluster.inject(from, DATA2, term.0, Body::VoteReply(reply));
    }
    cluster.run_for(ms(80));
    assert_eq!(cluster.leader(), Some(DATA2));
    assert!(cluster.term(DATA2) > term);
    cluster.over();
}

#[test]
fn r2_a_request_of_a_lower_term_is_refused_with_the_refusers_term() {
    let mut cluster = monitor_alone();
    assert_eq!(cluster.refusal(DATA2, MONITOR, 5), None);
    assert_eq!(
        cluster.refusal(DATA1, MONITOR, 4),
        Some(RefusedBecause::OldTerm)
    );
    assert_eq!(cluster.sent.last().unwrap().message.term, Term(5));
}

#[test]
fn r2_a_record_of_a_lower_term_is_refused() {
    let mut cluster = monitor_alone();
    assert_eq!(cluster.refusal(DATA2, MONITOR, 5), None);
    let old = record_of_term(&cluster, 4);
    let reply = cluster.beats(DATA1, MONITOR, 4, Some(old)).unwrap();
    assert_eq!((reply.promised, reply.accepted), (false, None));
}

#[cfg(feature = "mutants")]
#[test]
fn r2_mutant_a_record_of_a_lower_term_is_accepted() {
    let mut cluster = Cluster::powered_off();
    cluster.config.mutant = Some(yoke_core::mutant::Mutant::R2AcceptsLowerTerm);
    cluster.start(MONITOR);
    cluster.run_for(D + ms(1));
    assert_eq!(cluster.refusal(DATA2, MONITOR, 5), None);
    let old = record_of_term(&cluster, 4);
    let reply = cluster.beats(DATA1, MONITOR, 4, Some(old)).unwrap();
    assert_eq!(reply.accepted, Some(key(4, 9)));
}

fn record_of_term(cluster: &Cluster, term: u64) -> Arc<Record> {
    Arc::new(Record {
        key: key(term, 9),
        ..Record::clone(&cluster.record(MONITOR).unwrap())
    })
}

/// B5: the monitor met a higher term; the leader learns it, and is elected again while its database serves on.
#[test]
fn r2_whoever_meets_a_higher_term_takes_it_and_stops_leading() {
    let mut cluster = Cluster::in_sync();
    cluster.kill_daemon(MONITOR);
    cluster.host_mut(MONITOR).disk.as_mut().unwrap().term = Term(50);
    cluster.start(MONITOR);
    cluster.run_for(secs(2));
    insta::assert_snapshot!(cluster.trace());
    assert_eq!(cluster.term(DATA1), Term(51));
    assert_eq!(cluster.longest_gap(), secs(0));
    assert_eq!(cluster.watch.moves, 0);
    cluster.over();
}

#[test]
fn r3_an_old_record_is_refused_and_the_newer_comes_with_the_refusal() {
    let mut cluster = monitor_alone();
    let newest = cluster.record(MONITOR).unwrap();
    let old = Arc::new(Record {
        key: key(1, 2),
        ..Record::clone(&newest)
    });
    let reply = cluster.asks_vote(DATA1, MONITOR, 5, Some(old), first_copy(DATA1).id);
    let refusal = reply.unwrap().refusal.unwrap();
    assert_eq!(refusal.why, RefusedBecause::OldRecord);
    assert_eq!(refusal.record, Some(newest));
}

#[test]
fn r3_a_newer_record_is_taken_up_from_anybody_and_is_no_acceptance() {
    let mut cluster = monitor_alone();
    assert_eq!(cluster.refusal(DATA2, MONITOR, 9), None);
    let newer = record_of_term(&cluster, 5);
    cluster.passes_on(DATA1, MONITOR, 5, &newer);
    assert_eq!(cluster.record(MONITOR), Some(newer.clone()));
    // No promise by it, and an older one does not replace it.
    let old = record_of_term(&cluster, 3);
    cluster.passes_on(DATA1, MONITOR, 5, &old);
    assert_eq!(cluster.record(MONITOR), Some(newer));
    let reply = cluster.beats(DATA2, MONITOR, 9, None).unwrap();
    assert_eq!((reply.promised, reply.accepted), (true, None));
}

#[test]
fn r3_taking_up_a_record_gives_no_promise_and_raises_the_term() {
    let mut cluster = monitor_alone();
    let newer = record_of_term(&cluster, 7);
    cluster.passes_on(DATA1, MONITOR, 7, &newer);
    assert_eq!(cluster.term(MONITOR), Term(7));
    assert_eq!(cluster.refusal(DATA2, MONITOR, 8), None);
}

/// KEEPCAND in model2.md.
#[test]
fn r3_taking_up_a_record_ends_ones_candidacy() {
    let mut cluster = Cluster::in_sync();
    cluster.power_off(DATA1);
    // data2 is a candidate: its votes are asked for, and do not come back.
    cluster.lose(|s| matches!(s.message.body, Body::VoteReply(ref r) if !r.pre));
    cluster.run_until("data2 is a candidate", D + secs(1), |c| {
        c.said(DATA2, "vote for me")
    });
    let term = cluster.term(DATA2).0;
    let without = Record {
        key: key(term, 99),
        primary: DATA1,
        in_sync: vec![first_copy(DATA1)],
        ..Record::clone(&cluster.record(DATA2).unwrap())
    };
    cluster.passes_on(MONITOR, DATA2, term, &without);
    cluster.lose_nothing();
    cluster.run_for(secs(5));
    assert_eq!(cluster.leader(), None);
    assert!(!cluster.said(DATA2, "elected"));
}

/// B1: data1 commits the growth with the monitor, and dies before data2 has the record that names it.
#[test]
fn r3_a_record_spreads_among_those_that_hear_no_leader() {
    let mut cluster = Cluster::lone();
    cluster.lose(|s| {
        s.to == DATA2
            && matches!(&s.message.body, Body::Heartbeat(h)
                if h.record.as_ref().is_some_and(|r| !r.is_lone()))
    });
    cluster.start(DATA2);
    cluster.run_until("grown", secs(10), |c| {
        c.committed(DATA1).is_some_and(|r| !r.is_lone())
    });
    assert!(cluster.record(DATA2).unwrap().is_lone());
    cluster.power_off(DATA1);
    cluster.run_until("data2 serves", D + secs(1), |c| {
        c.served_by() == Some(DATA2)
    });
    cluster.over();
}

/// B2: the monitor accepted data2's record of term 2, data2 died; data1 is in term 3 with a record of term 1.
#[test]
fn r3_a_record_is_taken_up_whatever_ones_own_term() {
    let mut cluster = Cluster::powered_off();
    let old = cluster.host(MONITOR).disk.clone().unwrap().record.unwrap();
    let monitor = cluster.host_mut(MONITOR).disk.as_mut().unwrap();
    monitor.term = Term(2);
    monitor.record = Some(Arc::new(Record {
        key: key(2, 4),
        primary: DATA2,
        ..Record::clone(&old)
    }));
    let data1 = cluster.host_mut(DATA1).disk.as_mut().unwrap();
    data1.term = Term(3);
    data1.voted_for = Some(DATA1);
    cluster.start(MONITOR);
    cluster.start(DATA1);
    cluster.run_until("data1 serves", D + D + secs(1), |c| {
        c.served_by() == Some(DATA1)
    });
    cluster.over();
}

#[test]
fn r4_a_copy_that_is_not_named_does_not_campaign_and_gets_no_vote() {
    let mut cluster = Cluster::lone();
    cluster.power_off(DATA1);
    cluster.start(DATA2);
    cluster.run_for(secs(30));
    assert!(!cluster.campaigned(DATA2));
    assert_eq!(
        cluster.refusal(DATA2, MONITOR, 20),
        Some(RefusedBecause::NotEligible)
    );
    cluster.over();
}

/// data2's directory is replaced by another copy, which ends before what was acknowledged; then data1 is lost.
fn another_copy_is_left(mut cluster: Cluster) -> Cluster {
    cluster.power_off(DATA2);
    let history = cluster.db(DATA2).history.clone();
    let other = yoke_core::record::CopyId(0xbad);
    let db = cluster.db_mut(DATA2);
    db.has_data(other, SYSTEM, history, yoke_core::postgres::Lsn(120));
    cluster.power_off(DATA1);
    cluster.start(DATA2);
    cluster.run_for(secs(30));
    cluster
}

#[test]
fn r4_a_named_members_other_copy_is_not_elected() {
    let cluster = another_copy_is_left(Cluster::in_sync());
    assert!(!cluster.campaigned(DATA2));
    assert!(!cluster.is_served());
    cluster.over();
}

#[cfg(feature = "mutants")]
#[test]
fn r4_mutant_a_named_members_other_copy_loses_acknowledged_writes() {
    let mut cluster = Cluster::in_sync();
    cluster.config.mutant = Some(yoke_core::mutant::Mutant::R4MembersNotCopies);
    for m in [MONITOR, DATA1, DATA2] {
        cluster.restart_daemon(m, ms(1));
    }
    cluster.settle();
    let cluster = another_copy_is_left(cluster);
    let lost = cluster.watch.violations.iter().any(|v| v.starts_with("S1"));
    assert!(lost, "{}", cluster.trace());
}

/// What it proposes then leaves out its own copy, and nobody hears such a record.
#[cfg(feature = "mutants")]
#[test]
fn r4_mutant_a_copy_that_is_not_named_campaigns_and_gets_votes() {
    let mut cluster = Cluster::in_sync();
    cluster.config.mutant = Some(yoke_core::mutant::Mutant::R4IgnoresInSync);
    for m in [MONITOR, DATA1, DATA2] {
        cluster.restart_daemon(m, ms(1));
    }
    cluster.run_for(D + D);
    cluster.power_off(DATA2);
    cluster.run_for(D + D);
    assert!(cluster.is_served());
    cluster.power_off(DATA1);
    cluster.start(DATA2);
    cluster.run_for(secs(30));
    assert!(cluster.campaigned(DATA2));
    assert_eq!(cluster.refusal(DATA2, MONITOR, 20), None);
}

#[test]
fn r4_the_copy_of_the_request_is_what_counts() {
    let mut cluster = monitor_alone();
    let record = cluster.record(MONITOR);
    let other = yoke_core::record::CopyId(0xbad);
    let reply = cluster.asks_vote(DATA2, MONITOR, 5, record, other).unwrap();
    assert_eq!(
        reply.refusal.map(|r| r.why),
        Some(RefusedBecause::NotEligible)
    );
}

#[test]
fn r4_whose_database_does_not_run_does_not_campaign() {
    let mut cluster = Cluster::in_sync();
    cluster.trouble(
        DATA2,
        Trouble {
            cannot_start: true,
            ..Trouble::default()
        },
    );
    cluster.kill_database(DATA2);
    cluster.power_off(DATA1);
    cluster.run_for(secs(20));
    assert!(!cluster.campaigned(DATA2));
    cluster.over();
}

#[test]
fn r5_a_promise_forbids_votes_for_d() {
    let mut cluster = Cluster::in_sync();
    cluster.cut_off(MONITOR);
    let promised = Some(RefusedBecause::Promised);
    assert_eq!(cluster.refusal(DATA2, MONITOR, 9), promised);
    cluster.run_for(D - ms(300));
    assert_eq!(cluster.refusal(DATA2, MONITOR, 9), promised);
    cluster.run_for(ms(320));
    assert_eq!(cluster.refusal(DATA2, MONITOR, 9), None);
}

/// What a younger heartbeat was promised covers it: its lease began before.
#[test]
fn r5_an_old_heartbeat_that_comes_late_renews_no_promise() {
    let mut cluster = monitor_alone();
    let promised = Some(RefusedBecause::Promised);
    cluster.inject(DATA1, MONITOR, 1, heartbeat(7, None));
    cluster.run_for(D - ms(100));
    for late in [6, 7] {
        cluster.inject(DATA1, MONITOR, 1, heartbeat(late, None));
        cluster.run_for(ms(3));
        // It is answered like any other.
        assert!(cluster.sent_by(MONITOR).any(|s| matches!(&s.message.body,
            Body::HeartbeatReply(r) if r.promised && r.round == late)));
    }
    assert_eq!(cluster.refusal(DATA2, MONITOR, 9), promised);
    cluster.run_for(ms(100));
    assert_eq!(cluster.refusal(DATA2, MONITOR, 9), None);
    // Nor is one of another term covered.
    let mut cluster = monitor_alone();
    cluster.inject(DATA1, MONITOR, 1, heartbeat(7, None));
    cluster.run_for(D - ms(100));
    cluster.inject(DATA1, MONITOR, 2, heartbeat(6, None));
    cluster.run_for(D - ms(100));
    assert_eq!(cluster.refusal(DATA2, MONITOR, 9), promised);
}

/// Its guard may still hold the lease that the longer promise earned.
#[test]
fn r5_a_leader_that_comes_back_with_a_shorter_d_shortens_no_promise() {
    let mut cluster = monitor_alone();
    cluster.inject(DATA1, MONITOR, 1, heartbeat(7, None));
    let mut shorter = heartbeat(8, None);
    if let Body::Heartbeat(heartbeat) = &mut shorter {
        heartbeat.promise = secs(1);
    }
    cluster.inject(DATA1, MONITOR, 1, shorter);
    cluster.run_for(D - ms(100));
    let promised = Some(RefusedBecause::Promised);
    assert_eq!(cluster.refusal(DATA2, MONITOR, 9), promised);
    cluster.run_for(ms(100));
    assert_eq!(cluster.refusal(DATA2, MONITOR, 9), None);
}

#[test]
fn r5_nobody_campaigns_against_its_own_promise() {
    let mut cluster = Cluster::in_sync();
    cluster.power_off(DATA1);
    cluster.run_for(D - ms(260));
    assert!(!cluster.campaigned(DATA2));
    cluster.run_for(ms(300));
    assert!(cluster.campaigned(DATA2));
}

#[test]
fn r5_silence_after_a_start_lasts_as_long_as_the_longest_promise() {
    let mut cluster = Cluster::powered_off();
    cluster
        .host_mut(MONITOR)
        .disk
        .as_mut()
        .unwrap()
        .longest_promise = secs(20);
    cluster.start(MONITOR);
    cluster.run_for(secs(20) - ms(10));
    assert_eq!(
        cluster.refusal(DATA2, MONITOR, 9),
        Some(RefusedBecause::Silent)
    );
    // It answers and accepts all the same.
    let reply = cluster.beats(DATA1, MONITOR, 1, None).unwrap();
    assert!(reply.promised);
    let mut cluster = monitor_alone();
    assert_eq!(cluster.refusal(DATA2, MONITOR, 9), None);
}

#[test]
fn r5_a_release_ends_promises_of_its_term_at_once() {
    let mut cluster = Cluster::in_sync();
    let term = cluster.term(DATA1);
    cluster.cut_off(MONITOR);
    let release = |term| Body::Release {
        term,
        successor: None,
    };
    cluster.inject(DATA2, MONITOR, term.0, release(Term(term.0 - 1)));
    assert_eq!(
        cluster.refusal(DATA2, MONITOR, 9),
        Some(RefusedBecause::Promised),
        "an older release ends no newer promise"
    );
    // Anybody may pass it on.
    cluster.inject(DATA2, MONITOR, term.0, release(term));
    assert_eq!(cluster.refusal(DATA2, MONITOR, 9), None);
}

#[test]
fn r5_a_release_ends_no_silence() {
    let mut cluster = Cluster::in_sync();
    let term = cluster.term(DATA1);
    cluster.cut_off(MONITOR);
    cluster.restart_daemon(MONITOR, ms(1));
    let release = Body::Release {
        term,
        successor: None,
    };
    cluster.inject(DATA1, MONITOR, term.0, release);
    assert_eq!(
        cluster.refusal(DATA2, MONITOR, 9),
        Some(RefusedBecause::Silent)
    );
}

#[test]
fn r5_a_released_leader_never_serves_on_in_that_term() {
    let mut cluster = Cluster::in_sync();
    let term = cluster.term(DATA1);
    cluster.lose(|s| matches!(s.message.body, Body::Release { .. }));
    cluster.demote(DATA1);
    cluster.run_until("released", secs(1), |c| c.said(DATA1, "releases its term"));
    // Neither by itself nor through a restart that forgets the release.
    cluster.restart_daemon(DATA1, ms(1));
    cluster.run_for(secs(20));
    assert!(!cluster.said(DATA1, "resumes"));
    assert!(cluster.is_served());
    let leader = cluster.leader().unwrap();
    assert!(cluster.term(leader) > term);
    // Nor does anybody promise anything in it any more.
    let reply = cluster.beats(DATA1, DATA2, term.0, None).unwrap();
    assert!(!reply.promised);
    cluster.over();
}

#[test]
fn r5_a_heartbeat_of_a_released_term_is_refused() {
    let mut cluster = Cluster::in_sync();
    let term = cluster.term(DATA1);
    cluster.cut_off(MONITOR);
    let release = Body::Release {
        term,
        successor: None,
    };
    cluster.inject(DATA1, MONITOR, term.0, release);
    let reply = cluster.beats(DATA1, MONITOR, term.0, None).unwrap();
    assert!(!reply.promised);
}

/// Three data members and a monitor need three of four: two candidates that split the votes try again in turn.
#[test]
fn two_candidates_do_not_keep_each_other_out() {
    for (data, witnesses) in [(3, 0), (3, 1), (3, 2), (4, 1)] {
        for moment in 0..6 {
            let mut cluster = Cluster::bare(data, witnesses);
            let members: Vec<_> = cluster.config.ids().take(usize::from(data)).collect();
            cluster.fill_disks(&members);
            let mut cluster = cluster.settled();
            cluster.run_for(ms(43 * moment));
            cluster.power_off(DATA1);
            cluster.run_until("another serves", D + secs(1), |c| {
                c.is_served() && c.served_by() != Some(DATA1)
            });
            cluster.over();
        }
    }
}

/// Both standbys have heard the primary last at the same time, and stand at once. If each voted for itself, the third member
/// being away, both would wait for it for D/10.
#[test]
fn r2_of_two_that_stand_at_once_the_first_goes_first() {
    for moment in 0..6 {
        let mut cluster = Cluster::bare(3, 0);
        let members: Vec<_> = cluster.config.ids().collect();
        cluster.fill_disks(&members);
        let mut cluster = cluster.settled();
        let term = cluster.term(DATA1);
        cluster.run_for(ms(43 * moment));
        cluster.power_off(DATA1);
        cluster.run_until("data2 leads", D + ms(100), |c| c.leader() == Some(DATA2));
        assert_eq!(cluster.term(DATA2).0, term.0 + 1, "{}", cluster.trace());
        cluster.over();
    }
}
