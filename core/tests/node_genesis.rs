//! Genesis, lost state, the same database (R12 to R14).
#![allow(clippy::unwrap_used)]

mod scenario;

use scenario::*;
use yoke_core::HardState;
use yoke_core::member::MemberId;
use yoke_core::message::Body;
use yoke_core::postgres::Want;
use yoke_core::view::RoleView;

const ALL: [MemberId; 3] = [DATA1, DATA2, MONITOR];

#[test]
fn r12_a_cluster_is_born() {
    let mut cluster = Cluster::fresh();
    for m in ALL {
        cluster.start(m);
    }
    cluster.run_until("in sync", secs(10), Cluster::is_in_sync);
    insta::assert_snapshot!(cluster.trace());
    cluster.over();
}

#[test]
fn r12_genesis_in_every_order() {
    let orders = [
        [DATA1, DATA2, MONITOR],
        [DATA1, MONITOR, DATA2],
        [DATA2, DATA1, MONITOR],
        [DATA2, MONITOR, DATA1],
        [MONITOR, DATA1, DATA2],
        [MONITOR, DATA2, DATA1],
    ];
    for order in orders {
        for pause in [ms(10), ms(700), secs(20)] {
            let mut cluster = Cluster::fresh();
            for m in order {
                cluster.start(m);
                cluster.run_for(pause);
            }
            cluster.run_until("in sync", secs(10), Cluster::is_in_sync);
            assert_eq!(cluster.leader(), Some(DATA1));
            cluster.over();
        }
    }
}

#[test]
fn r12_genesis_needs_an_answer_of_every_member() {
    let mut cluster = Cluster::fresh();
    cluster.start(DATA1);
    cluster.start(DATA2);
    cluster.run_for(secs(20));
    assert_eq!(cluster.db(DATA1).role(), DbRole::Down);
    for m in [DATA1, DATA2] {
        let view = cluster.node(m).view();
        assert_eq!(view.role, RoleView::WithoutState);
        let why = view.stays_out.unwrap();
        assert!(why.contains("monitor"), "{why}");
    }
    cluster.start(MONITOR);
    cluster.run_until("in sync", secs(10), Cluster::is_in_sync);
    cluster.over();
}

/// B7: the empty record is state; nobody waits for the other to have one.
#[test]
fn r12_genesis_ends_whatever_host_loses_its_power_whenever() {
    for m in ALL {
        for moment in 0..24 {
            let mut cluster = Cluster::fresh();
            for m in ALL {
                cluster.start(m);
            }
            cluster.run_for(ms(25 * moment));
            cluster.power_off(m);
            cluster.run_for(ms(300));
            cluster.start(m);
            cluster.run_until("in sync", D + D + secs(5), Cluster::is_in_sync);
            cluster.over();
        }
    }
}

/// Whoever lost an empty state joins with another, and nothing is left of the loss: it stands in nobody's way.
#[test]
fn r12_a_state_torn_before_the_first_record_is_made_good_at_genesis() {
    let mut cluster = Cluster::fresh();
    cluster.start(DATA1);
    cluster.start(DATA2);
    cluster.cut_off(DATA1);
    cluster.run_for(ms(300));
    cluster.heal();
    cluster.start(MONITOR);
    cluster.run_until("all have joined", secs(2), |c| {
        ALL.iter().all(|m| c.host(*m).disk.is_some())
    });
    cluster.power_off(MONITOR);
    let names = cluster.host(MONITOR).disk.as_ref().unwrap().members.clone();
    cluster.host_mut(MONITOR).disk = Some(HardState::lost(names));
    cluster.lose(|s| !matches!(s.message.body, Body::Ask { .. } | Body::Answer { .. }));
    cluster.start(MONITOR);
    cluster.run_for(secs(2));
    assert_eq!(cluster.node(MONITOR).view().role, RoleView::Follower);
    let stamped = cluster
        .sent_by(MONITOR)
        .filter_map(|s| match &s.message.body {
            Body::Answer { stamped, .. } => Some(*stamped),
            _ => None,
        });
    assert_eq!(stamped.last(), Some(false));
    cluster.lose_nothing();
    cluster.run_until("in sync", D + secs(5), Cluster::is_in_sync);
    cluster.over();
}

