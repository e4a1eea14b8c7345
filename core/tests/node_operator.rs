//! An operator's words where nobody else can decide: vouching for members that cannot answer (R12), and making a copy the
//! cluster's database (R15, R17).
#![allow(clippy::unwrap_used)]

mod scenario;

use scenario::*;
use yoke_core::member::MemberId;
use yoke_core::message::Body;
use yoke_core::operator::CommandOutcome;
use yoke_core::postgres::Lsn;
use yoke_core::view::RoleView;

const ALL: [MemberId; 3] = [DATA1, DATA2, MONITOR];

fn is_out(cluster: &Cluster, m: MemberId) -> bool {
    cluster.node(m).view().role == RoleView::WithoutState
}

fn why(cluster: &Cluster, m: MemberId) -> String {
    cluster.node(m).view().stays_out.unwrap_or_default()
}

fn assert_refused(outcome: Option<CommandOutcome>, words: &str) {
    match outcome {
        Some(CommandOutcome::Refused(why)) => assert!(why.contains(words), "{why}"),
        other => panic!("{other:?}"),
    }
}

/// All power is lost; the monitor's state with it, and data2's host for long.
fn without_data2() -> Cluster {
    let mut cluster = Cluster::in_sync();
    for m in ALL {
        cluster.power_off(m);
    }
    cluster.host_mut(MONITOR).disk = None;
    for m in [DATA1, MONITOR] {
        cluster.start(m);
    }
    cluster.run_for(D + D + secs(3));
    assert!(is_out(&cluster, MONITOR) && cluster.leader().is_none());
    cluster
}

/// Every member's state is lost, and no data.
fn without_any_state() -> Cluster {
    let mut cluster = Cluster::in_sync();
    for m in ALL {
        cluster.power_off(m);
        cluster.host_mut(m).disk = None;
    }
    for m in ALL {
        cluster.start(m);
    }
    cluster.run_for(D + D + secs(3));
    assert!(ALL.iter().all(|m| is_out(&cluster, *m)));
    cluster
}

/// data1 served alone, and its host is gone; data2 holds an older copy.
fn with_an_older_copy() -> Cluster {
    let mut cluster = Cluster::lone();
    cluster.run_for(secs(3));
    cluster.power_off(DATA1);
    cluster.start(DATA2);
    cluster.run_for(D + D + secs(3));
    assert_eq!(cluster.leader(), None);
    cluster
}

// Vouching.

#[test]
fn r12_who_is_vouched_for_need_not_answer() {
    let mut cluster = without_data2();
    let said = why(&cluster, MONITOR);
    assert!(said.contains("`yokeadm vouch data2`"), "{said}");
    let before = cluster.term(DATA1);
    cluster.vouch(MONITOR, &[DATA2]);
    cluster.run_until("the monitor has joined", secs(1), |c| !is_out(c, MONITOR));
    cluster.run_for(ms(3));
    let told = cluster.host(MONITOR).replies.last().cloned();
    let term = cluster.term(MONITOR);
    assert_eq!(told, Some(CommandOutcome::Joined { term }));
    // Whatever data2 voted in or led lies below.
    assert!(term.0 >= before.0 + (1 << 20), "{term}");
    cluster.run_until("data1 serves", D + D + secs(5), |c| {
        c.served_by() == Some(DATA1)
    });
    cluster.start(DATA2);
    cluster.run_until("in sync again", secs(60), Cluster::is_in_sync);
    cluster.over();
}

/// It is on disk before the operator hears of it (R1).
#[test]
fn r12_the_answer_to_a_word_waits_for_the_disk() {
    let mut cluster = without_data2();
    cluster.disk_hangs(MONITOR, true);
    cluster.vouch(MONITOR, &[DATA2]);
    cluster.run_for(secs(1));
    assert!(!is_out(&cluster, MONITOR) && cluster.host(MONITOR).replies.is_empty());
    cluster.disk_hangs(MONITOR, false);
    cluster.run_until("the answer", secs(1), |c| {
        !c.host(MONITOR).replies.is_empty()
    });
    assert!(cluster.host(MONITOR).disk.is_some());
}

#[test]
fn r12_a_word_is_refused_where_it_is_of_no_use() {
    let mut cluster = without_data2();
    assert_refused(cluster.vouch(DATA1, &[DATA2]), "data1 has its state");
    assert_refused(
        cluster.vouch(MONITOR, &[DATA1]),
        "data1 has just answered, and has its state",
    );
    assert_refused(cluster.vouch(MONITOR, &[]), "name the other members");
    assert_refused(cluster.vouch(MONITOR, &[MONITOR]), "at itself");
    cluster.cut(DATA1, MONITOR);
    cluster.run_for(D + ms(10));
    assert_refused(
        cluster.vouch(MONITOR, &[DATA2]),
        "data1 has not answered with its state either",
    );
    assert_refused(
        cluster.vouch(MONITOR, &[DATA1, DATA2]),
        "nobody who answers knows the cluster's record",
    );
    cluster.run_for(secs(1));
    assert!(is_out(&cluster, MONITOR));
}

