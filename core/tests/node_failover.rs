//! The table "What happens when" of DESIGN.md, row by row, end to end in virtual time.
#![allow(clippy::unwrap_used)]

mod scenario;

use scenario::*;

#[test]
fn everything_loses_power_the_former_primary_returns() {
    let cluster = Cluster::in_sync();
    assert_eq!(cluster.leader(), Some(DATA1));
    cluster.over();
}

#[test]
fn genesis() {
    let mut cluster = Cluster::fresh();
    for m in [DATA1, DATA2, MONITOR] { cluster.start(m); }
    cluster.run_until("in sync", secs(10), Cluster::is_in_sync);
    println!("{}", cluster.trace());
    cluster.over();
}

#[test]
fn the_primarys_host_dies() {
    let mut cluster = Cluster::in_sync();
    cluster.power_off(DATA1);
    let took = cluster.run_until("served again", secs(10), |c| c.served_by() == Some(DATA2));
    println!("{}", cluster.trace());
    assert!(took <= D + secs(1), "{took}");
    cluster.over();
}
