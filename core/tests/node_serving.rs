//! What a leader's database is and whom it lets in (R18); a database that cannot serve (R19); a standby (R20).
#![allow(clippy::unwrap_used)]

mod scenario;

use scenario::*;
use yoke_core::Duration;
use yoke_core::postgres::{Doors, GateStatus};

fn sick(trouble: Trouble) -> Cluster {
    let mut cluster = Cluster::in_sync();
    cluster.trouble(DATA1, trouble);
    cluster
}

fn hanging() -> Trouble {
    Trouble {
        hangs: true,
        ..Trouble::default()
    }
}

#[test]
fn r18_doors_stay_closed_until_the_gate_is_proven_and_recovery_has_arrived() {
    let mut cluster = Cluster::in_sync();
    cluster.demote(DATA1);
    let mut opened = false;
    for _ in 0..3000 {
        cluster.run_for(ms(1));
        for m in [DATA1, DATA2] {
            if cluster.db(m).doors() != Some(Doors::Open) {
                continue;
            }
            let db = cluster.db(m);
            assert!(
                matches!(
                    db.gate(),
                    Some(GateStatus::Open { .. } | GateStatus::Unproven)
                ),
                "doors open, gate {:?}",
                db.gate()
            );
            opened |= m == DATA2;
        }
    }
    assert!(opened);
    cluster.over();
}

#[test]
fn r18_a_new_primary_that_waits_for_a_standby_opens_its_doors_only_when_that_streams() {
    // Three data members: data2 takes over and still has data3 in sync, whose link to it is slow to come.
    let mut cluster = Cluster::bare(3, 0);
    cluster.fill_disks(&[DATA1, DATA2, MONITOR]);
    let mut cluster = cluster.settled();
    cluster.power_off(DATA1);
    cluster.run_until("data2 or data3 serves", D + secs(1), |c| {
        c.is_served() && c.served_by() != Some(DATA1)
    });
    insta::assert_snapshot!(cluster.trace_of(&["leaves", "doors", "committed", "serves"]));
    cluster.over();
}

#[test]
fn r19_a_database_that_hangs_gives_way_after_health_timeout() {
    let mut cluster = sick(hanging());
    cluster.run_until("data2 serves", HEALTH_TIMEOUT + secs(2), |c| {
        c.served_by() == Some(DATA2)
    });
    cluster.over();
}

#[test]
fn r19_a_dead_database_gives_way_at_once_even_if_it_was_started_again_unseen() {
    let mut cluster = sick(Trouble {
        cannot_promote: true,
        ..Trouble::default()
    });
    let now = cluster.now;
    cluster.db_mut(DATA1).restarts_unseen(now);
    cluster.run_until("data2 serves", secs(1), |c| c.served_by() == Some(DATA2));
    cluster.over();
}

/// F3 in model2.md: the monitor's promise must not keep data2 out for ever.
#[test]
fn r19_a_primary_that_cannot_start_gives_way_although_it_does_not_see_the_other() {
    let mut cluster = sick(Trouble {
        cannot_start: true,
        ..Trouble::default()
    });
    cluster.cut(DATA1, DATA2);
    cluster.run_for(ms(800));
    cluster.kill_database(DATA1);
    cluster.run_until("data2 serves", D + D + secs(1), |c| {
        c.served_by() == Some(DATA2)
    });
    cluster.over();
}

#[test]
fn r19_a_primary_that_cannot_be_promoted_gives_way_although_it_does_not_see_the_other() {
    let mut cluster = Cluster::powered_off();
    cluster.trouble(
        DATA1,
        Trouble {
            cannot_promote: true,
            ..Trouble::default()
        },
    );
    for m in [DATA1, DATA2, MONITOR] {
        cluster.start(m);
    }
    cluster.cut(DATA1, DATA2);
    // Silence after the start, D of promotion, D of promises.
    cluster.run_until("data2 serves", D + D + D + secs(1), |c| {
        c.served_by() == Some(DATA2)
    });
    cluster.over();
}

#[test]
fn r19_a_lone_primary_that_hangs_is_started_again() {
    let mut cluster = Cluster::lone();
    cluster.trouble(DATA1, hanging());
    cluster.run_for(secs(3));
    assert!(!cluster.said(DATA1, "starts its database again"));
    cluster.run_until("it is started again", secs(3), |c| {
        c.said(DATA1, "starts its database again")
    });
    cluster.trouble(DATA1, Trouble::default());
    cluster.run_until("data1 serves", secs(2), |c| c.served_by() == Some(DATA1));
    cluster.over();
}

