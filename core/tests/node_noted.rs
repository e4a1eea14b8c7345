//! What a member's own copy certainly was, and directories below that (R15).
#![allow(clippy::unwrap_used)]

mod scenario;

use scenario::*;
use yoke_core::member::MemberId;

/// What of its directory a host gets back.
struct Directory(Cluster, MemberId);

impl Directory {
    /// Runs for so long, takes the power, and puts the directory back as it was.
    fn goes_back(mut self, after: yoke_core::Duration) -> Cluster {
        let (cluster, m) = (&mut self.0, self.1);
        let db = cluster.db(m);
        let old = (db.history.clone(), db.end, db.stamp_record);
        cluster.run_for(after);
        cluster.power_off(m);
        let db = cluster.db_mut(m);
        (db.history, db.end, db.stamp_record) = old;
        self.0
    }
}

#[test]
fn r15_a_position_is_noted_each_second() {
    let mut cluster = Cluster::in_sync();
    let writes = cluster.host(DATA2).disk.as_ref().unwrap().writes;
    cluster.run_for(secs(10));
    let state = cluster.host(DATA2).disk.as_ref().unwrap();
    let (end, now) = (state.noted.unwrap().reached.end, cluster.db(DATA2).end);
    assert!(state.writes <= writes + 11, "no more than one a second");
    assert!(end <= now && now.0 - end.0 < 150, "{end} of {now}");
}

#[test]
fn r15_a_position_is_noted_at_each_stop() {
    let mut cluster = Cluster::in_sync();
    cluster.run_for(ms(900));
    cluster.stop(DATA2);
    cluster.run_until("data2 has stopped", secs(10), |c| {
        c.host(DATA2).node.is_none()
    });
    let noted = cluster.host(DATA2).disk.as_ref().unwrap().noted.unwrap();
    assert_eq!(noted.reached.end, cluster.db(DATA2).end);
}

#[test]
fn r15_a_standbys_directory_restored_from_an_older_copy_is_another_copy() {
    let cluster = Cluster::in_sync();
    let before = cluster.copy_of(DATA2);
    let mut cluster = Directory(cluster, DATA2).goes_back(secs(5));
    cluster.start(DATA2);
    cluster.run_until("it says so", secs(5), |c| {
        c.said(DATA2, "went back in time")
    });
    cluster.run_until("in sync again", secs(30), Cluster::is_in_sync);
    assert_ne!(cluster.copy_of(DATA2), before);
    cluster.over();
}

/// It could take over otherwise: the primary is lost with it.
#[test]
fn r15_a_directory_that_went_back_is_never_elected() {
    let mut cluster = Directory(Cluster::in_sync(), DATA2).goes_back(secs(5));
    cluster.power_off(DATA1);
    cluster.start(DATA2);
    cluster.run_for(D + D + secs(2));
    assert_eq!(cluster.leader(), None);
    assert!(!cluster.campaigned(DATA2));
    cluster.start(DATA1);
    cluster.run_until("in sync again", secs(40), Cluster::is_in_sync);
    cluster.over();
}

/// State and directory are restored together: the own note is as old as the directory, and the others know better.
#[test]
fn r12_a_host_restored_whole_learns_it_from_the_others() {
    for m in [DATA1, DATA2] {
        let mut cluster = Cluster::in_sync();
        cluster.run_for(secs(2));
        let state = cluster.host(m).disk.clone();
        let before = cluster.copy_of(m);
        let mut cluster = Directory(cluster, m).goes_back(secs(5));
        cluster.host_mut(m).disk = state;
        cluster.start(m);
        cluster.run_until("it says so", secs(5), |c| {
            c.said(m, "its state file is an old one") && c.said(m, "went back")
        });
        cluster.run_until("in sync again", D + secs(40), |c| {
            c.is_in_sync() && c.copy_of(m) != before
        });
        cluster.over();
    }
}

/// Only so little is missing that nobody has seen it: what was acknowledged may be among it. The state went back with it,
/// which the others have seen.
#[test]
fn r12_a_copy_whose_state_went_back_is_another_copy() {
    for m in [DATA1, DATA2] {
        let mut cluster = Cluster::in_sync();
        cluster.run_for(secs(2));
        let state = cluster.host(m).disk.clone();
        cluster.run_for(secs(2));
        let before = cluster.copy_of(m);
        cluster.power_off(m);
        cluster.host_mut(m).disk = state;
        cluster.start(m);
        cluster.run_until("it says so", secs(5), |c| {
            c.said(m, "may have gone back with it")
        });
        cluster.run_until("in sync again", D + secs(40), |c| {
            c.is_in_sync() && c.copy_of(m) != before
        });
        assert_eq!(cluster.db(m).discarded, 0, "its history fits");
        cluster.over();
    }
}

/// The daemon dies as soon as it has joined again, before its copy has another name.
#[test]
fn r12_that_a_copy_is_doubted_outlives_its_daemon() {
    let mut cluster = Cluster::in_sync();
    cluster.run_for(secs(2));
    let state = cluster.host(DATA2).disk.clone();
    cluster.run_for(secs(2));
    let before = cluster.copy_of(DATA2);
    cluster.power_off(DATA2);
    cluster.host_mut(DATA2).disk = state;
    cluster.start(DATA2);
    cluster.run_until("it has joined again", secs(5), |c| {
        let disk = c.host(DATA2).disk.as_ref();
        disk.is_some_and(|s| !s.lost && s.noted.is_some_and(|n| n.is_beyond()))
    });
    assert_eq!(cluster.copy_of(DATA2), before);
    cluster.restart_daemon(DATA2, ms(50));
    cluster.run_until("in sync again", D + secs(40), |c| {
        c.is_in_sync() && c.copy_of(DATA2) != before
    });
    cluster.over();
}

