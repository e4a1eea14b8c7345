//! `sync_command` between a real primary and a real guard: what it may do, and that nothing of it outlives its purpose.

mod support;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use support::{A, B, Host, PATIENCE, eventually, now};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use yoke::codec;
use yoke::copying::Copies;
use yoke::copying::wire::{Answer, Ask};
use yoke::hooks::Standing;
use yoke::peer::handshake::{self, Purpose, Welcome};
use yoke::peer::listen::Listen;
use yoke::peer::{Directory, Hello};
use yoke_core::permission::Lasts;
use yoke_core::postgres::{Doors, StopMode};
use yoke_core::step::{Outcome, Step};

/// A primary with a `sync_command`, the daemon's part of it, and an empty host.
struct Pair {
    a: Host,
    b: Host,
    address: SocketAddr,
    standing: watch::Sender<Standing>,
}

/// `command` may use `$D`, a directory of the test's own; `ip` is where the primary's configuration has the other host.
async fn pair(command: &str, ip: &str) -> Pair {
    let mut a = Host::fresh(A).await;
    a.start(1).await;
    let end = now() + yoke_core::Duration::secs(600);
    a.promote(1, Lasts::Until(end)).await;
    a.apply(1, Some(vec![]), Doors::Open).await;
    let mut b = Host::empty(B).await;

    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let command = command.replace("$D", &a.path().display().to_string());
    let mut context = a.context.clone();
    context.daemons[1] = SocketAddr::new(ip.parse().expect("an address"), 1);
    let (standing, watched) = watch::channel(Standing {
        primary: a.view.run,
        ..Standing::default()
    });
    let copies = Copies::new(context.clone(), Some(command), watched);
    let (inputs, _) = mpsc::channel(1);
    let listen = Listen::new(
        hello(&a, &a),
        Arc::new(Directory::new(context.daemons)),
        inputs,
        PATIENCE,
        Some(copies),
    );
    tokio::spawn(listen.run(listener));
    b.context.daemons[0] = address;
    b.new_daemon().await;
    Pair {
        a,
        b,
        address,
        standing,
    }
}

fn hello(from: &Host, to: &Host) -> Hello {
    Hello {
        cluster: from.context.cluster.clone(),
        members: from.context.members.clone(),
        from: from.context.me,
        to: to.context.me,
        postgres_port: from.context.pg_port,
    }
}

/// A command that says by a file who it is, and does not end.
const ENDLESS: &str = "sleep 1000 & echo $! >$D/tmp && mv $D/tmp $D/pid; wait; : {{slave_dir}}";

