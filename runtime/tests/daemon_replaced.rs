//! A daemon can be killed, frozen and upgraded; its clients see nothing of it, or its host is fenced (R6, R10, R16).

mod support;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};
use support::cluster::{Cluster, DECISION_TIMEOUT, Node};
use support::is_guard;
use tokio::sync::{Mutex, oneshot};
use tokio_postgres::Client;
use yoke::state_file::{StateError, StatusDir};

/// Two clusters at once would take each other's processor.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// A client that writes about a hundred times a second in one session.
struct Writer {
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<Result<Written, tokio_postgres::Error>>,
}

#[derive(Debug)]
struct Written {
    count: u64,
    longest_gap: Duration,
}

impl Writer {
    async fn begin(node: &Node) -> Writer {
        let client = node.client().await.expect("a session");
        client
            .batch_execute("CREATE TABLE IF NOT EXISTS w (i bigint)")
            .await
            .expect("a table");
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(write(client, stopped));
        Writer { stop, task }
    }

    async fn end(self) -> Written {
        let _ = self.stop.send(());
        self.task.await.expect("no panic").expect("no failed write")
    }
}

async fn write(
    client: Client,
    mut stopped: oneshot::Receiver<()>,
) -> Result<Written, tokio_postgres::Error> {
    let mut written = Written {
        count: 0,
        longest_gap: Duration::ZERO,
    };
    let mut last = Instant::now();
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while stopped.try_recv().is_err() {
        ticks.tick().await;
        client.batch_execute("INSERT INTO w VALUES (1)").await?;
        written.count += 1;
        written.longest_gap = written.longest_gap.max(last.elapsed());
        last = Instant::now();
    }
    Ok(written)
}

/// What must not change on a primary whose daemon is replaced.
async fn identity(node: &Node) -> (Option<u32>, Option<String>, i32) {
    let client = node.client().await.expect("a session");
    let row = client
        .query_one("SELECT timeline_id FROM pg_control_checkpoint()", &[])
        .await
        .expect("a timeline");
    (node.guard(), node.postmaster(), row.get(0))
}

