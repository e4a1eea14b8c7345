//! A pair of real PostgreSQL servers, driven by bare steps.

mod support;

use support::{A, B, Host, copy, eventually, now, stamp_of};
use yoke_core::Duration;
use yoke_core::permission::Lasts;
use yoke_core::postgres::{Doors, Lsn, StopMode, Timeline};
use yoke_core::step::{Canary, ClusterState, DataDirectory, Directory, Outcome, Step};

fn data(directory: Directory) -> DataDirectory {
    match directory {
        Directory::Data(data) => *data,
        other => panic!("no data: {other:?}"),
    }
}

/// Clones `a`'s primary to `b` and has it stream.
async fn follow(a: &mut Host, b: &mut Host, term: u64) {
    let outcome = b
        .guards(term, Step::Clone { from: A }, Some(a.upstream()))
        .await;
    assert_eq!(outcome, Outcome::Done, "{:?}", b.explained);
    let mut settings = b.settings(None, Doors::Open);
    settings.follow = Some(A);
    let outcome = b
        .guards(term, Step::WriteSettings(settings), Some(a.upstream()))
        .await;
    assert_eq!(outcome, Outcome::Done);
    a.slot_for(B).await;
    b.done(term, Step::Start).await;
    b.until("streaming", |s| s.streaming_from == Some(A)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_from_nothing_to_a_failover() {
    let mut a = Host::fresh(A).await;
    let found = a.inspect().await;
    assert!(!found.rewriting && found.written.is_none());
    let fresh = data(found.directory);
    assert!(fresh.never_used && fresh.stamp.is_none());
    assert_eq!(fresh.newest_timeline, (Timeline(1), Lsn(0)));

    // R7: from the first moment on, nothing is acknowledged.
    let stamp = stamp_of(&fresh, A, "data1");
    a.done(1, Step::WriteStamp(stamp.clone())).await;
    let standby = a.start(1).await;
    assert!(standby.gate_is_ours && standby.settings == 1 && !standby.replay_paused);
    assert_eq!(standby.streaming_from, None);
    assert_eq!(a.guards(1, Step::Promote, None).await, Outcome::Refused);
    let primary = a
        .promote(1, Lasts::Until(now() + Duration::secs(600)))
        .await;
    assert_eq!(primary.timeline.0, Timeline(2));
    assert!(primary.timeline.1 >= fresh.checkpoint, "{primary:?}");
    assert!(primary.timeline.1 <= primary.position);
    assert_eq!(primary.canary, Canary::None);
    let found = a.inspect().await;
    assert_eq!(found.written.map(|w| w.generation), Some(1));
    let in_use = data(found.directory);
    assert_eq!(in_use.stamp, Some(stamp));
    assert_eq!(in_use.newest_timeline, primary.timeline);
    assert!(!in_use.never_used);

    // A commit waits; our own writes do not.
    assert_eq!(a.daemons(Step::Canary).await, Outcome::Done);
    a.until("the canary waits", |s| s.canary == Canary::Waiting)
        .await;
    let before = a.nudge().await;
    assert_eq!(a.daemons(Step::Checkpoint).await, Outcome::Done);

    // A copy of it, which streams, and does not count yet.
    let mut b = Host::empty(B).await;
    assert_eq!(b.inspect().await.directory, Directory::Absent);
    follow(&mut a, &mut b, 1).await;
    assert!(!b.progress.is_empty(), "a clone tells how far it is");
    let cloned = data(b.inspect().await.directory);
    assert_eq!(cloned.system_id, fresh.system_id);
    assert_eq!(
        cloned.stamp, None,
        "a copy does not carry its source's stamp"
    );
    let seen = a
        .until("the standby's walsender", |s| {
            s.walsenders.iter().any(|w| w.streaming)
        })
        .await;
    assert_eq!(seen.walsenders.len(), 1);
    assert_eq!(seen.walsenders[0].copy, copy(B));
    assert_eq!(seen.walsenders[0].priority, 0);
    assert_eq!(seen.strangers_in_gate, 0);
    assert_eq!(seen.canary, Canary::Waiting);

    // The gate opens for it: proven, as DESIGN.md section 5 says.
    a.apply(1, Some(vec![copy(B)]), Doors::Closed).await;
    let proven = a
        .until("the walsender counts", |s| {
            s.gate_is_ours && s.walsenders.iter().all(|w| w.priority > 0)
        })
        .await;
    assert!(proven.position >= before);
    let after = a.nudge().await;
    let released = a
        .until("the canary comes back", |s| s.canary == Canary::Returned)
        .await;
    assert!(released.walsenders[0].flushed >= before);
    a.until("the standby has flushed it", |s| {
        s.walsenders[0].flushed >= after
    })
    .await;

    // What is acknowledged now is on both.
    let client = a.client().await;
    client
        .batch_execute("CREATE TABLE t (i int); INSERT INTO t VALUES (1)")
        .await
        .expect("acknowledged");
    assert_eq!(
        a.guards(1, Step::Stop(StopMode::Now), None).await,
        Outcome::Done
    );
    assert!(a.processes().find().is_empty());
    assert_eq!(
        data(a.inspect().await.directory).cluster,
        ClusterState::Other
    );

    // The standby takes over, with everything.
    b.until("replayed", |s| s.drained && s.position >= after)
        .await;
    assert_eq!(b.daemons(Step::EndSessions).await, Outcome::Done);
    let settings = b.settings(None, Doors::Closed);
    b.done(2, Step::WriteSettings(settings)).await;
    b.done(2, Step::Reload).await;
    b.until("closed", |s| s.settings == 2).await;
    let primary = b
        .promote(2, Lasts::Until(now() + Duration::secs(600)))
        .await;
    assert_eq!(primary.timeline.0, Timeline(3));
    let rows = b
        .client()
        .await
        .query_one("SELECT count(*) FROM t", &[])
        .await
        .expect("the table");
    assert_eq!(rows.get::<_, i64>(0), 1);

    // A clean stop says so, and where its shutdown checkpoint is.
    b.done(2, Step::Stop(StopMode::Clean)).await;
    let stopped = data(b.inspect().await.directory);
    assert_eq!(stopped.cluster, ClusterState::ShutDown);
    assert_eq!(stopped.newest_timeline, primary.timeline);
    assert!(stopped.checkpoint >= primary.position);
}

#[tokio::test(flavor = "multi_thread")]
async fn doors_let_nobody_in_until_they_open() {
    let mut a = Host::fresh(A).await;
    a.append("pg_hba.conf", "local all all trust");
    a.start(1).await;
    a.promote(1, Lasts::Unbounded).await;
    a.apply(1, Some(vec![]), Doors::Open).await;
    a.client()
        .await
        .batch_execute("CREATE ROLE app LOGIN SUPERUSER")
        .await
        .expect("a lone primary acknowledges");
    let connect = async |host: &Host| {
        tokio_postgres::Config::new()
            .host_path(host.context.socket_dir())
            .port(host.context.pg_port)
            .user("app")
            .dbname("postgres")
            .connect(tokio_postgres::NoTls)
            .await
    };
    // initdb's own rule for local connections comes first: it wants a password.
    assert!(connect(&a).await.is_err());
    let rules = a.context.data_dir.join("pg_hba.conf");
    std::fs::write(&rules, "local all all trust\nlocal all yoke trust\n").expect("rules");
    a.apply(1, Some(vec![]), Doors::Open).await;
    let (client, connection) = connect(&a).await.expect("the user's own rules");
    let connection = tokio::spawn(connection);

    // What ALTER SYSTEM writes in the gate's way (17 and newer refuse it) is seen, and gone with the next settings.
    client
        .batch_execute("SELECT 1")
        .await
        .expect("the doors are open");
    a.append("postgresql.auto.conf", "synchronous_standby_names = ''");
    a.done(1, Step::Reload).await;
    a.until("a gate that is not ours", |s| !s.gate_is_ours)
        .await;
    a.apply(1, None, Doors::Closed).await;
    a.until("our gate again", |s| s.gate_is_ours).await;
    assert!(connect(&a).await.is_err(), "the doors are closed");
    assert_eq!(a.daemons(Step::EndSessions).await, Outcome::Done);
    assert!(client.simple_query("SELECT 1").await.is_err());
    let _ = connection.await;
    a.done(1, Step::Stop(StopMode::Clean)).await;
    a.done(1, Step::Start).await;
    a.until("our gate again", |s| s.gate_is_ours && s.in_recovery)
        .await;

    // A rule that PostgreSQL cannot read is no open door, and is not said to be one.
    std::fs::write(&rules, "local all all nonsense\n").expect("rules");
    let settings = a.settings(None, Doors::Open);
    let generation = settings.generation;
    a.done(1, Step::WriteSettings(settings)).await;
    a.done(1, Step::Reload).await;
    let client = a.client().await;
    eventually("the reload", || {
        let log = std::fs::read_to_string(a.context.log_file()).unwrap_or_default();
        log.contains("pg_hba.conf was not reloaded")
    })
    .await;
    drop(client);
    let seen = a.until("an answer", |_| true).await;
    assert!(seen.settings < generation, "{seen:?}");
}

/// A client that was let in by the old rules, and takes its time to prove who he is, is no session of any view.
#[tokio::test(flavor = "multi_thread")]
async fn who_still_authenticates_is_ended_too() {
    use std::io::{Read, Write};
    let mut a = Host::fresh(A).await;
    a.start(1).await;
    a.promote(1, Lasts::Unbounded).await;
    a.apply(1, None, Doors::Open).await;
    let connect = || {
        let address = (a.context.advertise_ip, a.context.pg_port);
        let socket = std::net::TcpStream::connect(address).expect("a connection");
        let patience = Some(support::PATIENCE);
        socket.set_read_timeout(patience).expect("a deadline");
        socket
    };
    // Says nothing at all yet.
    let mut silent = connect();
    let mut slow = connect();
    let packet = b"\x00\x03\x00\x00user\0app\0\0";
    let length = u32::try_from(packet.len() + 4).expect("short");
    slow.write_all(&length.to_be_bytes()).expect("sent");
    slow.write_all(packet).expect("sent");
    let mut answer = [0; 1];
    slow.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"R", "it is asked for its password");
    a.apply(1, None, Doors::Closed).await;
    assert_eq!(a.daemons(Step::EndSessions).await, Outcome::Done);
    // The rest of what it was told, and then the end.
    for (who, socket) in [("slow", &mut slow), ("silent", &mut silent)] {
        let mut rest = Vec::new();
        let end = socket.read_to_end(&mut rest);
        assert!(
            end.is_ok() || end.is_err_and(|e| e.kind() == std::io::ErrorKind::ConnectionReset),
            "the {who} one is still connected"
        );
    }
}

/// What a failover meets: every client has lost its session and tries again at once, everywhere. None of them holds the
/// promotion up.
#[tokio::test(flavor = "multi_thread")]
async fn clients_that_keep_coming_hold_nothing_up() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::io::AsyncReadExt;
    let mut a = Host::fresh(A).await;
    a.start(1).await;
    a.promote(1, Lasts::Unbounded).await;
    a.apply(1, None, Doors::Closed).await;
    let address = (a.context.advertise_ip, a.context.pg_port);
    let ended = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..16)
        .map(|_| {
            let ended = Arc::clone(&ended);
            // Slow to say who they are: as soon as one is shown the door it is back.
            tokio::spawn(async move {
                loop {
                    if let Ok(mut socket) = tokio::net::TcpStream::connect(address).await {
                        let _ = socket.read_to_end(&mut Vec::new()).await;
                        ended.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        })
        .collect();
    let (all, processes) = (clients.len(), a.processes());
    a.until("all have come", |_| processes.arriving().len() >= all)
        .await;
    assert_eq!(a.daemons(Step::EndSessions).await, Outcome::Done);
    a.until("the end of all that were there", |_| {
        ended.load(Ordering::Relaxed) >= all
    })
    .await;
    for client in clients {
        client.abort();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "makes a cluster in /etc/postgresql, and removes it again"]
async fn a_debian_cluster_is_adopted() {
    let run = |program: &str, arguments: &[&str]| {
        let status = std::process::Command::new(program)
            .args(arguments)
            .status()
            .expect("Debian's programs");
        assert!(status.success(), "{program} {arguments:?}");
    };
    let mut a = Host::empty(A).await;
    let data = a.context.data_dir.to_string_lossy().into_owned();
    let name = format!("yoke{}", std::process::id());
    run("pg_createcluster", &["15", &name, "-d", &data]);
    run(
        "sh",
        &[
            "-c",
            &format!("echo 'work_mem = 7MB' >> /etc/postgresql/15/{name}/postgresql.conf"),
        ],
    );
    let fresh = self::data(a.inspect().await.directory);
    assert!(fresh.never_used);
    a.start(1).await;
    a.promote(1, Lasts::Unbounded).await;
    a.apply(1, Some(vec![]), Doors::Open).await;
    let row = a.client().await;
    let shown = async |name: &str| {
        let row = row.query_one(&format!("SHOW {name}"), &[]).await;
        row.expect("an answer").get::<_, String>(0)
    };
    assert_eq!(shown("work_mem").await, "7MB");
    assert_eq!(shown("ssl").await, "on");
    assert_eq!(shown("data_directory").await, data);
    // What is wrong there is found, and in nobody's way.
    let more = format!("/etc/postgresql/15/{name}/conf.d/more.conf");
    std::fs::write(&more, "maintenance_work_mem = many\n").expect("the user's file");
    let words = format!("(/etc/postgresql/15/{name}/conf.d/more.conf, line 1)");
    a.apply(1, Some(vec![]), Doors::Open).await;
    a.until("told with its place", |s| {
        s.notes.iter().any(|note| note.contains(&words))
    })
    .await;
    std::fs::write(&more, "maintenance_work_mem = 88MB\n").expect("the user's file");
    a.apply(1, Some(vec![]), Doors::Open).await;
    a.until("nothing is refused", |s| {
        !s.notes.iter().any(|note| note.contains("is not taken"))
    })
    .await;
    assert_eq!(shown("maintenance_work_mem").await, "88MB");
    a.done(1, Step::Stop(StopMode::Clean)).await;
    std::fs::remove_file(&more).expect("removed");
    run("pg_dropcluster", &["15", &name]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_file_of_another_promotion_is_found_before_a_start() {
    let mut a = Host::fresh(A).await;
    a.start(1).await;
    a.done(1, Step::Stop(StopMode::Clean)).await;
    let found = data(a.inspect().await.directory);
    assert_eq!(found.contradicted, None);
    assert!(found.checkpoint < found.recovered_to.1, "{found:?}");
    let file = a.context.data_dir.join("pg_wal/00000002.history");
    for (begins, words) in [
        // All that is here was on the way to that timeline.
        (found.recovered_to.1, None),
        (
            found.checkpoint,
            Some("requested timeline 2 is not a child of this server's history"),
        ),
        (
            Lsn(found.checkpoint.0 + 8),
            Some("requested timeline 2 does not contain minimum recovery point"),
        ),
    ] {
        std::fs::write(&file, format!("1\t{begins}\tof another\n")).expect("the file");
        let seen = data(a.inspect().await.directory).contradicted;
        let Some(words) = words else {
            assert_eq!(seen, None);
            a.start(1).await;
            a.done(1, Step::Stop(StopMode::Clean)).await;
            continue;
        };
        assert!(
            seen.as_ref().is_some_and(|seen| seen.starts_with(words)),
            "{seen:?}"
        );
        // PostgreSQL says the same.
        a.done(1, Step::Start).await;
        a.until_view("it has ended", |view| view.run.is_none())
            .await;
        let said = a.inspect().await.last_words.unwrap_or_default();
        assert!(said.contains(words), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_says_why() {
    let mut a = Host::fresh(A).await;
    let failed = |outcome: Outcome| match outcome {
        Outcome::Failed(sentence) => sentence,
        other => panic!("not failed: {other:?}"),
    };
    assert!(failed(a.guards(1, Step::Start, None).await).contains("settings"));
    let mut settings = a.settings(None, Doors::Closed);
    settings.follow = Some(B);
    let step = Step::WriteSettings(settings);
    assert!(failed(a.guards(1, step, None).await).contains("data2's database is not known"));
    let step = Step::Clone { from: B };
    assert!(failed(a.guards(1, step, None).await).contains("not known"));
    let step = Step::Clone { from: B };
    let nowhere = yoke::postgres::Upstream {
        host: "127.0.0.1".into(),
        port: 1,
    };
    let taken = failed(a.guards(1, step.clone(), Some(nowhere.clone())).await);
    assert!(taken.contains("not empty"), "{taken}");

    let settings = a.settings(None, Doors::Closed);
    a.done(1, Step::WriteSettings(settings)).await;
    a.done(1, Step::MarkRewriting).await;
    assert!(a.inspect().await.rewriting);
    assert!(failed(a.guards(1, Step::Start, None).await).contains("rewritten"));
    a.done(1, Step::ClearMark).await;
    assert!(!a.inspect().await.rewriting);

    // Nothing was accepted before: what is refused keeps it from starting.
    let kept = a.context.kept_file();
    let refused = async |a: &mut Host, line: &str| {
        std::fs::remove_file(&kept).expect("the copy");
        a.configure(line);
        let said = failed(a.guards(1, Step::Start, None).await);
        let conf = a.context.data_dir.join("postgresql.conf");
        let text = std::fs::read_to_string(&conf).expect("the user's file");
        std::fs::write(&conf, text.replace(line, "")).expect("the user's file");
        said
    };
    for (line, words) in [
        ("fsync = off", "fsync is off"),
        ("recovery_min_apply_delay = 5min", "a delayed standby"),
        ("recovery_target_lsn = '0/1'", "recovery_target_lsn is set"),
        ("no such line", "syntax error"),
        ("work_mem = many", "invalid value for parameter"),
    ] {
        let said = refused(&mut a, line).await;
        assert!(said.contains(words), "{line}: {said}");
        let place =
            said.contains("postgresql.conf, line") || said.contains("postgresql.conf\" line");
        assert!(place, "{line}: {said}");
    }
    a.configure("max_connections = 20");

    // max_connections is below what the control file wants: it starts all the same.
    a.done(1, Step::Start).await;
    a.until("a standby", |s| s.in_recovery).await;
    let shown = a
        .client_of_anybody()
        .await
        .query_one("SHOW max_connections", &[])
        .await
        .expect("an answer");
    assert_eq!(shown.get::<_, &str>(0), "100");
    let aside = support::aside();
    let running = a.guards(1, aside.clone(), None).await;
    assert_eq!(running, Outcome::Refused);
    a.done(1, Step::Stop(StopMode::Clean)).await;

    a.done(1, aside).await;
    assert_eq!(a.inspect().await.directory, Directory::Absent);
    let kept = std::fs::read_dir(a.path().join("pg"))
        .expect("a directory")
        .filter_map(|e| e.ok()?.file_name().into_string().ok())
        .find(|name| name.starts_with("data.aside-"));
    assert!(kept.is_some_and(|name| name.len() == "data.aside-".len() + 17));
    let refused = failed(a.guards(1, step, Some(nowhere)).await);
    assert!(refused.contains("Connection refused"), "{refused}");
    assert_eq!(a.inspect().await.directory, Directory::Absent);
}