/// R19: waiting for a lone primary's recovery is not hanging; to kill it again would only begin it anew.
#[test]
fn r19_the_long_recovery_of_a_lone_primary_is_left_to_end() {
    let mut cluster = Cluster::lone();
    cluster.db_mut(DATA1).recovery = secs(30);
    cluster.kill_database(DATA1);
    cluster.run_for(secs(1));
    cluster.run_until("data1 serves", secs(30), |c| c.served_by() == Some(DATA1));
    cluster.over();
}

/// R19: one that takes longer than D gets more time with each try.
#[test]
fn r19_the_long_promotion_of_a_lone_primary_is_left_to_end_at_last() {
    let mut cluster = Cluster::lone();
    cluster.db_mut(DATA1).promotion = D + D.part(1, 2);
    cluster.kill_database(DATA1);
    cluster.run_until("it is started again", D + secs(2), |c| {
        c.said(DATA1, "starts its database again")
    });
    cluster.run_until("data1 serves", D + D + secs(2), |c| {
        c.served_by() == Some(DATA1)
    });
    cluster.over();
}

/// It gives way for whoever is not seen, once for D and then for longer: nobody may be there.
#[test]
fn r19_a_long_promotion_whose_leader_sees_no_other_is_left_to_end_at_last() {
    let mut cluster = Cluster::powered_off();
    cluster.db_mut(DATA1).promotion = D + D.part(1, 2);
    cluster.start(DATA1);
    cluster.start(MONITOR);
    cluster.run_until("it gives way", D.times(4), |c| c.said(DATA1, "gives way"));
    cluster.run_until("data1 serves", D.times(4), |c| c.served_by() == Some(DATA1));
    cluster.over();
}

#[test]
fn r19_waiting_for_a_standby_is_not_hanging() {
    let mut cluster = Cluster::in_sync();
    cluster.power_off(MONITOR);
    cluster.run_for(secs(1));
    // data2's daemon votes on, its database hangs: the record can change.
    cluster.trouble(DATA2, hanging());
    cluster.run_for(secs(20));
    assert!(!cluster.said(DATA1, "gives way"));
    assert_eq!(cluster.served_by(), Some(DATA1));
    cluster.over();
}

/// A checkpointer or a walsender that hangs: the database answers and writes, and nobody gets an acknowledgement.
#[test]
fn r19_a_lone_primary_whose_gate_cannot_be_proven_is_started_again() {
    let mut cluster = Cluster::in_sync();
    let no_gate = true;
    cluster.trouble(
        DATA1,
        Trouble {
            no_gate,
            ..Trouble::default()
        },
    );
    cluster.power_off(DATA2);
    cluster.run_for(D.times(4));
    assert!(!cluster.said(DATA1, "starts its database again"));
    cluster.run_until("it is started again", secs(4), |c| {
        c.said(DATA1, "starts its database again")
    });
    cluster.trouble(DATA1, Trouble::default());
    cluster.run_until("data1 serves", secs(2), |c| c.served_by() == Some(DATA1));
    cluster.over();
}

/// A postmaster that hangs, while its receiver streams on: the copy leaves `in_sync` first (R8), so that no write waits.
#[test]
fn r19_a_standby_that_hangs_leaves_in_sync_before_it_is_stopped() {
    let mut cluster = Cluster::in_sync();
    let deaf = Some(cluster.now);
    cluster.trouble(
        DATA2,
        Trouble {
            deaf,
            ..Trouble::default()
        },
    );
    cluster.mark();
    cluster.run_until("it is stopped", D + secs(1), |c| {
        c.db(DATA2).role() == DbRole::Down
    });
    cluster.trouble(DATA2, Trouble::default());
    cluster.run_until("in sync again", secs(10), Cluster::is_in_sync);
    assert!(cluster.longest_gap() < ms(300), "{}", cluster.longest_gap());
    assert_eq!(cluster.served_by(), Some(DATA1));
    cluster.over();
}

