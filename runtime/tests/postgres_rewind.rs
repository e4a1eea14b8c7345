//! The step `Rewind` with real PostgreSQL: a former primary that went on alone, and the one that took over.

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use support::{A, B, Host, copy};
use yoke::postgres::find::Binaries;
use yoke::postgres::{Upstream, lost};
use yoke_core::permission::Lasts;
use yoke_core::postgres::{Doors, Lsn, StopMode, Timeline};
use yoke_core::step::{ClusterState, DataDirectory, Directory, Leaving, Outcome, Stamp, Step};

async fn data(host: &mut Host) -> DataDirectory {
    match host.inspect().await.directory {
        Directory::Data(data) => *data,
        other => panic!("no data: {other:?}"),
    }
}

async fn stamp(host: &mut Host, name: &str) -> Stamp {
    let data = data(host).await;
    Stamp {
        cluster: "test".into(),
        member: name.into(),
        system_id: data.system_id,
        copy: copy(host.context.me).id,
        record: None,
        history: Default::default(),
        ordered: None,
        ordered_on: Timeline(1),
        follows: None,
        rewritten: false,
    }
}

async fn sql(host: &Host, text: &str) {
    let done = host.client().await.batch_execute(text).await;
    done.unwrap_or_else(|e| panic!("{text}: {e:?}"));
}

async fn rows(host: &Host) -> i64 {
    let row = host
        .client()
        .await
        .query_one("SELECT count(*) FROM t", &[])
        .await;
    row.expect("the table").get(0)
}

/// A was the primary on timeline 2, wrote alone, and was killed; B took over on timeline 3, and made no checkpoint yet. A
/// is stopped cleanly, as a standby of nobody, and marked. Answers what is to be dropped of A.
async fn parted() -> (Host, Host, Leaving) {
    let mut a = Host::fresh(A).await;
    a.configure("work_mem = 7MB");
    a.configure("wal_keep_size = 64MB");
    let own = stamp(&mut a, "data1").await;
    a.done(1, Step::WriteStamp(own.clone())).await;
    a.start(1).await;
    a.promote(1, Lasts::Unbounded).await;
    a.apply(1, Some(vec![]), Doors::Open).await;
    sql(
        &a,
        "CREATE TABLE t (i int); INSERT INTO t SELECT generate_series(1, 1000)",
    )
    .await;
    assert_eq!(a.daemons(Step::BeginCheckpoint).await, Outcome::Done);
    a.until("its checkpoint", |s| s.checkpoint_timeline == s.timeline.0)
        .await;

    let mut b = Host::empty(B).await;
    let upstream = Some(a.upstream());
    let outcome = b.guards(1, Step::Clone { from: A }, upstream.clone()).await;
    assert_eq!(outcome, Outcome::Done, "{:?}", b.explained);
    let mut settings = b.settings(None, Doors::Open);
    settings.follow = Some(A);
    let step = Step::WriteSettings(settings);
    assert_eq!(b.guards(1, step, upstream).await, Outcome::Done);
    a.slot_for(B).await;
    b.done(1, Step::Start).await;
    // Replayed once more after its crash, this keeps the checkpoint after its promotion busy for long.
    sql(&a, "CREATE TABLE big AS SELECT generate_series(1, 50000) i").await;
    let last = a.nudge().await;
    b.until("all of it", |s| s.drained && s.position >= last)
        .await;
    b.done(1, Step::Stop(StopMode::Now)).await;

    // Alone, and never heard of by anybody else.
    sql(
        &a,
        "INSERT INTO t SELECT generate_series(1, 500); CREATE TABLE alone (i int)",
    )
    .await;
    a.done(1, Step::Stop(StopMode::Now)).await;

    b.configure("work_mem = 9MB");
    b.append("pg_hba.conf", "host all all 10.9.8.7/32 reject");
    std::fs::write(b.context.data_dir.join("server.key"), "b's").expect("a file");
    b.start(2).await;
    let primary = b.promote(2, Lasts::Unbounded).await;
    assert_eq!(primary.timeline.0, Timeline(3));
    b.apply(2, Some(vec![]), Doors::Open).await;
    sql(&b, "INSERT INTO t SELECT generate_series(1, 10)").await;

    let standby = a.start(2).await;
    a.done(2, Step::Stop(StopMode::Clean)).await;
    let found = data(&mut a).await;
    assert_eq!(found.cluster, ClusterState::ShutDownInRecovery);
    assert_eq!(found.recovered_to, (Timeline(2), standby.position));
    assert_eq!(found.checkpoint_timeline, Timeline(2));
    assert!(found.rewindable);
    assert!(standby.position > primary.timeline.1, "it is ahead");
    a.done(2, Step::MarkRewriting).await;
    let drops = Leaving {
        copy: Some(own.copy),
        timeline: Timeline(2),
        from: Some(primary.timeline.1),
        to: standby.position,
        why: "a test".into(),
    };
    (a, b, drops)
}