#[test]
fn r4_while_no_record_exists_only_the_configured_primary_campaigns() {
    let mut cluster = Cluster::fresh();
    cluster.db_mut(DATA2).has_found_data(SYSTEM);
    for m in ALL {
        cluster.start(m);
    }
    cluster.run_for(secs(1));
    assert!(!cluster.campaigned(DATA2));
    assert_eq!(cluster.leader(), Some(DATA1));
    // Nor is it given a vote.
    let mut cluster = Cluster::fresh();
    for m in ALL {
        cluster.start(m);
    }
    cluster.lose(|s| matches!(s.message.body, Body::PreVote(_)));
    cluster.run_for(ms(500));
    assert_eq!(cluster.record(MONITOR), None);
    let copy = yoke_core::record::CopyId(1);
    let reply = cluster.asks_vote(DATA2, MONITOR, 1, None, copy).unwrap();
    assert!(reply.refusal.is_some());
    let reply = cluster.asks_vote(DATA1, MONITOR, 1, None, copy).unwrap();
    assert!(reply.refusal.is_none());
}

#[test]
fn r12_the_adopted_term_counts_as_voted_in() {
    // The monitor votes for data1 in term 1, loses its disk, and is asked again for that term.
    let mut cluster = Cluster::fresh();
    for m in ALL {
        cluster.start(m);
    }
    cluster.run_until("the monitor has voted", secs(2), |c| {
        c.said(MONITOR, "vote in term 1")
    });
    cluster.lose(|s| matches!(s.message.body, Body::Heartbeat(_)));
    cluster.power_off(MONITOR);
    cluster.host_mut(MONITOR).disk = None;
    cluster.power_off(DATA1);
    let disk = cluster.host_mut(DATA1).disk.as_mut().unwrap();
    disk.record = None;
    cluster.db_mut(DATA1).stamped = false;
    cluster.start(MONITOR);
    cluster.start(DATA1);
    cluster.run_for(ms(300));
    let copy = yoke_core::record::CopyId(1);
    let reply = cluster.asks_vote(DATA1, MONITOR, 1, None, copy).unwrap();
    assert!(reply.refusal.is_some());
}

#[test]
fn r12_a_member_without_state_stays_out_while_one_does_not_answer_and_says_why() {
    let mut cluster = Cluster::in_sync();
    cluster.kill_daemon(MONITOR);
    cluster.cut(DATA2, MONITOR);
    cluster.host_mut(MONITOR).disk = None;
    cluster.start(MONITOR);
    cluster.run_for(secs(20));
    let view = cluster.node(MONITOR).view();
    assert_eq!(view.role, RoleView::WithoutState);
    let why = view.stays_out.unwrap();
    assert!(
        why.contains("its state file is lost") && why.contains("data2"),
        "{why}"
    );
    // It neither votes nor accepts: data2's death cannot be recorded.
    let copy = first_copy(DATA2).id;
    let record = cluster.record(DATA1);
    let reply = cluster.asks_vote(DATA2, MONITOR, 50, record.clone(), copy);
    assert!(reply.unwrap().refusal.is_some());
    let term = cluster.term(DATA1).0;
    let reply = cluster.beats(DATA1, MONITOR, term, record).unwrap();
    assert_eq!((reply.promised, reply.accepted), (false, None));
    assert!(cluster.is_served());
    cluster.over();
}

#[test]
fn r12_stamped_data_anywhere_is_no_genesis() {
    let mut cluster = Cluster::powered_off();
    for m in ALL {
        cluster.host_mut(m).disk = None;
        cluster.start(m);
    }
    cluster.run_for(secs(20));
    assert_eq!(cluster.leader(), None);
    for m in ALL {
        let view = cluster.node(m).view();
        assert_eq!(view.role, RoleView::WithoutState);
        assert!(view.stays_out.unwrap().contains("this is no first start"));
    }
    for m in [DATA1, DATA2] {
        assert_eq!(cluster.db(m).role(), DbRole::Down);
        for target in &cluster.host(m).targets {
            assert_eq!(target.want, Want::Nothing);
        }
    }
}

