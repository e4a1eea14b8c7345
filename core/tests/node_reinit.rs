//! An operator asks for a fresh copy: it leaves `in_sync` first, is given up, and comes back (R8, R11).
#![allow(clippy::unwrap_used)]

mod scenario;

use scenario::*;
use yoke_core::message::Body;
use yoke_core::operator::{Command, CommandOutcome};

fn why(told: Option<CommandOutcome>) -> String {
    match told {
        Some(CommandOutcome::Refused(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn r11_a_copy_leaves_the_record_before_it_is_replaced() {
    let mut cluster = Cluster::in_sync();
    let old = cluster.committed(DATA1).unwrap().copy_of(DATA2).unwrap();
    cluster.operator(DATA2, Command::Reinit);
    cluster.run_until("answered", secs(5), |c| !c.replies(DATA2).is_empty());
    let expected = CommandOutcome::CopiesAnew { copy: old.id };
    assert_eq!(cluster.replies(DATA2), [expected]);
    assert!(!cluster.committed(DATA2).unwrap().names(old));
    cluster.run_until("in sync", secs(60), Cluster::is_in_sync);
    let new = cluster.committed(DATA1).unwrap().copy_of(DATA2).unwrap();
    assert_ne!(new, old);
    assert_eq!(cluster.db(DATA2).discarded, 1);
    let words = [
        "leaves in_sync",
        "gives its copy up",
        "enters in_sync",
        "is committed",
        "operator",
    ];
    insta::assert_snapshot!(cluster.trace_of(&words));
    assert!(cluster.longest_gap() < ms(100), "{}", cluster.longest_gap());
    // The word is over: nothing is copied a second time.
    cluster.run_for(secs(20));
    assert_eq!(cluster.db(DATA2).discarded, 1);
    cluster.over();
}

/// The record leaves it out already, and it streams: its leader is about to take it in again, and has not heard the word.
#[test]
fn r11_a_copy_is_not_replaced_before_its_leader_knows_that_it_leaves() {
    let mut cluster = Cluster::lone();
    cluster.start(DATA2);
    cluster.run_until("it streams", secs(10), |c| {
        c.db(DATA2).streams_from() == Some(DATA1)
    });
    cluster.lose(|s| s.from == DATA2 && matches!(s.message.body, Body::HeartbeatReply(_)));
    cluster.operator(DATA2, Command::Reinit);
    cluster.run_for(D - secs(1));
    assert_eq!(cluster.db(DATA2).discarded, 0);
    cluster.lose_nothing();
    cluster.run_until("in sync", secs(60), Cluster::is_in_sync);
    assert_eq!(cluster.db(DATA2).discarded, 1);
    cluster.over();
}

#[test]
fn a_word_of_no_use_is_refused() {
    let mut cluster = Cluster::in_sync();
    assert!(why(cluster.operator(DATA1, Command::Reinit)).contains("is the primary"));
    assert!(why(cluster.operator(MONITOR, Command::Reinit)).contains("holds no data"));
    cluster.cut_off(DATA2);
    cluster.run_for(D);
    assert!(why(cluster.operator(DATA2, Command::Reinit)).contains("hears no leader"));
    cluster.over();
}

#[test]
fn what_the_record_counts_on_is_kept_when_nobody_can_leave_it_out() {
    let mut cluster = Cluster::in_sync();
    let old = cluster.committed(DATA1).unwrap().copy_of(DATA2).unwrap();
    cluster.operator(DATA2, Command::Reinit);
    cluster.power_off(DATA1);
    cluster.run_until("data2 serves", D + secs(1), |c| {
        c.served_by() == Some(DATA2)
    });
    let replies = cluster.replies(DATA2).last().cloned();
    assert!(why(replies).contains("is kept as it is"));
    assert!(cluster.committed(DATA2).unwrap().names(old));
    assert_eq!(cluster.db(DATA2).discarded, 0);
    cluster.over();
}
