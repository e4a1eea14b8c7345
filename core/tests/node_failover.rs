//! The table "What happens when" of DESIGN.md, row by row, end to end in virtual time.
#![allow(clippy::unwrap_used)]

mod scenario;

use scenario::*;
use yoke_core::operator::CommandOutcome;

#[test]
fn the_primarys_host_dies() {
    let mut cluster = Cluster::in_sync();
    cluster.power_off(DATA1);
    cluster.run_until("data2 serves", D + secs(1), |c| {
        c.served_by() == Some(DATA2)
    });
    let record = cluster.committed(DATA2).unwrap();
    assert!(record.is_lone(), "{record}");
    insta::assert_snapshot!(cluster.trace());
    cluster.over();
}

#[test]
fn the_primarys_host_dies_at_any_moment() {
    for moment in 0..25 {
        let mut cluster = Cluster::in_sync();
        cluster.run_for(ms(10 * moment));
        cluster.power_off(DATA1);
        cluster.run_until("data2 serves", D + secs(1), |c| {
            c.served_by() == Some(DATA2)
        });
        cluster.over();
    }
}

#[test]
fn the_primarys_host_dies_on_a_slow_network() {
    let mut cluster = Cluster::powered_off();
    cluster.wire_time = ms(25);
    let mut cluster = cluster.settled();
    cluster.power_off(DATA1);
    cluster.run_until("data2 serves", D + secs(1), |c| {
        c.served_by() == Some(DATA2)
    });
    cluster.over();
}

#[test]
fn the_primarys_database_dies_the_daemon_lives() {
    let mut cluster = Cluster::in_sync();
    cluster.kill_database(DATA1);
    cluster.run_until("data2 serves", secs(1), |c| c.served_by() == Some(DATA2));
    insta::assert_snapshot!(cluster.trace());
    cluster.run_until("data1 is in sync again", secs(20), Cluster::is_in_sync);
    assert_eq!(cluster.leader(), Some(DATA2));
    cluster.over();
}

#[test]
fn a_lone_primarys_database_dies() {
    let mut cluster = Cluster::lone();
    cluster.kill_database(DATA1);
    cluster.run_for(ms(100));
    cluster.run_until("data1 serves", ms(900), |c| c.served_by() == Some(DATA1));
    cluster.over();
}

#[test]
fn the_standby_dies() {
    let mut cluster = Cluster::in_sync();
    cluster.power_off(DATA2);
    cluster.run_for(secs(20));
    assert!(cluster.is_served());
    assert!(cluster.committed(DATA1).unwrap().is_lone());
    let gap = cluster.longest_gap();
    assert!(gap <= SYNC_TIMEOUT + secs(1), "{gap}");
    assert_eq!(cluster.watch.moves, 0);
    cluster.over();
}

#[test]
fn the_standbys_database_dies() {
    let mut cluster = Cluster::in_sync();
    cluster.kill_database(DATA2);
    cluster.run_for(ms(50));
    cluster.run_until("in sync again", secs(10), Cluster::is_in_sync);
    let gap = cluster.longest_gap();
    assert!(gap <= ms(500), "{gap}");
    cluster.over();
}

#[test]
fn the_standbys_database_dies_and_cannot_start() {
    let mut cluster = Cluster::in_sync();
    cluster.trouble(
        DATA2,
        Trouble {
            cannot_start: true,
            ..Trouble::default()
        },
    );
    cluster.kill_database(DATA2);
    cluster.run_for(secs(20));
    let gap = cluster.longest_gap();
    assert!(gap <= SYNC_TIMEOUT + secs(1), "{gap}");
    assert_eq!(cluster.watch.moves, 0);
    cluster.over();
}

#[test]
fn the_standby_comes_back() {
    let mut cluster = Cluster::in_sync();
    cluster.power_off(DATA2);
    cluster.run_for(secs(10));
    cluster.mark();
    cluster.start(DATA2);
    cluster.run_until("in sync again", secs(10), Cluster::is_in_sync);
    insta::assert_snapshot!(cluster.trace());
    let gap = cluster.longest_gap();
    assert!(
        gap <= ms(200),
        "writes waited {gap} for the standby's return"
    );
    assert_eq!(cluster.db(DATA2).discarded, 0);
    cluster.over();
}

