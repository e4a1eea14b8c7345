//! The planned move of the role, the release, the orderly end of a daemon (R5, R8, R19).
#![allow(clippy::unwrap_used)]

mod scenario;

use scenario::*;
use yoke_core::message::Body;
use yoke_core::operator::CommandOutcome;

fn unpromotable() -> Trouble {
    Trouble {
        cannot_promote: true,
        ..Trouble::default()
    }
}

#[test]
fn only_the_leader_hands_over() {
    let mut cluster = Cluster::in_sync();
    cluster.demote(DATA2);
    cluster.demote(MONITOR);
    let expected = CommandOutcome::NotLeader {
        leader: Some(DATA1),
    };
    assert_eq!(cluster.replies(DATA2), std::slice::from_ref(&expected));
    assert_eq!(cluster.replies(MONITOR), [expected]);
    cluster.over();
}

#[test]
fn nobody_can_take_over_from_a_lone_primary() {
    let mut cluster = Cluster::lone();
    cluster.demote(DATA1);
    cluster.run_for(secs(5));
    assert_eq!(cluster.replies(DATA1), [CommandOutcome::NoSuccessor]);
    assert_eq!(cluster.longest_gap(), secs(0));
    cluster.over();
}

#[test]
fn a_second_hand_over_is_told_to_wait() {
    let mut cluster = Cluster::in_sync();
    cluster.demote(DATA1);
    cluster.run_for(ms(50));
    cluster.demote(DATA1);
    assert_eq!(cluster.replies(DATA1), [CommandOutcome::Busy]);
    cluster.over();
}

#[test]
fn the_role_goes_there_and_back() {
    let mut cluster = Cluster::in_sync();
    for (from, to) in [(DATA1, DATA2), (DATA2, DATA1), (DATA1, DATA2)] {
        cluster.demote(from);
        cluster.run_until("handed over", secs(1), |c| c.served_by() == Some(to));
        cluster.run_until("in sync", secs(10), Cluster::is_in_sync);
    }
    let discarded = cluster.db(DATA1).discarded + cluster.db(DATA2).discarded;
    assert_eq!(discarded, 0, "no rewind");
    cluster.over();
}

/// The guard shows the stop's end before the steward says where the shutdown checkpoint is: that is waited for, and then
/// for the target to show it.
#[test]
fn nothing_is_released_before_the_target_shows_the_shutdown_checkpoint() {
    let mut cluster = Cluster::in_sync();
    cluster.demote(DATA1);
    cluster.run_until("stops", secs(1), |c| c.db(DATA1).role() == DbRole::Stopping);
    cluster.lose(|s| s.from == DATA2 && matches!(s.message.body, Body::HeartbeatReply(_)));
    cluster.run_until("is down", secs(1), |c| c.db(DATA1).role() == DbRole::Down);
    cluster.run_until("data1 serves on", secs(4), |c| c.served_by() == Some(DATA1));
    assert!(!cluster.said(DATA1, "releases its term"));
    assert_eq!(cluster.replies(DATA1), [CommandOutcome::TakenBack]);
    cluster.over();
}

#[test]
fn the_successor_dies_before_the_stop_and_the_old_primary_serves_on() {
    let mut cluster = Cluster::in_sync();
    cluster.demote(DATA1);
    cluster.run_for(ms(60));
    cluster.power_off(DATA2);
    cluster.run_until("data1 serves alone", secs(10), |c| {
        c.served_by() == Some(DATA1) && c.committed(DATA1).is_some_and(|r| r.is_lone())
    });
    assert_eq!(cluster.replies(DATA1), [CommandOutcome::TakenBack]);
    cluster.over();
}

#[test]
fn the_successor_dies_after_the_release_and_the_old_primary_serves_on() {
    let mut cluster = Cluster::in_sync();
    cluster.demote(DATA1);
    cluster.run_until("released", secs(1), |c| c.said(DATA1, "releases its term"));
    cluster.power_off(DATA2);
    cluster.run_until("data1 serves alone", secs(4), |c| {
        c.served_by() == Some(DATA1)
    });
    assert_eq!(cluster.replies(DATA1), [CommandOutcome::TakenBack]);
    cluster.over();
}