fn is_alive(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// Every word that the guard has to say, until one is in it.
async fn explained(host: &mut Host, words: &str) {
    while !host.explained.iter().any(|said| said.contains(words)) {
        assert!(host.hear().await.is_some(), "{:?}", host.explained);
    }
}

async fn begun(file: &Path) -> String {
    eventually("the command begins", || file.exists()).await;
    let pid = std::fs::read_to_string(file).expect("a process");
    pid.trim().to_owned()
}

async fn backups(a: &Host) -> i64 {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_%start%backup%' OR query LIKE '%pg_backup_start%'";
    let client = a.client().await;
    // Its own query is one that says so.
    client
        .query_one(sql, &[])
        .await
        .expect("an answer")
        .get::<_, i64>(0)
        - 1
}

fn beside(data: &Path) -> Vec<PathBuf> {
    let parent = data.parent().expect("a parent");
    let entries = std::fs::read_dir(parent).expect("a directory");
    entries
        .map(|e| e.expect("an entry").path())
        .filter(|p| p != data)
        .collect()
}

/// R16: a stop ends the clone; with it go the command and all that it started, the backup, and the fresh directory.
#[tokio::test(flavor = "multi_thread")]
async fn r16_a_copy_that_is_ended_leaves_nothing() {
    let mut pair = pair(ENDLESS, "127.0.0.1").await;
    let upstream = pair.a.upstream();
    let clone = pair.b.ask(1, Step::Clone { from: A }, Some(upstream));
    let pid = begun(&pair.a.path().join("pid")).await;
    assert!(is_alive(&pid));
    assert_eq!(backups(&pair.a).await, 1);
    assert_eq!(beside(&pair.b.context.data_dir).len(), 2);
    let stop = pair.b.ask(1, Step::Stop(StopMode::Now), None);
    assert_eq!(pair.b.answer(clone).await, Outcome::Ended);
    assert_eq!(pair.b.answer(stop).await, Outcome::Done);
    assert!(beside(&pair.b.context.data_dir).is_empty());
    eventually("the command's end", || !is_alive(&pid)).await;
    let mut left = 1;
    for _ in 0..500 {
        left = backups(&pair.a).await;
        if left == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(left, 0, "the backup goes on");
}

/// The command ends with the role; the standby says so, and gets its copy by other means.
#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_loses_its_role_ends_the_copy() {
    let mut pair = pair(ENDLESS, "127.0.0.1").await;
    let upstream = pair.a.upstream();
    let clone = pair.b.ask(1, Step::Clone { from: A }, Some(upstream));
    let pid = begun(&pair.a.path().join("pid")).await;
    pair.standing.send_replace(Standing::default());
    explained(
        &mut pair.b,
        "not the primary any more; pg_basebackup is used instead",
    )
    .await;
    eventually("the command's end", || !is_alive(&pid)).await;
    assert_eq!(pair.b.answer(clone).await, Outcome::Done);
    assert!(beside(&pair.b.context.data_dir).is_empty());
}

/// Who asks from another address than the member's own is refused, and nothing is run.
#[tokio::test(flavor = "multi_thread")]
async fn only_a_members_own_address_may_ask() {
    let mut pair = pair("touch $D/ran; : {{slave_dir}}", "127.0.0.9").await;
    let upstream = pair.a.upstream();
    let outcome = pair
        .b
        .guards(1, Step::Clone { from: A }, Some(upstream))
        .await;
    assert_eq!(outcome, Outcome::Done);
    explained(
        &mut pair.b,
        "it was asked for from 127.0.0.1, and that member is configured at 127.0.0.9",
    )
    .await;
    assert!(!pair.a.path().join("ran").exists());
}

/// Nothing of what is asked can be read by a shell as more than a path.
#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_a_shell_would_misread_is_refused() {
    let pair = pair("touch $D/ran; : {{slave_dir}}", "127.0.0.1").await;
    for directory in ["/tmp/x; touch /tmp/y", "/tmp/$(id)", "relative", "/a/../b"] {
        let mut stream = TcpStream::connect(pair.address)
            .await
            .expect("a connection");
        handshake::write_prelude(&mut stream, Purpose::Copy)
            .await
            .expect("sent");
        let frame = codec::frame(&hello(&pair.b, &pair.a)).expect("short");
        stream.write_all(&frame).await.expect("sent");
        handshake::read_prelude(&mut stream)
            .await
            .expect("an answer");
        let welcome: Welcome = codec::read_frame(&mut stream).await.expect("an answer");
        assert!(matches!(welcome, Welcome::Come { .. }), "{welcome:?}");
        let ask = Ask::Copy {
            directory: directory.to_owned(),
        };
        let frame = codec::frame(&ask).expect("short");
        stream.write_all(&frame).await.expect("sent");
        let answer: Answer = codec::read_frame(&mut stream).await.expect("an answer");
        let Answer::Failed(why) = answer else {
            panic!("{directory}: {answer:?}");
        };
        assert!(why.contains(directory), "{why}");
    }
    assert!(!pair.a.path().join("ran").exists());
}

/// What the command copied becomes a standby of its own: the other server's run and stamp stay behind, and what it needs
/// of the write-ahead log is there, though the primary keeps none of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_whole() {
    let mut pair = pair(
        "cp -a {{local_dir}}. {{slave_dir}} && touch $D/ran",
        "127.0.0.1",
    )
    .await;
    let client = pair.a.client().await;
    let sql = "CREATE TABLE t AS SELECT generate_series(1, 1000) AS i; SELECT pg_create_physical_replication_slot('s')";
    client.batch_execute(sql).await.expect("a table");
    let upstream = pair.a.upstream();
    let outcome = pair
        .b
        .guards(1, Step::Clone { from: A }, Some(upstream.clone()))
        .await;
    assert_eq!(outcome, Outcome::Done, "{:?}", pair.b.explained);
    assert!(pair.a.path().join("ran").exists());
    assert!(beside(&pair.b.context.data_dir).is_empty());
    let data = pair.b.context.data_dir.clone();
    assert!(data.join("backup_label").is_file());
    let slots = std::fs::read_dir(data.join("pg_replslot")).expect("a directory");
    for gone in [
        "postmaster.pid",
        "postmaster.opts",
        "standby.signal",
        "yoke.stamp",
    ] {
        assert!(!data.join(gone).exists(), "{gone}");
    }
    assert_eq!(slots.count(), 0);
    let wal = std::fs::read_dir(data.join("pg_wal")).expect("a directory");
    let segments = wal.filter(|e| {
        let name = e.as_ref().expect("an entry").file_name();
        name.len() == 24
    });
    assert!(segments.count() >= 1);

    // It comes up by itself, with the primary out of reach.
    pair.b.start(1).await;
    let client = pair.b.client().await;
    let row = client.query_one("SELECT count(*) FROM t", &[]).await;
    assert_eq!(row.expect("an answer").get::<_, i64>(0), 1000);
}