#[test]
fn the_old_primary_comes_back_as_a_standby() {
    let mut cluster = Cluster::in_sync();
    cluster.power_off(DATA1);
    cluster.run_for(secs(10));
    cluster.mark();
    cluster.start(DATA1);
    cluster.run_until("in sync again", secs(20), Cluster::is_in_sync);
    assert_eq!(cluster.served_by(), Some(DATA2));
    // A healed network never moves the role back.
    cluster.run_for(secs(30));
    assert_eq!(cluster.leader(), Some(DATA2));
    assert_eq!(cluster.db(DATA1).promotions, 1);
    let gap = cluster.longest_gap();
    assert!(gap <= ms(200), "{gap}");
    cluster.over();
}

#[test]
fn the_monitor_dies_nothing_happens() {
    let mut cluster = Cluster::in_sync();
    let term = cluster.term(DATA1);
    cluster.power_off(MONITOR);
    cluster.run_for(secs(30));
    assert_eq!(cluster.longest_gap(), secs(0));
    assert_eq!(cluster.term(DATA1), term);
    cluster.start(MONITOR);
    cluster.run_for(secs(30));
    assert_eq!(cluster.longest_gap(), secs(0));
    assert_eq!(cluster.term(DATA1), term);
    cluster.over();
}

#[test]
fn the_monitor_and_then_the_standby_die_writes_wait() {
    let mut cluster = Cluster::in_sync();
    cluster.power_off(MONITOR);
    cluster.run_for(secs(10));
    cluster.power_off(DATA2);
    cluster.run_for(secs(10));
    // The record cannot change, and the lease ran out (S2).
    assert!(!cluster.is_served());
    assert_eq!(cluster.db(DATA1).guard.serving, None);
    cluster.start(MONITOR);
    cluster.run_until("data1 serves again", D + secs(2), Cluster::is_served);
    cluster.over();
}

#[test]
fn the_standby_and_then_the_monitor_die_the_lone_primary_serves_on() {
    let mut cluster = Cluster::lone();
    cluster.power_off(MONITOR);
    cluster.run_for(secs(60));
    assert_eq!(cluster.longest_gap(), secs(0));
    cluster.over();
}

#[test]
fn only_the_link_between_the_data_hosts_is_cut() {
    let mut cluster = Cluster::in_sync();
    let term = cluster.term(DATA1);
    cluster.cut(DATA1, DATA2);
    cluster.run_for(secs(20));
    assert!(cluster.committed(DATA1).unwrap().is_lone());
    let gap = cluster.longest_gap();
    assert!(gap <= SYNC_TIMEOUT + secs(1), "{gap}");
    cluster.heal();
    cluster.run_until("in sync again", secs(20), Cluster::is_in_sync);
    cluster.run_for(secs(10));
    assert_eq!((cluster.term(DATA1), cluster.watch.moves), (term, 0));
    cluster.over();
}

#[test]
fn the_primary_is_cut_off_while_its_standby_catches_up() {
    let mut cluster = Cluster::lone();
    cluster.start(DATA2);
    cluster.run_until("data2 streams", secs(5), |c| {
        c.db(DATA2).streams_from() == Some(DATA1)
    });
    cluster.cut_off(DATA1);
    cluster.run_for(secs(30));
    assert_eq!(cluster.served_by(), Some(DATA1));
    assert_eq!(cluster.longest_gap(), secs(0));
    assert_eq!(cluster.db(DATA2).promotions, 0);
    cluster.heal();
    cluster.run_until("in sync", secs(20), Cluster::is_in_sync);
    assert_eq!(cluster.watch.moves, 0);
    cluster.over();
}

#[test]
fn the_primarys_daemon_is_killed_and_replaced() {
    let mut cluster = Cluster::in_sync();
    let promotions = cluster.db(DATA1).promotions;
    cluster.restart_daemon(DATA1, ms(500));
    cluster.run_for(secs(20));
    insta::assert_snapshot!(cluster.trace());
    assert_eq!(cluster.longest_gap(), secs(0));
    assert_eq!(cluster.db(DATA1).promotions, promotions);
    assert!(cluster.is_in_sync());
    cluster.over();
}

#[test]
fn every_daemon_in_turn_is_killed_and_replaced() {
    let mut cluster = Cluster::in_sync();
    for m in [DATA2, MONITOR, DATA1] {
        cluster.restart_daemon(m, ms(500));
        cluster.run_for(secs(10));
    }
    assert_eq!(cluster.longest_gap(), secs(0));
    assert_eq!(cluster.watch.moves, 0);
    cluster.over();
}

#[test]
fn the_primarys_daemon_stays_dead() {
    let mut cluster = Cluster::in_sync();
    cluster.kill_daemon(DATA1);
    cluster.run_until("data2 serves", D + secs(1), |c| {
        c.served_by() == Some(DATA2)
    });
    assert_eq!(
        cluster.db(DATA1).role(),
        DbRole::Down,
        "fenced by its guard"
    );
    cluster.over();
}