#[test]
fn r19_a_standby_that_hangs_is_started_again_by_its_daemon() {
    let mut cluster = Cluster::in_sync();
    cluster.trouble(DATA2, hanging());
    cluster.run_for(D - ms(100));
    assert!(!cluster.said(DATA2, "stops its database, to start"));
    cluster.run_until("it is stopped", secs(1), |c| {
        c.db(DATA2).role() == DbRole::Down
    });
    assert_eq!(cluster.served_by(), Some(DATA1));
    // A second time: it gets more time to answer.
    let stops = |c: &Cluster| {
        c.trace_of(&["stops its database, to start"])
            .lines()
            .count()
    };
    assert_eq!(stops(&cluster), 1);
    cluster.run_for(D + D - ms(200));
    assert_eq!(stops(&cluster), 1);
    cluster.run_for(secs(1));
    assert_eq!(stops(&cluster), 2);
    cluster.trouble(DATA2, Trouble::default());
    cluster.run_until("in sync again", secs(10), Cluster::is_in_sync);
    cluster.over();
}

/// Its daemon lost its state, and leads no more: its guard waits for no lease, and nobody else can take over.
#[test]
fn r19_a_lone_primary_that_hangs_is_started_again_also_by_a_daemon_that_does_not_lead() {
    let mut cluster = Cluster::lone();
    cluster.kill_daemon(DATA1);
    cluster.host_mut(DATA1).disk = None;
    cluster.start(DATA2);
    cluster.restart_daemon(DATA1, ms(100));
    cluster.run_for(secs(1));
    let deaf = Some(cluster.now);
    cluster.trouble(
        DATA1,
        Trouble {
            deaf,
            ..Trouble::default()
        },
    );
    cluster.run_until("it is stopped", D + secs(2), |c| {
        c.db(DATA1).role() == DbRole::Down
    });
    cluster.trouble(DATA1, Trouble::default());
    cluster.run_until("it serves", D + secs(2), |c| c.served_by() == Some(DATA1));
    cluster.over();
}

#[test]
fn r19_who_gave_way_does_not_campaign_before_another_led_or_d_has_passed() {
    let mut cluster = Cluster::in_sync();
    cluster.kill_database(DATA1);
    cluster.run_until("released", secs(1), |c| c.said(DATA1, "releases its term"));
    let released = cluster.now;
    cluster.power_off(DATA2);
    let took = cluster.run_until("data1 campaigns", secs(20), |c| {
        c.said(DATA1, "vote for me")
    });
    assert!(took >= D, "{took}");
    assert!(took <= D + secs(1), "{took}");
    cluster.run_until("data1 serves", secs(2), |c| c.served_by() == Some(DATA1));
    assert!(cluster.now.since(released) < D + secs(2));
    cluster.over();
}

#[test]
fn r20_a_standby_is_left_as_found_until_a_leader_is_heard_or_d_has_passed() {
    let mut cluster = Cluster::in_sync();
    // Its daemon hears nobody, its database streams on.
    cluster.lose(|s| s.to == DATA2);
    cluster.restart_daemon(DATA2, ms(100));
    cluster.run_for(D - secs(1));
    assert_eq!(cluster.db(DATA2).streams_from(), Some(DATA1));
    cluster.run_for(secs(2));
    assert_eq!(cluster.db(DATA2).streams_from(), None, "of nobody");
    cluster.over();
}

#[test]
fn r20_nobody_is_followed_before_the_record_holds_the_promotion() {
    let mut cluster = Cluster::in_sync();
    cluster.demote(DATA1);
    let recorded = |c: &Cluster| {
        c.committed(DATA2)
            .is_some_and(|r| r.primary == DATA2 && r.promotions == c.db(DATA2).history)
            && c.db(DATA2).role() == DbRole::Primary
    };
    let mut before = false;
    for _ in 0..3000 {
        before |= recorded(&cluster);
        cluster.run_for(ms(1));
        let follows = cluster.db(DATA1).streams_from() == Some(DATA2);
        assert!(before || !follows, "{}", cluster.trace());
    }
    assert_eq!(cluster.db(DATA1).streams_from(), Some(DATA2));
    cluster.over();
}

#[test]
fn r16_targets_carry_the_term_and_their_number_rises() {
    let mut cluster = Cluster::in_sync();
    cluster.demote(DATA1);
    cluster.run_for(secs(5));
    for m in [DATA1, DATA2] {
        let targets = &cluster.host(m).targets;
        assert!(targets.len() > 3);
        for pair in targets.windows(2) {
            assert!(pair[0].seq < pair[1].seq);
            assert!(pair[0].term <= pair[1].term);
        }
        assert_eq!(targets.last().unwrap().term, cluster.term(m));
    }
    let _: Duration = D;
    cluster.over();
}