fn rewind(drops: &Leaving) -> Step {
    Step::Rewind {
        from: B,
        timeline: Timeline(3),
        drops: drops.clone(),
    }
}

fn text(host: &Host, name: &str) -> String {
    std::fs::read_to_string(host.context.data_dir.join(name)).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_former_primary_is_rewound_and_streams() {
    let (mut a, mut b, drops) = parted().await;
    let rules = text(&a, "pg_hba.conf");

    // Not before the source's control file tells of its timeline: pg_rewind would do nothing, and say that it did.
    let number = a.ask(2, rewind(&drops), Some(b.upstream()));
    let early = tokio::time::timeout(std::time::Duration::from_secs(2), a.answer(number)).await;
    assert!(early.is_err(), "{early:?}");
    assert!(data(&mut a).await.stamp.is_some(), "nothing is touched");
    assert_eq!(b.daemons(Step::BeginCheckpoint).await, Outcome::Done);

    // The source goes on writing: what it writes meanwhile is needed, too.
    let client = b.client().await;
    let writes = tokio::spawn(async move {
        let mut count = 0;
        loop {
            let insert = "INSERT INTO t SELECT generate_series(1, 1000)";
            if client.batch_execute(insert).await.is_err() {
                return count;
            }
            count += 1;
        }
    });
    assert_eq!(a.answer(number).await, Outcome::Done, "{:?}", a.explained);

    let promoted = b.until("itself", |s| !s.in_recovery).await.timeline;
    let found = a.inspect().await;
    assert!(found.rewriting);
    let after = data(&mut a).await;
    assert_eq!(after.stamp, None);
    assert_eq!(after.newest_timeline, promoted);
    assert_eq!(after.checkpoint_timeline, Timeline(3));
    assert_eq!(after.recovered_to.0, Timeline(3));
    assert!(after.recovered_to.1 > promoted.1);
    assert_eq!(after.cluster, ClusterState::Other);

    // This host's own files are as they were, and none of the other's came.
    let conf = text(&a, "postgresql.conf");
    assert!(
        conf.contains("work_mem = 7MB") && !conf.contains("9MB"),
        "{conf}"
    );
    assert_eq!(text(&a, "pg_hba.conf"), rules);
    assert!(!a.context.data_dir.join("server.key").exists());
    let beside = std::fs::read_dir(a.path().join("pg")).expect("a folder");
    assert_eq!(beside.count(), 1, "nothing is left next to the data");

    // What it dropped is kept, and can be read.
    let kept = lost::list(&a.context).expect("a list");
    assert_eq!(kept.len(), 1);
    let copy = drops.copy.map(|id| id.to_string());
    assert_eq!((kept[0].how.as_str(), &kept[0].copy), ("rewound", &copy));
    let fork = drops.from.unwrap_or_default();
    let words = waldump(&a, &kept[0].place, fork, drops.to);
    assert!(words.contains("INSERT"), "{words}");

    // It starts by itself, as a standby of nobody, while the source still writes; then it follows.
    let own = stamp(&mut a, "data1").await;
    a.done(2, Step::WriteStamp(own)).await;
    a.done(2, Step::ClearMark).await;
    let standby = a.start(2).await;
    assert!(standby.position >= after.recovered_to.1);
    let mut settings = a.settings(None, Doors::Open);
    settings.follow = Some(B);
    let step = Step::WriteSettings(settings);
    assert_eq!(a.guards(2, step, Some(b.upstream())).await, Outcome::Done);
    b.slot_for(A).await;
    a.done(2, Step::Reload).await;
    a.until("streaming", |s| s.streaming_from == Some(B)).await;
    sql(
        &b,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'INSERT%'",
    )
    .await;
    let count = writes.await.expect("a count");
    assert!(count > 1, "it wrote meanwhile");
    let last = b.nudge().await;
    a.until("all of it", |s| s.position >= last).await;
    let here = rows(&a).await;
    assert_eq!(here, rows(&b).await);
    assert!(here > 1010 && here % 1000 == 10, "the 500 are gone: {here}");
    let alone = a.client().await.execute("SELECT FROM alone", &[]).await;
    assert!(alone.is_err(), "what nobody else had is gone");
}

/// Killed in its midst, it is never started; the directory is set aside with this host's own files in it, and cloned.
#[tokio::test(flavor = "multi_thread")]
async fn a_rewind_that_is_killed_leaves_what_is_never_started() {
    let (mut a, mut b, drops) = parted().await;
    assert_eq!(b.daemons(Step::Checkpoint).await, Outcome::Done);
    let bin = programs(&a, "rm -rf \"$4/base\"; kill -9 $$");
    a.context.pg_bin = Some(bin);
    a.new_daemon().await;
    let keep = b.client().await;
    let writes = tokio::spawn(async move {
        while keep.batch_execute("INSERT INTO t VALUES (1)").await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    });
    let outcome = a.guards(2, rewind(&drops), Some(b.upstream())).await;
    let Outcome::Failed(why) = outcome else {
        panic!("{outcome:?}");
    };
    assert!(
        why.contains("pg_rewind") && why.contains("signal: 9"),
        "{why}"
    );
    let found = a.inspect().await;
    assert!(found.rewriting);
    assert_eq!(data(&mut a).await.stamp, None);
    let settings = a.settings(None, Doors::Closed);
    a.done(2, Step::WriteSettings(settings)).await;
    assert!(matches!(
        a.guards(2, Step::Start, None).await,
        Outcome::Failed(why) if why.contains("rewritten")
    ));
    a.done(
        2,
        Step::SetAside(Leaving {
            copy: None,
            from: None,
            ..drops
        }),
    )
    .await;
    let kept = lost::list(&a.context).expect("a list");
    assert_eq!(kept.len(), 2, "the WAL, and the directory: {kept:?}");
    assert_eq!(kept[0].how, "set aside");
    let conf = std::fs::read_to_string(kept[0].place.join("postgresql.conf"));
    assert!(conf.expect("the user's file").contains("work_mem = 7MB"));
    let outcome = a
        .guards(2, Step::Clone { from: B }, Some(b.upstream()))
        .await;
    assert_eq!(outcome, Outcome::Done);
    writes.abort();
}

/// Its word proves nothing: the control file shows that it did nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_rewind_that_did_nothing_shows() {
    let (mut a, mut b, drops) = parted().await;
    assert_eq!(b.daemons(Step::Checkpoint).await, Outcome::Done);
    a.context.pg_bin = Some(programs(&a, "exit 0"));
    a.new_daemon().await;
    let keep = b.client().await;
    let writes = tokio::spawn(async move {
        while keep.batch_execute("INSERT INTO t VALUES (1)").await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    });
    let outcome = a.guards(2, rewind(&drops), Some(b.upstream())).await;
    assert_eq!(outcome, Outcome::Done, "it says that it worked");
    let after = data(&mut a).await;
    assert_eq!(after.checkpoint_timeline, Timeline(2));
    assert_eq!(after.cluster, ClusterState::ShutDownInRecovery);
    assert_eq!(after.stamp, None, "touched, as far as anybody knows");
    writes.abort();
}

