//! Pause and resume: nobody but the record's primary campaigns; leases and fencing are as ever.
#![allow(clippy::unwrap_used)]

mod scenario;

use scenario::*;
use yoke_core::operator::{Command, CommandOutcome};

/// In sync, and paused by a word to its leader.
fn paused() -> Cluster {
    let mut cluster = Cluster::in_sync();
    cluster.operator(DATA1, Command::Pause);
    cluster.run_for(ms(20));
    assert_eq!(cluster.replies(DATA1), [CommandOutcome::Paused(true)]);
    assert!(cluster.committed(DATA1).unwrap().paused);
    cluster.mark();
    cluster
}

#[test]
fn a_pause_is_in_the_record_and_writes_go_on() {
    let mut cluster = Cluster::in_sync();
    cluster.operator(DATA1, Command::Pause);
    cluster.run_for(secs(1));
    cluster.operator(DATA1, Command::Pause);
    cluster.run_for(secs(1));
    assert_eq!(cluster.replies(DATA1), [CommandOutcome::Paused(true)]);
    cluster.operator(DATA1, Command::Resume);
    cluster.run_for(secs(1));
    assert_eq!(cluster.replies(DATA1), [CommandOutcome::Paused(false)]);
    assert!(!cluster.committed(DATA1).unwrap().paused);
    let words = ["operator", "proposes", "committed"];
    insta::assert_snapshot!(cluster.trace_of(&words));
    assert!(cluster.longest_gap() < ms(50), "{}", cluster.longest_gap());
    cluster.over();
}

#[test]
fn the_word_goes_to_whoever_leads() {
    let mut cluster = Cluster::in_sync();
    for command in [Command::Pause, Command::Resume] {
        let leader = Some(DATA1);
        let told = cluster.operator(MONITOR, command);
        assert_eq!(told, Some(CommandOutcome::NotLeader { leader }));
    }
    cluster.over();
}

#[test]
fn nobody_takes_over_from_a_lost_primary_and_it_serves_on_when_it_is_back() {
    let mut cluster = paused();
    cluster.power_off(DATA1);
    cluster.run_for(D.times(6));
    assert!(!cluster.said(DATA2, "elected"), "{}", cluster.trace());
    cluster.start(DATA1);
    cluster.run_until("data1 serves", D + D + secs(2), |c| {
        c.served_by() == Some(DATA1)
    });
    cluster.run_until("in sync", secs(20), Cluster::is_in_sync);
    assert!(cluster.committed(DATA1).unwrap().paused, "still");
    cluster.over();
}

#[test]
fn a_dead_database_is_started_again_where_nobody_takes_over() {
    let mut cluster = paused();
    cluster.kill_database(DATA1);
    cluster.run_until("data1 serves", secs(10), |c| c.served_by() == Some(DATA1));
    assert!(!cluster.said(DATA2, "elected"), "{}", cluster.trace());
    cluster.over();
}

#[test]
fn a_paused_primary_that_is_told_to_stop_stops_and_nobody_takes_over() {
    let mut cluster = paused();
    cluster.stop(DATA1);
    let took = cluster.run_until("its daemon has ended", secs(3), |c| {
        c.host(DATA1).node.is_none()
    });
    assert!(took < secs(2), "{took}");
    cluster.run_for(D.times(4));
    assert!(!cluster.said(DATA2, "elected"), "{}", cluster.trace());
    cluster.start(DATA1);
    cluster.run_until("data1 serves", D + D + secs(2), |c| {
        c.served_by() == Some(DATA1)
    });
    cluster.over();
}

#[test]
fn a_hand_over_is_refused_during_a_pause() {
    let mut cluster = paused();
    let told = cluster.operator(DATA1, Command::Demote);
    let Some(CommandOutcome::Refused(why)) = told else {
        panic!("{told:?}");
    };
    assert!(why.contains("`yokeadm resume` first"), "{why}");
    cluster.over();
}

/// The primary is lost for good: the word to a host whose copy is in sync ends the pause with an election.
#[test]
fn a_word_to_the_copy_in_sync_ends_a_pause_that_nobody_leads() {
    let mut cluster = paused();
    cluster.power_off(DATA1);
    cluster.run_for(D.times(3));
    let told = cluster.operator(MONITOR, Command::Resume);
    let Some(CommandOutcome::Refused(why)) = told else {
        panic!("{told:?}");
    };
    assert!(why.contains("say it to data1, data2"), "{why}");
    assert_eq!(
        cluster.operator(DATA2, Command::Resume),
        Some(CommandOutcome::Stands)
    );
    cluster.run_until("data2 serves", secs(3), |c| c.served_by() == Some(DATA2));
    assert!(!cluster.committed(DATA2).unwrap().paused);
    cluster.start(DATA1);
    cluster.run_until("in sync", secs(60), Cluster::is_in_sync);
    cluster.over();
}

/// A word that had its effect counts no more: the next pause holds.
#[test]
fn a_word_in_spite_of_a_pause_is_over_once_it_has_led() {
    let mut cluster = paused();
    cluster.power_off(DATA1);
    cluster.run_for(D.times(3));
    cluster.operator(DATA2, Command::Resume);
    cluster.run_until("data2 serves", secs(3), |c| c.served_by() == Some(DATA2));
    cluster.start(DATA1);
    cluster.run_until("in sync", secs(60), Cluster::is_in_sync);
    cluster.operator(DATA2, Command::Pause);
    cluster.run_for(secs(1));
    cluster.cut_off(DATA2);
    cluster.run_for(D.times(2));
    cluster.heal();
    cluster.run_until("data2 serves", D.times(2), |c| c.served_by() == Some(DATA2));
    assert!(cluster.committed(DATA2).unwrap().paused);
    cluster.over();
}

#[test]
fn a_pause_that_is_not_committed_is_not_confirmed() {
    let mut cluster = Cluster::in_sync();
    cluster.cut_off(DATA1);
    cluster.operator(DATA1, Command::Pause);
    cluster.run_for(D);
    let [CommandOutcome::Refused(why)] = cluster.replies(DATA1) else {
        panic!("{:?}", cluster.replies(DATA1));
    };
    assert!(why.contains("stopped leading"), "{why}");
    cluster.over();
}
