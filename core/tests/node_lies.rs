//! A peer's message may be a lie, but none ends a daemon: what no member can have said is not heard.
#![allow(clippy::unwrap_used)]

mod scenario;

use scenario::*;
use yoke_core::message::{Body, Candidacy};
use yoke_core::postgres::Lsn;
use yoke_core::record::CopyId;
use yoke_core::view::ClusterView;

fn monitor(cluster: &Cluster) -> ClusterView {
    cluster.host(MONITOR).node.as_ref().unwrap().view()
}

#[test]
fn r4_a_record_that_leaves_out_its_own_primarys_copy_is_not_taken_up() {
    let mut cluster = Cluster::in_sync();
    let view = monitor(&cluster);
    let mut record = (**view.record.as_ref().unwrap()).clone();
    record.in_sync.clear();
    record.key.version += 1;
    let term = record.key.term.0;
    cluster.inject(DATA1, MONITOR, term, heartbeat(1, Some(record.into())));
    assert_eq!(monitor(&cluster).record, view.record);
    cluster.over();
}

#[test]
fn r2_the_last_of_all_terms_is_not_counted_on_from() {
    let mut cluster = Cluster::in_sync();
    let term = monitor(&cluster).term;
    let candidacy = Candidacy {
        round: 1,
        record: None,
        copy: CopyId(1),
        end: Lsn(0),
    };
    for body in [Body::PreVote(candidacy.clone()), Body::Vote(candidacy)] {
        cluster.inject(DATA1, MONITOR, u64::MAX, body);
    }
    assert_eq!(monitor(&cluster).term, term);
    cluster.over();
}