#[test]
fn the_successor_dies_after_its_commit_and_the_old_primary_serves_on() {
    let mut cluster = Cluster::in_sync();
    cluster.demote(DATA1);
    cluster.run_until("data2 is committed", secs(1), |c| {
        c.committed(DATA2).is_some_and(|r| r.primary == DATA2)
    });
    cluster.power_off(DATA2);
    // It waits for the monitor's promise to data2.
    cluster.run_until("data1 serves", D + secs(1), |c| {
        c.served_by() == Some(DATA1)
    });
    cluster.over();
}

#[test]
fn the_successor_cannot_be_promoted_and_the_old_primary_serves_on() {
    let mut cluster = Cluster::in_sync();
    cluster.trouble(DATA2, unpromotable());
    cluster.demote(DATA1);
    cluster.run_for(secs(1));
    cluster.run_until("data1 serves", D + secs(1), |c| {
        c.served_by() == Some(DATA1)
    });
    cluster.over();
}

#[test]
fn every_release_gets_lost_and_the_old_primary_serves_on() {
    let mut cluster = Cluster::in_sync();
    cluster.lose(|s| matches!(s.message.body, Body::Release { .. }));
    cluster.demote(DATA1);
    cluster.run_for(ms(500));
    cluster.run_until("data1 serves", secs(3), |c| c.served_by() == Some(DATA1));
    assert_eq!(cluster.replies(DATA1), [CommandOutcome::TakenBack]);
    cluster.over();
}

#[test]
fn the_first_releases_get_lost() {
    let mut cluster = Cluster::in_sync();
    let lost_until = cluster.now + ms(400);
    cluster.lose(move |s| matches!(s.message.body, Body::Release { .. }) && s.at < lost_until);
    cluster.demote(DATA1);
    cluster.run_until("data2 serves", secs(2), |c| c.served_by() == Some(DATA2));
    cluster.over();
}

#[test]
fn the_successor_is_elected_although_the_monitor_heard_no_release() {
    let mut cluster = Cluster::in_sync();
    cluster.lose(|s| s.to == MONITOR && matches!(s.message.body, Body::Release { .. }));
    cluster.demote(DATA1);
    cluster.run_until("data2 serves", secs(1), |c| c.served_by() == Some(DATA2));
    cluster.over();
}

/// R8, "stays as a voter until the new leader's record without its copy is committed": with the monitor dead, nobody
/// else can accept that record.
#[test]
fn the_stopping_primary_votes_its_own_copy_out_before_it_ends() {
    let mut cluster = Cluster::in_sync();
    cluster.power_off(MONITOR);
    cluster.run_for(secs(1));
    cluster.mark();
    cluster.stop(DATA1);
    cluster.run_until("data1's daemon ends", D + secs(1), |c| c.host(DATA1).exited);
    cluster.run_for(secs(5));
    assert_eq!(cluster.served_by(), Some(DATA2));
    assert!(cluster.committed(DATA2).unwrap().is_lone());
    cluster.over();
}

#[test]
fn the_stopping_standby_votes_its_own_copy_out_before_it_ends() {
    let mut cluster = Cluster::in_sync();
    cluster.power_off(MONITOR);
    cluster.run_for(secs(1));
    cluster.mark();
    cluster.stop(DATA2);
    cluster.run_until("data2's daemon ends", D + secs(1), |c| c.host(DATA2).exited);
    cluster.run_for(secs(10));
    assert_eq!(cluster.served_by(), Some(DATA1));
    let gap = cluster.longest_gap();
    assert!(gap <= ms(200), "{gap}");
    cluster.over();
}

/// R8: a majority that answers is all that a leaving copy has to wait for; its stream never fell silent.
#[test]
fn a_stopping_standby_is_let_go_on_a_slow_network() {
    let mut cluster = Cluster::powered_off();
    cluster.wire_time = ms(40);
    let mut cluster = cluster.settled();
    cluster.stop(DATA2);
    cluster.run_for(secs(1));
    assert!(cluster.committed(DATA1).unwrap().is_lone());
    cluster.run_for(secs(5));
    let gap = cluster.longest_gap();
    assert!(gap <= ms(200), "{gap}");
    cluster.over();
}

#[test]
fn the_stopping_primary_finds_nobody_to_hand_over_to_and_releases_all_the_same() {
    let mut cluster = Cluster::in_sync();
    // Not seen, but there: its stream broke just now (F8).
    cluster.cut(DATA1, DATA2);
    cluster.run_for(secs(1));
    cluster.stop(DATA1);
    cluster.run_until("data2 serves", D + secs(1), |c| {
        c.served_by() == Some(DATA2)
    });
    cluster.over();
}