/// An answer from before the word is none, and a word that is too old is void.
#[test]
fn r12_only_answers_younger_than_the_word_count_and_the_word_ends() {
    let mut cluster = without_data2();
    cluster.lose(|s| s.to == MONITOR);
    cluster.vouch(MONITOR, &[DATA2]);
    cluster.run_for(D.part(1, 2) + ms(10));
    assert_refused(
        cluster.host(MONITOR).replies.last().cloned(),
        "no answer came from data1 after the word",
    );
    cluster.lose_nothing();
    cluster.run_for(secs(3));
    assert!(is_out(&cluster, MONITOR), "data2 may have been started");
}

// Adopting.

#[test]
fn r15_a_copy_is_adopted_when_nobody_has_state() {
    let mut cluster = without_any_state();
    let said = why(&cluster, DATA1);
    assert!(
        said.contains("`yokeadm adopt`, said to this host"),
        "{said}"
    );
    let said = why(&cluster, MONITOR);
    assert!(said.contains("said to the data host"), "{said}");
    assert_refused(cluster.adopt(MONITOR), "holds no data");
    let outcome = cluster.adopt(DATA1);
    assert_eq!(outcome, None, "not before it is on disk");
    cluster.run_for(ms(10));
    let outcome = cluster.host(DATA1).replies.last();
    assert!(
        matches!(outcome, Some(CommandOutcome::Adopted { .. })),
        "{outcome:?}"
    );
    // The monitor knows somebody with state now, and says what remains to be done.
    cluster.run_for(secs(1));
    let said = why(&cluster, MONITOR);
    assert!(said.contains("`yokeadm vouch data2`"), "{said}");
    cluster.vouch(MONITOR, &[DATA2]);
    cluster.run_until("data1 serves", D + D + secs(5), |c| {
        c.served_by() == Some(DATA1)
    });
    assert!(cluster.record(DATA1).unwrap().forced);
    cluster.run_until("in sync again", secs(60), Cluster::is_in_sync);
    assert!(!cluster.record(DATA1).unwrap().forced);
    assert!(ALL.iter().all(|m| !is_out(&cluster, *m)));
    cluster.over();
}

/// Its promotions are exactly those of the copy, and its term is above every one seen in a stamp.
#[test]
fn r15_the_first_record_after_a_loss_is_that_of_the_copy() {
    let mut cluster = without_any_state();
    let history = cluster.db(DATA2).history.clone();
    let stamp = cluster.db(DATA2).stamp_record.map(|k| k.term);
    // Both were in sync, and the one that was primary last is kept off.
    cluster.power_off(DATA1);
    cluster.run_for(D + secs(1));
    cluster.adopt(DATA2);
    cluster.run_for(ms(10));
    let record = cluster.record(DATA2).unwrap();
    assert_eq!(record.promotions, history);
    assert!(record.forced && record.is_lone() && record.primary == DATA2);
    assert_eq!(record.copy_of(DATA2), cluster.copy_of(DATA2));
    assert_eq!(record.system_id, cluster.db(DATA2).system_id.unwrap());
    assert!(Some(record.key.term) > stamp && record.key.term.0 >= 1 << 20);
}

#[test]
fn r17_an_older_copy_is_adopted_when_the_only_newer_one_is_gone() {
    let mut cluster = with_an_older_copy();
    let said = why(&cluster, DATA2);
    assert!(
        said.contains("`yokeadm adopt`") && said.contains("data1 does not answer"),
        "{said}"
    );
    cluster.adopt(DATA2);
    cluster.run_until("data2 serves", D + D + secs(5), |c| {
        c.served_by() == Some(DATA2)
    });
    // What is left of data1 becomes a standby: what it holds beyond that is not taken up again.
    cluster.start(DATA1);
    cluster.run_until("in sync again", secs(60), Cluster::is_in_sync);
    assert_eq!(cluster.served_by(), Some(DATA2));
}

#[test]
fn r15_the_only_copy_restored_from_an_older_one_may_be_adopted() {
    let mut cluster = Cluster::lone();
    let db = cluster.db(DATA1);
    let old = (db.history.clone(), db.end, db.stamp_record);
    cluster.run_for(secs(5));
    cluster.power_off(DATA1);
    let db = cluster.db_mut(DATA1);
    (db.history, db.end, db.stamp_record) = old;
    cluster.start(DATA1);
    cluster.run_for(D + D + secs(3));
    assert!(!cluster.is_served());
    cluster.adopt(DATA1);
    cluster.run_until("data1 serves", D + D + secs(5), |c| {
        c.served_by() == Some(DATA1)
    });
}

