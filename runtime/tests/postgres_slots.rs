//! A copy's slot at a real primary: its name is one connection's (R7).

mod support;

use std::process::Command;
use support::{A, B, Host, copy};
use yoke::postgres::find::Binaries;
use yoke::postgres::names;
use yoke_core::member::MemberId;
use yoke_core::permission::Lasts;
use yoke_core::postgres::{Doors, StopMode};
use yoke_core::step::{Outcome, Server, Slot, Step};

/// A lone primary, and a clone of it that is set to follow and runs; there is no slot.
async fn pair() -> (Host, Host) {
    let mut a = Host::fresh(A).await;
    a.start(1).await;
    a.promote(1, Lasts::Unbounded).await;
    a.apply(1, Some(vec![]), Doors::Open).await;
    let mut b = Host::empty(B).await;
    let upstream = Some(a.upstream());
    let outcome = b.guards(1, Step::Clone { from: A }, upstream.clone()).await;
    assert_eq!(outcome, Outcome::Done, "{:?}", b.explained);
    let mut settings = b.settings(None, Doors::Open);
    settings.follow = Some(A);
    let step = Step::WriteSettings(settings);
    assert_eq!(b.guards(1, step, upstream).await, Outcome::Done);
    b.done(1, Step::Start).await;
    (a, b)
}

fn has(slots: &[(MemberId, bool)]) -> impl Fn(&Server) -> bool {
    let slots: Vec<Slot> = slots
        .iter()
        .map(|(member, active)| Slot {
            copy: copy(*member),
            active: *active,
        })
        .collect();
    move |server| server.slots == slots
}

async fn dropped(host: &mut Host, member: MemberId) {
    let (make, drop) = (vec![], vec![copy(member)]);
    let outcome = host.daemons(Step::Slots { make, drop }).await;
    assert_eq!(outcome, Outcome::Done);
}

/// Tries to stream from `a` under the standby's name and from its slot; what the server says to that.
fn second_connection(a: &Host) -> String {
    let program = Binaries::of_data(&a.context, &a.context.data_dir)
        .expect("PostgreSQL is installed")
        .program("pg_receivewal");
    let name = names::of_copy(&a.context, copy(B));
    let target = tempfile::tempdir().expect("a directory");
    let upstream = a.upstream();
    let output = Command::new(program)
        .args(["--no-loop", "--slot", &name, "--directory"])
        .arg(target.path())
        .args([
            "--dbname",
            &format!(
                "host={} port={} user={} application_name={name}",
                upstream.host,
                upstream.port,
                names::REPLICATION_ROLE
            ),
        ])
        .output()
        .expect("pg_receivewal runs");
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_streams_from_its_own_slot_alone_and_nobody_else_does() {
    let (mut a, mut b) = pair().await;
    b.until("a standby that nobody feeds", |s| {
        s.in_recovery && s.drained && s.streaming_from.is_none()
    })
    .await;
    a.until("no slot", has(&[])).await;
    a.slot_for(B).await;
    // At its next try.
    b.until("streaming", |s| s.streaming_from == Some(A)).await;
    a.until("its slot in use", has(&[(B, true)])).await;

    // A second connection of the name is refused, and the first goes on.
    let said = second_connection(&a);
    assert!(said.contains("is active for PID"), "{said}");
    let seen = a.until("its slot in use", has(&[(B, true)])).await;
    assert_eq!(seen.walsenders.len(), 1, "{seen:?}");

    // Made twice is made once; what is in use is not dropped.
    a.slot_for(B).await;
    dropped(&mut a, B).await;
    a.until("its slot in use", has(&[(B, true)])).await;

    // Its standby is gone: the slot stays, over a restart as well, until it is dropped.
    b.done(1, Step::Stop(StopMode::Now)).await;
    a.until("its slot, not in use", has(&[(B, false)])).await;
    a.done(1, Step::Stop(StopMode::Clean)).await;
    a.start(1).await;
    // Who is a standby by now drops it, too.
    a.until("its slot, in recovery", has(&[(B, false)])).await;
    dropped(&mut a, B).await;
    a.until("no slot", has(&[])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_keeps_the_log_within_a_bound() {
    let (mut a, _b) = pair().await;
    let shown = async |a: &Host, name: &str| -> String {
        let sql = format!("SHOW {name}");
        let rows = a.client().await.query_one(&sql, &[]).await;
        rows.expect("an answer").get(0)
    };
    assert_eq!(shown(&a, "max_slot_wal_keep_size").await, "4GB");
    assert_eq!(shown(&a, "max_replication_slots").await, "20");
    // The user's own bound counts; no bound does not.
    for (own, counts) in [("7GB", "7GB"), ("-1", "4GB")] {
        a.configure(&format!("max_slot_wal_keep_size = {own}"));
        a.apply(1, Some(vec![]), Doors::Open).await;
        assert_eq!(shown(&a, "max_slot_wal_keep_size").await, counts);
    }
}