/// The record names no other copy: whatever this one lacks is nowhere.
#[test]
fn r12_the_only_copy_keeps_its_name_though_its_state_went_back() {
    let mut cluster = Cluster::lone();
    cluster.run_for(secs(2));
    let state = cluster.host(DATA1).disk.clone();
    cluster.run_for(secs(2));
    let before = cluster.copy_of(DATA1);
    cluster.power_off(DATA1);
    cluster.start(DATA2);
    cluster.host_mut(DATA1).disk = state;
    cluster.start(DATA1);
    cluster.run_until("in sync", D + secs(40), Cluster::is_in_sync);
    assert!(cluster.said(DATA1, "its state file is an old one"));
    assert_eq!(cluster.copy_of(DATA1), before);
    cluster.over();
}

/// The only copy went back in time: nobody may serve on it but by an operator's word, and it says so.
#[test]
fn r15_the_only_copy_restored_from_an_older_one_serves_nobody() {
    let mut cluster = Directory(Cluster::lone(), DATA1).goes_back(secs(5));
    cluster.start(DATA1);
    cluster.start(DATA2);
    cluster.run_for(D + D + secs(5));
    assert_eq!(cluster.leader(), None);
    assert!(!cluster.is_served());
    let why = cluster.node(DATA1).view().stays_out.unwrap();
    assert!(
        why.contains("put it back") && why.contains("`yokeadm adopt`"),
        "{why}"
    );
}

#[test]
fn r15_a_lost_data_directory_is_cloned() {
    for m in [DATA1, DATA2] {
        let mut cluster = Cluster::in_sync();
        cluster.power_off(m);
        let db = cluster.db_mut(m);
        (db.copy, db.system_id, db.stamped) = (None, None, false);
        cluster.start(m);
        cluster.run_until("in sync again", D + secs(30), Cluster::is_in_sync);
        assert_eq!(cluster.db(m).discarded, 1);
        cluster.over();
    }
}

#[test]
fn r12_a_member_that_lost_all_is_cloned_and_a_primary_becomes_a_standby() {
    for m in [DATA1, DATA2] {
        let mut cluster = Cluster::in_sync();
        cluster.power_off(m);
        cluster.host_mut(m).disk = None;
        let db = cluster.db_mut(m);
        (db.copy, db.system_id, db.stamped) = (None, None, false);
        cluster.start(m);
        cluster.run_until("in sync again", D + secs(30), Cluster::is_in_sync);
        let other = if m == DATA1 { DATA2 } else { DATA1 };
        assert_eq!(cluster.served_by(), Some(other));
        cluster.over();
    }
}

/// A member that joined again starts no unstamped directory, though it is the configured primary (R20).
#[test]
fn r20_after_a_loss_an_unstamped_directory_is_not_the_clusters_first() {
    let mut cluster = Cluster::in_sync();
    cluster.power_off(DATA1);
    cluster.host_mut(DATA1).disk = None;
    cluster.db_mut(DATA1).stamped = false;
    cluster.start(DATA1);
    cluster.run_until("in sync again", D + secs(40), Cluster::is_in_sync);
    assert!(cluster.host(DATA1).targets.iter().all(|t| !t.first_stamp));
    assert_eq!(cluster.served_by(), Some(DATA2));
    cluster.over();
}

/// A directory may be as long as it was and still be an older one: its stamp tells.
#[test]
fn r15_a_directory_with_an_older_stamp_is_another_copy() {
    let mut cluster = Cluster::in_sync();
    let old = cluster.db(DATA2).stamp_record;
    cluster.demote(DATA1);
    cluster.run_until("data2 serves", secs(5), |c| c.served_by() == Some(DATA2));
    cluster.run_until("in sync again", secs(30), Cluster::is_in_sync);
    cluster.power_off(DATA2);
    cluster.db_mut(DATA2).stamp_record = old;
    cluster.start(DATA2);
    cluster.run_until("it says so", secs(5), |c| {
        c.said(DATA2, "went back in time")
    });
    cluster.run_until("in sync again", D + secs(40), Cluster::is_in_sync);
    cluster.over();
}

/// Nothing was noted, nobody has seen it; but the record knows of a promotion of this copy.
#[test]
fn r12_a_directory_that_lacks_a_promotion_of_the_record_is_another_copy() {
    let mut cluster = Cluster::in_sync();
    cluster.power_off(DATA1);
    let state = cluster.host_mut(DATA1).disk.as_mut().unwrap();
    state.noted = None;
    let record = state.record.clone().unwrap();
    assert_eq!(record.promotions.newest().0, record.key.term);
    let kept = record.promotions.promotions()[..1].to_vec();
    cluster.db_mut(DATA1).history = kept.into();
    cluster.cut_off(DATA1);
    cluster.start(DATA1);
    cluster.run_until("it says so", secs(5), |c| {
        c.said(DATA1, "went back in time")
    });
    cluster.over();
}

/// What was written in the last second is noted when the database stops.
#[test]
fn r15_a_stop_is_noted_at_once() {
    let mut cluster = Cluster::lone();
    // Between two of the notes that are made each second.
    let noted = |c: &Cluster| c.host(DATA1).disk.as_ref().and_then(|s| s.noted);
    let before = noted(&cluster);
    cluster.run_until("a note", secs(2), |c| noted(c) != before);
    cluster.run_for(ms(300));
    cluster.kill_database(DATA1);
    let end = cluster.db(DATA1).end;
    cluster.run_for(ms(60));
    let found = noted(&cluster).unwrap().reached.end;
    assert!(end.0 - found.0 < 60, "{found} of {end}");
}