#[test]
fn r17_nothing_is_adopted_while_anybody_hears_a_leader() {
    let mut cluster = Cluster::lone();
    assert_refused(cluster.adopt(DATA1), "there is a leader");
    cluster.cut(DATA1, DATA2);
    cluster.start(DATA2);
    cluster.run_for(D + D);
    assert_refused(cluster.adopt(DATA2), "monitor leads, or hears a leader");
    cluster.cut(DATA2, MONITOR);
    cluster.run_for(D + D);
    assert_refused(cluster.adopt(DATA2), "only 1 of 3 members answer");
    assert!(cluster.is_served());
    cluster.heal();
    cluster.run_until("in sync again", secs(60), Cluster::is_in_sync);
    cluster.over();
}

/// The copy that the record names is there, or a better one than this.
#[test]
fn r17_nothing_is_adopted_while_a_better_copy_answers() {
    let mut cluster = with_an_older_copy();
    // The right copy comes back, and cannot be elected for a while.
    cluster.start(DATA1);
    cluster.lose(|s| matches!(s.message.body, Body::PreVote(_)));
    cluster.run_for(D + D);
    assert_refused(
        cluster.adopt(DATA2),
        "data1 has the copy that the record names",
    );
    assert_refused(cluster.adopt(DATA1), "the record names this very copy");

    let mut cluster = without_any_state();
    cluster.db_mut(DATA2).end = Lsn(10);
    cluster.run_for(secs(1));
    assert_refused(
        cluster.adopt(DATA2),
        "the copy at data1 was primary last, or goes further",
    );
}

/// Where a primary's WAL ends that is stopped cannot be seen, and its last checkpoint lies before what its standby
/// shows. Of one promotion nobody has more than who made it.
#[test]
fn r17_who_was_primary_last_is_adopted_although_its_standby_is_seen_further() {
    let mut cluster = without_any_state();
    cluster.db_mut(DATA2).end = Lsn(1 << 40);
    cluster.run_for(secs(1));
    assert_refused(cluster.adopt(DATA2), "the copy at data1 was primary last");
    cluster.adopt(DATA1);
    cluster.run_for(ms(10));
    let told = cluster.replies(DATA1).last().cloned();
    assert!(
        matches!(told, Some(CommandOutcome::Adopted { .. })),
        "{told:?}"
    );
}

// A state that is known to be lost.

/// A file that cannot be read is the sign of a cluster that was: this is no genesis, for nobody.
#[test]
fn r12_a_lost_state_is_no_genesis() {
    let mut cluster = Cluster::fresh();
    let names = ["data1", "data2", "monitor"].map(str::to_owned).into();
    cluster.host_mut(MONITOR).disk = Some(yoke_core::HardState::lost(names));
    for m in ALL {
        cluster.start(m);
    }
    cluster.run_for(D + D + secs(5));
    assert!(ALL.iter().all(|m| is_out(&cluster, *m)));
    let said = why(&cluster, MONITOR);
    assert!(said.contains("set-aside state file"), "{said}");
}

/// What is written before anybody was heard does not count: a restart does not hide that the state is an old one.
#[test]
fn r12_an_old_state_that_is_started_twice_unheard_is_noticed() {
    let mut cluster = Cluster::in_sync();
    let old = cluster.host(DATA2).disk.clone();
    cluster.run_for(secs(4));
    cluster.power_off(DATA2);
    cluster.host_mut(DATA2).disk = old;
    cluster.cut_off(DATA2);
    cluster.start(DATA2);
    // It notes its position each second, and has no end of news to note.
    for _ in 0..12 {
        cluster.db_mut(DATA2).end.0 += 3;
        cluster.run_for(secs(1));
    }
    assert!(!is_out(&cluster, DATA2));
    cluster.power_off(DATA2);
    cluster.start(DATA2);
    cluster.run_for(secs(1));
    cluster.heal();
    cluster.run_until("it says so", secs(1), |c| {
        c.said(DATA2, "its state file is an old one")
    });
    cluster.run_until("in sync again", D + secs(60), Cluster::is_in_sync);
}

