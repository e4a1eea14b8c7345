//! A guard outlives its daemon, keeps the database for the next one, and hears nobody else (R10, R16).

mod support;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use support::{A, B, Host, eventually, is_guard, now};
use yoke::guard::hello::PROTOCOL;
use yoke::guard::wire::encode;
use yoke::guard::{GuardLink, GuardRequest};
use yoke::postgres::Upstream;
use yoke::state_file::StatusDir;
use yoke_core::Duration;
use yoke_core::permission::{Lasts, Permission};
use yoke_core::postgres::{Doors, StopMode};
use yoke_core::record::Term;
use yoke_core::step::{Outcome, Step};

async fn primary(lasts: Lasts) -> Host {
    let mut a = Host::fresh(A).await;
    a.start(1).await;
    a.promote(1, lasts).await;
    a.apply(1, Some(vec![]), Doors::Open).await;
    a
}

#[tokio::test(flavor = "multi_thread")]
async fn r16_the_newest_daemon_is_heard_and_the_older_no_more() {
    let mut a = primary(Lasts::Unbounded).await;
    let (before, guard) = (a.view, a.guard.pid());
    let client = a.client().await;
    // The next one comes while the older connection still stands: that one was frozen, say.
    let other = Host::connect_again(&a).await;
    let older = std::mem::replace(&mut a.guard, other.0);
    assert_eq!(other.1, before);
    assert_eq!(a.guard.pid(), guard);
    older.send(GuardRequest::Permission(Permission {
        term: Term(9),
        serial: 99,
        lasts: Lasts::Ended,
    }));
    a.new_daemon().await;
    a.permit(1, Lasts::Unbounded);
    a.done(1, Step::Reload).await;
    assert_eq!(a.view.run, before.run);
    assert_eq!(a.view.serving, before.serving);
    client
        .batch_execute("CREATE TABLE t (i int)")
        .await
        .expect("the session goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn r10_a_lease_ends_without_a_daemon_too_and_a_guard_of_nothing_ends_by_itself() {
    let mut a = primary(Lasts::Until(now() + Duration::secs(600))).await;
    let end = now() + Duration::millis(500);
    a.permit(1, Lasts::Until(end));
    a.until_view("the permission", |view| {
        view.permission.lasts == Lasts::Until(end)
    })
    .await;
    a.hang_up().await;
    let processes = a.processes();
    eventually("everything gone", || processes.find().is_empty()).await;
    let gone = now();
    println!("fenced {} after the end of its lease", gone.since(end));
    assert!(gone >= end, "fenced before its end");
    assert!(gone.since(end) <= a.context.config().fencing());
    a.new_daemon().await;
    a.until_view("said gone", |view| view.run.is_none()).await;
    // What it decided meanwhile is told.
    while !a
        .explained
        .iter()
        .any(|text| text.contains("without a daemon") && text.contains("permission is over"))
    {
        assert!(a.hear().await.is_some(), "{:?}", a.explained);
    }
    let guard = a.guard.pid();
    a.hang_up().await;
    let took = eventually("the guard's end", || !is_guard(guard)).await;
    println!("the guard ended {took:?} after its last daemon");
    assert!(!a.context.status_dir.join("guard.sock").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_without_a_daemon_ends_its_database_by_sigterm() {
    let mut a = primary(Lasts::Unbounded).await;
    let guard = a.guard.pid();
    let terminate = || kill(Pid::from_raw(guard.cast_signed()), Signal::SIGTERM).expect("ours");
    // Not while a daemon is there: that one decides.
    terminate();
    a.done(1, Step::Reload).await;
    a.until("still a primary", |s| !s.in_recovery).await;
    a.hang_up().await;
    // It may see the signal before it has seen the connection's end.
    eventually("the guard's end", || {
        if is_guard(guard) {
            terminate();
        }
        !is_guard(guard)
    })
    .await;
    assert!(a.processes().find().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn r16_an_order_under_way_goes_on_across_daemons() {
    let mut a = Host::fresh(A).await;
    a.done(1, support::aside()).await;
    // Somebody who accepts and then says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let upstream = Upstream {
        host: "127.0.0.1".into(),
        port: silent.local_addr().expect("an address").port(),
    };
    let clone = a.ask(1, Step::Clone { from: B }, Some(upstream));
    let _connection = silent.accept().expect("pg_basebackup comes");
    a.hang_up().await;
    a.new_daemon().await;
    assert_eq!(a.view.order, Some(clone));
    assert_eq!(a.guards(1, support::aside(), None).await, Outcome::Refused);
    assert_eq!(
        a.guards(1, Step::Stop(StopMode::Now), None).await,
        Outcome::Done
    );
    a.until_view("its end", |view| view.order.is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r16_only_the_holder_of_the_lock_is_heard() {
    let mut a = primary(Lasts::Unbounded).await;
    let elsewhere = a.path().join("elsewhere");
    let other = StatusDir::lock(&elsewhere)
        .expect("another directory")
        .held();
    let program = support::cluster::Node::yoke();
    let refused = GuardLink::connect_or_run(program, &a.context, &other).await;
    let why = refused.expect_err("not heard").to_string();
    assert!(why.contains("holds yoke.lock"), "{why}");

    // Who brings nothing at all, and who speaks another language: both learn which one is spoken here.
    let greeting = |protocol: u32| [&b"YOKEGARD"[..], &protocol.to_be_bytes()].concat();
    for spoken in [PROTOCOL, 99] {
        let mut stream =
            UnixStream::connect(a.context.status_dir.join("guard.sock")).expect("it listens");
        stream.write_all(&greeting(spoken)).expect("sent");
        let mut answer = Vec::new();
        // It hangs up.
        stream.read_to_end(&mut answer).expect("an end");
        assert!(answer.starts_with(&greeting(PROTOCOL)), "{answer:?}");
    }
    // Another database is not taken over either.
    let mut context = a.context.clone();
    context.data_dir = a.path().join("other");
    let refused = GuardLink::connect_or_run(program, &context, a.lock()).await;
    let why = refused.expect_err("not heard").to_string();
    assert!(why.contains("data_dir was"), "{why}");
    // All the while the daemon that was there is.
    a.done(1, Step::Reload).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r16_one_guard_a_directory() {
    let mut a = primary(Lasts::Unbounded).await;
    let mut second = Command::new(support::cluster::Node::yoke())
        .arg("guard")
        .arg(&a.context.status_dir)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    let bytes = encode(&a.context).expect("short");
    let mut stdin = second.stdin.take().expect("a pipe");
    stdin.write_all(&bytes).expect("sent");
    drop(stdin);
    let output = second.wait_with_output().expect("it ends");
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("another guard"), "{said}");
    assert!(said.contains(&a.guard.pid().to_string()), "{said}");
    a.done(1, Step::Reload).await;
    a.until("still a primary", |s| !s.in_recovery).await;
}