#[test]
fn the_primary_is_told_to_stop() {
    let mut cluster = Cluster::in_sync();
    cluster.stop(DATA1);
    cluster.run_until("data2 serves", secs(1), |c| c.served_by() == Some(DATA2));
    cluster.run_until("data1's daemon ends", D, |c| c.host(DATA1).exited);
    assert_eq!(cluster.db(DATA1).role(), DbRole::Down);
    insta::assert_snapshot!(cluster.trace());
    cluster.over();
}

#[test]
fn a_lone_primary_is_told_to_stop() {
    let mut cluster = Cluster::lone();
    cluster.stop(DATA1);
    cluster.run_until("data1's daemon ends", secs(2), |c| c.host(DATA1).exited);
    assert_eq!(cluster.db(DATA1).role(), DbRole::Down);
    cluster.over();
}

#[test]
fn the_standby_is_told_to_stop() {
    let mut cluster = Cluster::in_sync();
    cluster.stop(DATA2);
    cluster.run_until("data2's daemon ends", secs(2), |c| c.host(DATA2).exited);
    cluster.run_for(secs(20));
    let gap = cluster.longest_gap();
    assert!(gap <= ms(200), "{gap}");
    assert!(cluster.committed(DATA1).unwrap().is_lone());
    insta::assert_snapshot!(cluster.trace());
    cluster.over();
}

#[test]
fn an_operator_hands_over() {
    let mut cluster = Cluster::in_sync();
    cluster.demote(DATA1);
    cluster.run_until("data2 serves", secs(1), |c| c.served_by() == Some(DATA2));
    cluster.run_until("in sync again", secs(10), Cluster::is_in_sync);
    insta::assert_snapshot!(cluster.trace());
    assert_eq!(
        cluster.replies(DATA1),
        [CommandOutcome::HandedOver { to: DATA2 }]
    );
    let gap = cluster.longest_gap();
    assert!(gap < secs(1), "{gap}");
    assert_eq!(cluster.db(DATA1).discarded, 0, "no rewind");
    cluster.over();
}

#[test]
fn the_successor_cannot_be_promoted_and_the_old_primary_serves_on() {
    let mut cluster = Cluster::in_sync();
    cluster.trouble(
        DATA2,
        Trouble {
            cannot_promote: true,
            ..Trouble::default()
        },
    );
    cluster.demote(DATA1);
    cluster.run_until("data1 serves", D + D + secs(2), |c| {
        c.since_mark() > secs(1) && c.served_by() == Some(DATA1)
    });
    cluster.over();
}

#[test]
fn a_new_primary_cannot_be_promoted_another_takes_over() {
    let mut cluster = Cluster::bare(3, 0);
    cluster.fill_disks(&[DATA1, DATA2, MONITOR]);
    let mut cluster = cluster.settled();
    cluster.trouble(
        DATA2,
        Trouble {
            cannot_promote: true,
            ..Trouble::default()
        },
    );
    cluster.power_off(DATA1);
    let third = MONITOR;
    cluster.run_until("data3 serves", D + D + secs(2), |c| {
        c.served_by() == Some(third)
    });
    cluster.over();
}

#[test]
fn everything_loses_its_power_the_former_primary_is_preferred() {
    let orders = [
        [DATA1, DATA2, MONITOR],
        [DATA2, MONITOR, DATA1],
        [MONITOR, DATA2, DATA1],
    ];
    for order in orders {
        let mut cluster = Cluster::in_sync();
        for m in order {
            cluster.power_off(m);
        }
        cluster.run_for(secs(1));
        for m in order {
            cluster.start(m);
            cluster.run_for(ms(200));
        }
        cluster.run_until("data1 serves", D + secs(1), |c| {
            c.served_by() == Some(DATA1)
        });
        cluster.run_until("in sync", secs(20), Cluster::is_in_sync);
        cluster.over();
    }
}

#[test]
fn everything_loses_its_power_the_former_primary_does_not_return() {
    let mut cluster = Cluster::in_sync();
    for m in [DATA1, DATA2, MONITOR] {
        cluster.power_off(m);
    }
    cluster.run_for(secs(1));
    cluster.start(MONITOR);
    cluster.start(DATA2);
    cluster.run_until("data2 serves", D + D + secs(1), |c| {
        c.served_by() == Some(DATA2)
    });
    cluster.over();
}