#[test]
fn a_daemon_told_to_stop_ends_in_every_role() {
    for m in [DATA1, DATA2, MONITOR] {
        let mut cluster = Cluster::in_sync();
        cluster.stop(m);
        cluster.run_until("it ends", D + secs(1), |c| c.host(m).exited);
        cluster.over();
    }
    // Cut off from all, in each role.
    for m in [DATA1, DATA2, MONITOR] {
        let mut cluster = Cluster::in_sync();
        cluster.cut_off(m);
        cluster.run_for(ms(10));
        cluster.stop(m);
        cluster.run_until("it ends", D + D, |c| c.host(m).exited);
        cluster.over();
    }
    // Before anything was elected.
    let mut cluster = Cluster::powered_off();
    for m in [DATA1, DATA2, MONITOR] {
        cluster.start(m);
        cluster.run_for(ms(300));
    }
    for m in [DATA1, DATA2, MONITOR] {
        cluster.stop(m);
    }
    cluster.run_until("all end", secs(5), |c| c.hosts.iter().all(|h| h.exited));
}

#[test]
fn a_daemon_told_to_stop_ends_without_state_too() {
    for (mut cluster, m) in [(Cluster::in_sync(), DATA2), (Cluster::lone(), DATA1)] {
        cluster.kill_daemon(m);
        cluster.host_mut(m).disk = None;
        cluster.start(m);
        cluster.run_for(secs(1));
        cluster.stop(m);
        cluster.run_until("it ends", secs(5), |c| c.host(m).exited);
        assert_eq!(cluster.db(m).role(), DbRole::Down);
        cluster.over();
    }
}

#[test]
fn all_daemons_told_to_stop_at_once_end() {
    let mut cluster = Cluster::in_sync();
    for m in [DATA1, DATA2, MONITOR] {
        cluster.stop(m);
    }
    cluster.run_until("all end", D + secs(3), |c| c.hosts.iter().all(|h| h.exited));
    cluster.over();
}

fn hanging() -> Trouble {
    Trouble {
        hangs: true,
        ..Trouble::default()
    }
}

/// R19: a clean stop that does not end is a hang; the successor does not wait for it for ever.
#[test]
fn a_hand_over_whose_stop_hangs_ends_in_a_failover() {
    for moment in [0, 60, 110] {
        let mut cluster = Cluster::in_sync();
        cluster.demote(DATA1);
        cluster.run_for(ms(moment));
        cluster.trouble(DATA1, hanging());
        cluster.run_until("data2 serves", D + secs(1), |c| {
            c.served_by() == Some(DATA2)
        });
        cluster.run_for(secs(1));
        assert_eq!(
            cluster.replies(DATA1),
            [CommandOutcome::HandedOver { to: DATA2 }]
        );
        cluster.over();
    }
}

/// Whether it was stopped cleanly is on a disk that hangs: the successor does not wait for that for ever either.
#[test]
fn a_hand_over_whose_end_cannot_be_read_ends_in_a_failover() {
    let mut cluster = Cluster::in_sync();
    cluster.demote(DATA1);
    cluster.run_until("stops", secs(1), |c| c.db(DATA1).role() == DbRole::Stopping);
    let unreadable = true;
    cluster.trouble(
        DATA1,
        Trouble {
            unreadable,
            ..Trouble::default()
        },
    );
    cluster.run_until("data2 serves", D + secs(1), |c| {
        c.served_by() == Some(DATA2)
    });
    cluster.over();
}

#[test]
fn a_daemon_told_to_stop_ends_although_its_database_hangs() {
    for m in [DATA1, DATA2] {
        let mut cluster = Cluster::in_sync();
        cluster.trouble(m, hanging());
        cluster.stop(m);
        cluster.run_until("it ends", D + D + secs(3), |c| c.host(m).exited);
        cluster.over();
    }
    let mut cluster = Cluster::lone();
    cluster.trouble(DATA1, hanging());
    cluster.stop(DATA1);
    cluster.run_until("it ends", D + D + secs(3), |c| c.host(DATA1).exited);
    cluster.over();
}