/// Replaces the primary's daemon some times under a writer, and expects nothing to come of it.
async fn seamless(what: &str, mut replace: impl AsyncFnMut(&mut Cluster)) {
    let _alone = ONE_AT_A_TIME.lock().await;
    let mut cluster = Cluster::healthy().await;
    let before = identity(&cluster.nodes[0]).await;
    let writer = Writer::begin(&cluster.nodes[0]).await;
    for round in 1..=3 {
        replace(&mut cluster).await;
        let node = &cluster.nodes[0];
        cluster
            .until("leadership resumed", async || {
                node.says("resumes: the guard kept") >= round || writer.task.is_finished()
            })
            .await;
        // A lease that was not renewed, or a promise that ran out, would show by then.
        let end = Instant::now() + Duration::from_secs(DECISION_TIMEOUT + 1);
        cluster
            .until("some seconds more", async || {
                Instant::now() > end || writer.task.is_finished()
            })
            .await;
        cluster.until_in_sync(0).await;
    }
    let written = writer.end().await;
    println!(
        "{what}, three times: {} writes, none failed, longest gap {:?}",
        written.count, written.longest_gap
    );
    assert_eq!(
        identity(&cluster.nodes[0]).await,
        before,
        "{}",
        cluster.logs()
    );
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r6_a_daemon_killed_and_started_again_is_not_noticed() {
    seamless("kill -9", async |cluster: &mut Cluster| {
        cluster.nodes[0].kill_daemon();
        cluster.nodes[0].start();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r16_an_upgrade_is_not_noticed_and_keeps_the_lock() {
    seamless("SIGUSR2", async |cluster: &mut Cluster| {
        let node = &cluster.nodes[0];
        let (pid, said) = (node.pid(), node.says("starts at"));
        node.signal_daemon(Signal::SIGUSR2);
        // All the while nobody else gets the lock.
        cluster
            .until("the new program's start", async || {
                let stolen = StatusDir::lock(&node.status_dir);
                assert!(matches!(stolen, Err(StateError::Locked(_))), "{stolen:?}");
                node.says("starts at") > said
            })
            .await;
        assert_eq!(node.pid(), pid);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r10_a_frozen_daemons_primary_is_fenced_and_joins_once_it_thaws() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let mut cluster = Cluster::healthy().await;
    let guard = cluster.nodes[0].guard();
    cluster.nodes[0].signal_daemon(Signal::SIGSTOP);
    let frozen = Instant::now();
    cluster
        .until("the fence", async || cluster.nodes[0].database().is_empty())
        .await;
    println!("fenced {:?} after the freeze", frozen.elapsed());
    cluster
        .until("the other primary", async || {
            let sql = "SELECT 1 WHERE NOT pg_is_in_recovery()";
            cluster.nodes[1].ask(sql).await == Some(1)
        })
        .await;
    println!("another primary {:?} after the freeze", frozen.elapsed());
    assert!(cluster.nodes[0].database().is_empty());
    cluster.nodes[0].signal_daemon(Signal::SIGCONT);
    cluster.until_in_sync(1).await;
    let standby = cluster.nodes[0]
        .ask("SELECT 1 WHERE pg_is_in_recovery()")
        .await;
    assert_eq!(standby, Some(1), "{}", cluster.logs());
    assert_eq!(cluster.nodes[0].guard(), guard);
    assert!(cluster.nodes[0].says("its permission is over") > 0);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_serves_on_when_daemon_and_guard_are_killed() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let mut cluster = Cluster::healthy().await;
    let guard = cluster.nodes[0].guard().expect("a guard");
    // A session that computes notices nothing by itself.
    let client = cluster.nodes[0].client().await.expect("a session");
    tokio::spawn(async move {
        let sql = "SELECT count(*) FROM generate_series(1, 100000000000)";
        client.batch_execute(sql).await
    });
    kill(Pid::from_raw(guard.cast_signed()), Signal::SIGKILL).expect("ours");
    cluster.nodes[0].kill_daemon();
    cluster
        .until("everything gone", async || {
            cluster.nodes[0].database().is_empty()
        })
        .await;
    cluster.nodes[0].start();
    cluster
        .until("a guard", async || {
            cluster.nodes[0].guard().is_some_and(|new| new != guard)
        })
        .await;
    // Whoever leads now: the pair becomes whole again.
    let sql = "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'";
    cluster
        .until("a pair in sync", async || {
            cluster.nodes[0].ask(sql).await == Some(1) || cluster.nodes[1].ask(sql).await == Some(1)
        })
        .await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_is_refused_and_a_guard_has_none_of_its_daemons_files() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let mut cluster = Cluster::healthy().await;
    let node = &cluster.nodes[0];
    let output = node.start_second();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("another yoke daemon runs"), "{said}");

    let guard = node.guard().expect("a guard");
    let files = Node::open_files(guard);
    for file in &files {
        let name = file.to_string_lossy();
        for theirs in ["yoke.lock", "yoke.log", "/dev/pts", "/dev/tty", "pipe:"] {
            assert!(!name.contains(theirs), "the guard has {name} open");
        }
    }
    for socket in Node::sockets(node.pid()) {
        assert!(
            !files.contains(&socket),
            "the guard shares {}",
            socket.display()
        );
    }
    assert!(is_guard(guard));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_does_not_run_replaces_nothing() {
    let mut cluster = Cluster::make();
    let link = cluster.path().join("yoke");
    let turn = |to: &Path| {
        let new = link.with_extension("new");
        symlink(to, &new)
            .and_then(|()| std::fs::rename(&new, &link))
            .expect("a link");
    };
    turn(Node::yoke());
    cluster.nodes[2].program = link.clone();
    cluster.nodes[2].start();
    let until_it_says = async |text: &str, times: usize| {
        let node = &cluster.nodes[2];
        cluster.until(text, async || node.says(text) >= times).await;
    };
    until_it_says("starts at", 1).await;
    turn(Path::new("/bin/false"));
    cluster.nodes[2].signal_daemon(Signal::SIGUSR2);
    until_it_says("the daemon stays as it is: `", 1).await;
    turn(Node::yoke());
    cluster.nodes[2].signal_daemon(Signal::SIGUSR2);
    until_it_says("starts at", 2).await;
}
