//! The guard process with a real PostgreSQL: fences, and leaves nothing behind, whoever dies.

mod support;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::process::Stdio;
use std::time::Instant;
use support::{A, Host, eventually, now};
use yoke::guard::{GuardReply, GuardRequest};
use yoke::postgres::find::Binaries;
use yoke::postgres::user::{Child, PgUser};
use yoke_core::Duration;
use yoke_core::permission::Lasts;
use yoke_core::postgres::{Doors, StopMode};
use yoke_core::step::{Outcome, Step};

/// Two sessions that notice the postmaster's death only when they are done, and one that writes without end.
async fn busy_primary(lasts: Lasts) -> Host {
    let mut a = Host::fresh(A).await;
    a.start(1).await;
    a.promote(1, lasts).await;
    a.apply(1, Some(vec![]), Doors::Open).await;
    let setup = a.client().await;
    setup
        .batch_execute(
            "CREATE TABLE t (i int);
             CREATE PROCEDURE forever() LANGUAGE plpgsql AS 'BEGIN LOOP INSERT INTO t VALUES (1); COMMIT; END LOOP; END'",
        )
        .await
        .expect("set up");
    for sql in [
        "SELECT count(*) FROM generate_series(1, 100000000000)",
        "CALL forever()",
    ] {
        let client = a.client().await;
        tokio::spawn(async move { client.batch_execute(sql).await });
    }
    let rows = async || {
        let row = setup.query_one("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid()", &[]);
        row.await.expect("an answer").get::<_, i64>(0)
    };
    while rows().await < 2 {}
    a
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_permission_is_the_end_of_the_database() {
    let mut a = busy_primary(Lasts::Until(now() + Duration::secs(600))).await;
    let end = now() + Duration::millis(200);
    a.permit(1, Lasts::Until(end));
    let processes = a.processes();
    // S2 rests on it: within F of the end, nothing is left that could serve.
    let fencing = a.context.config().fencing();
    eventually("everything gone", || processes.find().is_empty()).await;
    let gone = now();
    println!("fenced in {}", gone.since(end));
    assert!(gone >= end, "fenced before its end");
    assert!(
        gone.since(end) <= fencing,
        "it took {} of {fencing}",
        gone.since(end)
    );
    a.until_view("said gone", |view| view.run.is_none() && !view.fencing)
        .await;
    assert!(a.explained.iter().any(|text| text.contains("permission")));

    // It starts again, as a standby: crash recovery and all.
    let server = a.start(1).await;
    assert!(server.in_recovery);
    assert_eq!(a.guards(1, Step::Promote, None).await, Outcome::Refused);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permission_that_is_renewed_keeps_it() {
    let mut a = busy_primary(Lasts::Until(now() + Duration::secs(600))).await;
    let run = a.view.run;
    for _ in 0..10 {
        a.permit(1, Lasts::Until(now() + Duration::millis(300)));
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    a.until("still a primary", |s| !s.in_recovery).await;
    assert_eq!(a.view.run, run);
    a.permit(1, Lasts::Ended);
    a.until_view("gone", |view| view.run.is_none()).await;
    assert!(a.processes().find().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_survives_a_killed_guard() {
    let mut a = busy_primary(Lasts::Unbounded).await;
    let guard = Pid::from_raw(a.guard.pid().cast_signed());
    kill(guard, Signal::SIGKILL).expect("our own guard");
    while a.hear().await.is_some() {}
    // By PDEATHSIG at the latest; the next guard has seen to it in any case before it says its first word.
    a.new_daemon().await;
    assert!(a.processes().find().is_empty());
    assert_eq!(a.view.run, None);
    a.start(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_ends_by_itself_when_its_guard_is_killed() {
    let mut a = busy_primary(Lasts::Unbounded).await;
    let guard = Pid::from_raw(a.guard.pid().cast_signed());
    let processes = a.processes();
    kill(guard, Signal::SIGKILL).expect("our own guard");
    eventually("everything gone", || processes.find().is_empty()).await;
    while a.hear().await.is_some() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_that_is_dismissed_fences_and_ends() {
    let mut a = busy_primary(Lasts::Unbounded).await;
    let begin = Instant::now();
    a.dismiss().await;
    let processes = a.processes();
    assert!(processes.find().is_empty(), "after {:?}", begin.elapsed());
    a.new_daemon().await;
    assert_eq!(a.view.run, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_postmaster_is_seen_gone_with_all_its_children() {
    let mut a = busy_primary(Lasts::Unbounded).await;
    let text = std::fs::read_to_string(a.context.data_dir.join("postmaster.pid")).expect("a file");
    let postmaster: i32 = text
        .lines()
        .next()
        .and_then(|l| l.parse().ok())
        .expect("a number");
    let run = a.view.run;
    kill(Pid::from_raw(postmaster), Signal::SIGKILL).expect("our own server");
    a.until_view("gone", |view| view.run.is_none()).await;
    assert!(a.processes().find().is_empty());
    a.start(1).await;
    assert_ne!(a.view.run, run);
    // Its children were adopted and reaped: no zombie is left behind.
    let guard = a.guard.pid();
    let zombies = || {
        std::process::Command::new("ps")
            .args(["--ppid", &guard.to_string(), "-o", "stat="])
            .output()
            .map(|o| String::from_utf8_lossy(&o.stdout).matches('Z').count())
            .unwrap_or(1)
    };
    eventually("no zombies", || zombies() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_a_clone() {
    let mut a = Host::fresh(A).await;
    a.done(1, support::set_aside()).await;
    // Somebody who accepts and then says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let upstream = yoke::postgres::Upstream {
        host: "127.0.0.1".into(),
        port: silent.local_addr().expect("an address").port(),
    };
    let clone = a.ask(
        1,
        Step::Clone {
            from: yoke_core::member::MemberId(1),
        },
        Some(upstream),
    );
    let _connection = silent.accept().expect("pg_basebackup comes");
    let stop = a.ask(1, Step::Stop(StopMode::Now), None);
    let mut answers = Vec::new();
    while answers.len() < 2 {
        if let Some(GuardReply::Answer { number, outcome }) = a.hear().await {
            answers.push((number, outcome));
        }
    }
    assert_eq!(answers, [(clone, Outcome::Ended), (stop, Outcome::Done)]);
    assert!(!a.path().join("pg/data.new").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_elses_server_is_left_alone() {
    let mut a = Host::fresh(A).await;
    let user = PgUser::of(&a.context).expect("a user");
    let data = a.context.data_dir.clone();
    let postgres = Binaries::of_data(&a.context, &data)
        .expect("installed")
        .program("postgres");
    let mut foreign = user
        .command(&postgres, Child::Helper)
        .arg("-D")
        .arg(&data)
        .args(["-c", "listen_addresses=", "-c"])
        .arg(format!(
            "unix_socket_directories={}",
            a.path().join("pg").display()
        ))
        .stderr(Stdio::null())
        .spawn()
        .expect("a server");
    let pid_file = data.join("postmaster.pid");
    eventually("its readiness", || {
        std::fs::read_to_string(&pid_file).is_ok_and(|text| text.contains("ready"))
    })
    .await;
    let settings = a.settings(None, Doors::Closed);
    a.done(1, Step::WriteSettings(settings)).await;
    match a.guards(1, Step::Start, None).await {
        Outcome::Failed(why) => assert!(why.contains("not by yoke"), "{why}"),
        other => panic!("{other:?}"),
    }
    a.dismiss().await;
    a.new_daemon().await;
    assert!(foreign.try_wait().expect("our child").is_none());
    foreign.kill().expect("our child");
    foreign.wait().expect("our child");
    // Its children end by themselves, or by the next start.
    let settings = a.settings(None, Doors::Closed);
    a.done(1, Step::WriteSettings(settings)).await;
    a.done(1, Step::Start).await;
    a.until("a standby", |s| s.in_recovery).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_permission_changes_nothing() {
    let mut a = Host::fresh(A).await;
    a.permit(3, Lasts::Unbounded);
    a.guard.send(GuardRequest::Permission(
        yoke_core::permission::Permission::NONE,
    ));
    a.until_view("the permission", |view| view.permission.term.0 == 3)
        .await;
    a.start(3).await;
    assert_eq!(a.guards(2, Step::Promote, None).await, Outcome::Refused);
    a.done(3, Step::Promote).await;
}