#[test]
fn r14_the_first_record_carries_the_database_and_the_first_stamp_follows() {
    let mut cluster = Cluster::fresh();
    for m in ALL {
        cluster.start(m);
    }
    while cluster.record(MONITOR).is_none() {
        cluster.run_for(ms(1));
        assert!(cluster.since_mark() < secs(2));
        assert!(!cluster.db(DATA1).stamped || cluster.record(DATA1).is_some());
    }
    let record = cluster.record(MONITOR).unwrap();
    assert_eq!(record.system_id, SYSTEM);
    assert_eq!(record.key, key(1, 1));
    assert!(record.is_lone());
    assert!(record.names(cluster.copy_of(DATA1).unwrap()));
    cluster.run_for(secs(1));
    assert!(cluster.db(DATA1).stamped);
    assert!(cluster.host(DATA1).disk.as_ref().unwrap().stamped);
    cluster.over();
}

/// F1: state names the copy, the directory is not stamped yet.
#[test]
fn r20_an_unstamped_directory_is_started_only_until_the_first_stamp_is_noted() {
    let mut cluster = Cluster::fresh();
    for m in ALL {
        cluster.start(m);
    }
    cluster.run_until("the first record", secs(2), |c| c.record(DATA1).is_some());
    assert!(!cluster.db(DATA1).stamped);
    cluster.power_off(DATA1);
    cluster.start(DATA1);
    cluster.run_until("data1 serves", D + secs(2), |c| {
        c.served_by() == Some(DATA1)
    });
    // Noted: from now on an unstamped directory is none of ours.
    cluster.run_for(secs(5));
    cluster.power_off(DATA1);
    cluster.db_mut(DATA1).stamped = false;
    cluster.start(DATA1);
    cluster.run_for(secs(1));
    let targets = &cluster.host(DATA1).targets;
    assert!(targets.iter().all(|t| !t.first_stamp));
}

/// The first leader loses its state before its directory has a stamp: nothing was promoted yet, so that directory is all
/// that there is.
#[test]
fn r20_an_unstamped_directory_is_still_the_first_one_where_nothing_was_promoted() {
    for accepted in [DATA2, MONITOR] {
        let mut cluster = Cluster::fresh();
        for m in ALL {
            cluster.start(m);
        }
        cluster.run_until("the first record", secs(2), |c| {
            c.record(accepted).is_some()
        });
        cluster.power_off(DATA1);
        assert!(!cluster.db(DATA1).stamped);
        cluster.host_mut(DATA1).disk = None;
        cluster.start(DATA1);
        cluster.run_until("in sync", D + D + secs(5), Cluster::is_in_sync);
        assert_eq!(cluster.leader(), Some(DATA1));
        cluster.over();
    }
    // Once something was, an unstamped directory is none of ours.
    let mut cluster = Cluster::in_sync();
    cluster.power_off(DATA1);
    cluster.host_mut(DATA1).disk = None;
    cluster.db_mut(DATA1).stamped = false;
    cluster.start(DATA1);
    cluster.run_for(secs(20));
    let targets = &cluster.host(DATA1).targets;
    assert!(targets.iter().all(|t| !t.first_stamp));
}

/// With a second state lost an operator has to vouch, and nobody can tell any more whether the directory is the first one.
/// Nothing was acknowledged yet, so all begins anew, as the members say.
#[test]
fn r12_two_states_lost_before_the_first_stamp_end_in_a_new_beginning() {
    let mut cluster = Cluster::fresh();
    for m in ALL {
        cluster.start(m);
    }
    cluster.run_until("the first record", secs(2), |c| c.record(MONITOR).is_some());
    for m in [DATA1, DATA2] {
        cluster.power_off(m);
        cluster.host_mut(m).disk = None;
    }
    assert!(!cluster.db(DATA1).stamped);
    for m in [DATA1, DATA2] {
        cluster.start(m);
    }
    cluster.run_for(secs(1));
    cluster.vouch(DATA1, &[DATA2]);
    cluster.run_for(D + D);
    let says = |cluster: &Cluster| cluster.node(DATA1).view().stays_out.unwrap();
    let why = says(&cluster);
    assert!(why.contains("remove its state file"), "{why}");
    // Who does not answer may know better.
    cluster.power_off(DATA2);
    cluster.run_for(D + D);
    let why = says(&cluster);
    assert!(why.contains("every acknowledged write is in copy"), "{why}");
    for m in ALL {
        cluster.power_off(m);
        cluster.host_mut(m).disk = None;
    }
    for m in ALL {
        cluster.start(m);
    }
    cluster.run_until("in sync", D + D + secs(5), Cluster::is_in_sync);
    cluster.over();
}