/// What cannot be begun has touched nothing.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_begun_touches_nothing() {
    let (mut a, b, drops) = parted().await;
    let nowhere = Upstream {
        host: "127.0.0.1".into(),
        port: 1,
    };
    for (upstream, drops, why) in [
        (nowhere, drops.clone(), "psql"),
        (a.upstream(), drops.clone(), "psql"),
        (
            b.upstream(),
            Leaving {
                from: Some(Lsn(0x7F00_0000)),
                ..drops.clone()
            },
            "checkpoint",
        ),
    ] {
        if why == "checkpoint" {
            sql(&b, "CHECKPOINT").await;
        }
        let outcome = a.guards(2, rewind(&drops), Some(upstream)).await;
        assert!(matches!(outcome, Outcome::Failed(_)), "{outcome:?}");
        let found = data(&mut a).await;
        assert!(found.stamp.is_some(), "{why}");
        assert_eq!(found.cluster, ClusterState::ShutDownInRecovery);
        assert!(text(&a, "postgresql.conf").contains("work_mem = 7MB"));
    }
    assert_eq!(lost::list(&a.context).expect("a list"), []);
}

/// Of what is kept the newest stay; what lies elsewhere is nobody's to remove.
#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_is_pruned() {
    let a = Host::empty(A).await;
    let folder = a.context.status_dir.join("lost");
    let mut places = Vec::new();
    for n in 1..=6 {
        let aside = a.path().join(format!("pg/data.aside-2026010100000{n}"));
        let place = match n {
            2 => a.path().join("elsewhere"),
            _ => aside,
        };
        std::fs::create_dir_all(&place).expect("a directory");
        std::fs::write(place.join("PG_VERSION"), "15").expect("a file");
        let entry = folder.join(format!("2026010100000{n}-aside"));
        std::fs::create_dir_all(&entry).expect("a directory");
        let lost = lost::Lost {
            when: n.to_string(),
            member: "data1".into(),
            copy: None,
            how: "set aside".into(),
            timeline: 1,
            from: None,
            to: "0/0".into(),
            why: "a test".into(),
            place: place.clone(),
        };
        let text = serde_json::to_string(&lost).expect("text");
        std::fs::write(entry.join("entry.json"), text).expect("an entry");
        places.push(place);
    }
    // A person moved it away: it counts no more.
    std::fs::remove_dir_all(&places[4]).expect("removed");
    let said = lost::prune(&a.context);
    let left: Vec<bool> = places.iter().map(|place| place.exists()).collect();
    assert_eq!(left, [false, true, true, true, false, true], "{said:?}");
    assert!(said[0].contains("left alone") && said[1].contains("removes what data1"));
    let when = |lost: Vec<lost::Lost>| lost.into_iter().map(|l| l.when).collect::<String>();
    assert_eq!(when(lost::list(&a.context).expect("a list")), "6432");
}

/// PostgreSQL's programs, with this script in pg_rewind's place. `$4` is the data directory.
fn programs(host: &Host, script: &str) -> PathBuf {
    let real = Binaries::newest(&host.context).expect("PostgreSQL is installed");
    let bin = host.path().join("bin");
    std::fs::create_dir(&bin).expect("a folder");
    for entry in std::fs::read_dir(&real.dir).expect("programs") {
        let program = entry.expect("an entry").path();
        let name = program.file_name().expect("a name").to_owned();
        if name != "pg_rewind" {
            std::os::unix::fs::symlink(&program, bin.join(name)).expect("a link");
        }
    }
    let file = bin.join("pg_rewind");
    // pg_rewind --progress --no-ensure-shutdown --target-pgdata DIR …
    std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).expect("a script");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("mode");
    bin
}

fn waldump(host: &Host, place: &Path, from: Lsn, to: Lsn) -> String {
    let program = Binaries::newest(&host.context)
        .expect("PostgreSQL is installed")
        .program("pg_waldump");
    let output = std::process::Command::new(program)
        .args(["-t", "2", "-p"])
        .arg(place)
        .args(["-s", &from.to_string(), "-e", &to.to_string()])
        .output()
        .expect("pg_waldump runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