/// data1 served alone, and lost its state, as the monitor did; data2 knows only what was before that.
#[test]
fn r12_who_was_primary_last_is_adopted_once_an_older_record_is_out_of_the_way() {
    let mut cluster = Cluster::in_sync();
    cluster.power_off(DATA2);
    cluster.run_until("data1 serves alone", secs(10), |c| {
        c.record(DATA1).is_some_and(|r| r.is_lone())
    });
    cluster.run_for(secs(3));
    for m in [DATA1, MONITOR] {
        cluster.power_off(m);
        cluster.host_mut(m).disk = None;
    }
    for m in ALL {
        cluster.start(m);
    }
    cluster.run_for(D + D + secs(3));
    assert!(is_out(&cluster, DATA1) && is_out(&cluster, MONITOR));
    // It says what a word for the monitor would give up, and what to do if this copy was primary last.
    let said = why(&cluster, DATA1);
    let facts = [
        "What only monitor and this host knew",
        "stop yoke on data2 instead",
    ];
    assert!(facts.iter().all(|fact| said.contains(fact)), "{said}");
    assert_refused(cluster.adopt(DATA1), "stop yoke there first");
    cluster.power_off(DATA2);
    cluster.run_for(D + ms(100));
    let said = why(&cluster, DATA1);
    assert!(
        said.contains("or only older ones: `yokeadm adopt`, said to this host"),
        "{said}"
    );
    // What data2 said before it was stopped is in nobody's way.
    assert_eq!(cluster.adopt(DATA1), None);
    cluster.run_for(secs(1));
    cluster.vouch(MONITOR, &[DATA2]);
    cluster.run_until("data1 serves", D + D + secs(5), |c| {
        c.served_by() == Some(DATA1)
    });
    cluster.start(DATA2);
    cluster.run_until("in sync again", secs(60), Cluster::is_in_sync);
    assert_eq!(cluster.served_by(), Some(DATA1));
    cluster.over();
}

/// A torn file of a data host at the very first start: nothing here was ever the cluster's, so nothing can be adopted.
#[test]
fn r12_a_torn_state_at_the_first_start_is_removed_by_hand() {
    let mut cluster = Cluster::fresh();
    let names = ["data1", "data2", "monitor"].map(str::to_owned).into();
    cluster.host_mut(DATA1).disk = Some(yoke_core::HardState::lost(names));
    for m in ALL {
        cluster.start(m);
    }
    cluster.run_for(D + D + secs(3));
    let said = why(&cluster, DATA1);
    let words = "If there never was a cluster, remove the set-aside state file";
    assert!(
        said.contains(words) && !said.contains("yokeadm adopt"),
        "{said}"
    );
    cluster.power_off(DATA1);
    cluster.host_mut(DATA1).disk = None;
    cluster.start(DATA1);
    cluster.run_until("in sync", D + secs(60), Cluster::is_in_sync);
}

/// Every state is lost while a lone primary serves on under its guard, and goes on acknowledging: no other copy is adopted
/// beside it, not even one that holds as much.
#[test]
fn r17_nothing_is_adopted_beside_what_serves_without_a_state() {
    let mut cluster = Cluster::lone();
    for m in ALL {
        cluster.kill_daemon(m);
        cluster.host_mut(m).disk = None;
    }
    for m in ALL {
        cluster.start(m);
    }
    cluster.run_for(D + secs(1));
    assert!(ALL.iter().all(|m| is_out(&cluster, *m)) && cluster.is_served());
    cluster.db_mut(DATA2).end = Lsn(1 << 40);
    cluster.run_for(secs(1));
    assert_refused(cluster.adopt(DATA2), "its database serves still");
}

/// Every state is lost while a lone primary serves on under its guard: the word stops it first, and then makes its copy the
/// database.
#[test]
fn r12_what_serves_without_a_state_is_stopped_by_a_word_before_it_is_adopted() {
    let mut cluster = Cluster::lone();
    for m in [DATA1, MONITOR] {
        cluster.kill_daemon(m);
        cluster.host_mut(m).disk = None;
    }
    for m in [DATA1, MONITOR] {
        cluster.start(m);
    }
    cluster.run_for(D);
    assert!(is_out(&cluster, DATA1) && cluster.db(DATA1).role() != DbRole::Down);
    assert_refused(cluster.adopt(DATA1), "is being stopped first");
    cluster.run_until("it is down", secs(2), |c| {
        c.db(DATA1).role() == DbRole::Down
    });
    cluster.run_for(secs(1));
    cluster.adopt(DATA1);
    cluster.run_for(ms(5));
    let told = cluster.replies(DATA1).last().cloned();
    assert!(
        matches!(told, Some(CommandOutcome::Adopted { .. })),
        "{told:?}"
    );
    cluster.run_for(secs(1));
    cluster.vouch(MONITOR, &[DATA2]);
    cluster.run_until("data1 serves", D + D + secs(5), |c| {
        c.served_by() == Some(DATA1)
    });
    cluster.over();
}
