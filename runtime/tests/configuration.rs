//! The user's configuration on a real PostgreSQL: never written, never in the way, and told of.

mod support;

use std::path::PathBuf;
use std::time::{Duration, Instant};
use support::{A, B, Host, PATIENCE};
use yoke_core::permission::Lasts;
use yoke_core::postgres::{Doors, StopMode};
use yoke_core::step::{Directory, Outcome, Server, Step};

fn user_file(host: &Host, name: &str) -> PathBuf {
    host.context.data_dir.join(name)
}

fn replace(host: &Host, name: &str, from: &str, to: &str) {
    let file = user_file(host, name);
    let text = std::fs::read_to_string(&file).expect("the user's file");
    assert!(text.contains(from), "{name} has no {from}");
    std::fs::write(file, text.replace(from, to)).expect("the user's file");
}

async fn shown(host: &Host, name: &str) -> String {
    let client = host.client().await;
    let row = client.query_one(&format!("SHOW {name}"), &[]).await;
    row.expect("an answer").get(0)
}

/// What the steward does with what is seen of the settings, until it is as wanted.
async fn tend(
    host: &mut Host,
    gate: Option<Vec<yoke_core::record::Copy>>,
    what: &str,
    wanted: impl Fn(&Server) -> bool,
) -> Server {
    let end = Instant::now() + PATIENCE;
    let mut generation = host.generation();
    loop {
        let seen = match host.daemons(Step::Observe).await {
            Outcome::Observed(seen) => *seen,
            other => panic!("{what}: {other:?}"),
        };
        if seen.outdated {
            let settings = host.settings(gate.clone(), Doors::Open);
            generation = settings.generation;
            host.done(1, Step::WriteSettings(settings)).await;
            host.done(1, Step::Reload).await;
        } else if wanted(&seen) && seen.settings == generation {
            return seen;
        }
        assert!(Instant::now() < end, "not seen: {what}; last {seen:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn told(server: &Server, words: &[&str]) -> bool {
    let has = |note: &String| words.iter().all(|word| note.contains(word));
    server.notes.iter().any(has)
}

async fn serving() -> Host {
    let mut a = Host::fresh(A).await;
    a.start(1).await;
    a.promote(1, Lasts::Unbounded).await;
    a.apply(1, Some(vec![]), Doors::Open).await;
    a
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_line_keeps_nothing_from_going_on() {
    let mut a = serving().await;
    // An edit is taken in by itself.
    a.configure("work_mem = '7MB'");
    let end = Instant::now() + PATIENCE;
    while shown(&a, "work_mem").await != "7MB" {
        tend(&mut a, Some(vec![]), "taken in", |_| true).await;
        assert!(Instant::now() < end, "the edit is not taken in");
    }

    // A bad line is told of, and the gate changes all the same.
    a.configure("work_mem = '9MB'\nno such line");
    let words = ["postgresql.conf", "line", "syntax error"];
    tend(&mut a, Some(vec![]), "the bad line is told", |s| {
        told(s, &words)
    })
    .await;
    a.apply(1, None, Doors::Open).await;
    let server = a.until("ours", |s| s.gate_is_ours).await;
    assert_eq!(server.refuses, None);
    assert_eq!(shown(&a, "work_mem").await, "7MB", "the last accepted copy");
    // So it does for a value that is none, and for a file that is missing.
    replace(&a, "postgresql.conf", "no such line", "port = many");
    tend(&mut a, None, "the bad value is told", |s| {
        told(s, &["\"port\"", "postgresql.conf, line"])
    })
    .await;
    replace(
        &a,
        "postgresql.conf",
        "port = many",
        "include = 'more/missing.conf'",
    );
    tend(&mut a, None, "the missing file is told", |s| {
        told(s, &["more/missing.conf is missing"])
    })
    .await;
    // A start goes by the copy as well.
    a.done(1, Step::Stop(StopMode::Clean)).await;
    a.start(1).await;
    a.promote(1, Lasts::Unbounded).await;
    a.apply(1, Some(vec![]), Doors::Open).await;
    assert_eq!(shown(&a, "work_mem").await, "7MB");

    // What is right again is taken in, by its relative path.
    std::fs::create_dir(user_file(&a, "more")).expect("a directory");
    std::fs::write(
        user_file(&a, "more/missing.conf"),
        "maintenance_work_mem = '77MB'\n",
    )
    .expect("written");
    tend(&mut a, Some(vec![]), "nothing to tell", |s| {
        s.notes.is_empty()
    })
    .await;
    assert_eq!(shown(&a, "work_mem").await, "9MB");
    assert_eq!(shown(&a, "maintenance_work_mem").await, "77MB");

    // The user's own reload works, too.
    replace(&a, "postgresql.conf", "'9MB'", "'10MB'");
    let client = a.client().await;
    client
        .batch_execute("SELECT pg_reload_conf()")
        .await
        .expect("reloaded");
    // Nobody looks at the files meanwhile.
    let end = Instant::now() + PATIENCE;
    while shown(&a, "work_mem").await != "10MB" {
        assert!(Instant::now() < end, "a reload of the user's has no effect");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_rule_leaves_the_doors_as_they_are() {
    let mut a = serving().await;
    let rules = user_file(&a, "pg_hba.conf");
    std::fs::write(user_file(&a, "users"), "app\n").expect("written");
    std::fs::write(&rules, "local all @users trust\n").expect("written");
    a.client()
        .await
        .batch_execute("CREATE ROLE app LOGIN SUPERUSER")
        .await
        .expect("made");
    let enters = async |host: &Host| {
        tokio_postgres::Config::new()
            .host_path(host.context.socket_dir())
            .port(host.context.pg_port)
            .user("app")
            .dbname("postgres")
            .connect(tokio_postgres::NoTls)
            .await
            .is_ok()
    };
    let end = Instant::now() + PATIENCE;
    while !enters(&a).await {
        tend(&mut a, Some(vec![]), "taken in", |_| true).await;
        assert!(Instant::now() < end, "the new rules are not taken in");
    }
    // Refused by PostgreSQL itself: its words, the user's file and line.
    std::fs::write(&rules, "\n# mine\nlocal all all nonsense\n").expect("written");
    let words = [
        "pg_hba.conf, line 3",
        "invalid authentication method \"nonsense\"",
    ];
    tend(&mut a, Some(vec![]), "the bad rule is told", |s| {
        told(s, &words)
    })
    .await;
    assert!(enters(&a).await, "the last accepted rules are in force");
    // The gate and the doors still move.
    a.apply(1, None, Doors::Closed).await;
    assert!(!enters(&a).await);
    a.apply(1, Some(vec![]), Doors::Open).await;
    assert!(enters(&a).await);
    // So do starts.
    a.done(1, Step::Stop(StopMode::Clean)).await;
    a.start(1).await;
    a.promote(1, Lasts::Unbounded).await;
    a.apply(1, Some(vec![]), Doors::Open).await;
    assert!(enters(&a).await);
    // A map with a bad line would shut out the daemon.
    std::fs::write(user_file(&a, "pg_ident.conf"), "mymap root\n").expect("written");
    tend(&mut a, Some(vec![]), "the bad map is told", |s| {
        told(s, &["pg_ident.conf, line 1"])
    })
    .await;
    std::fs::write(user_file(&a, "pg_ident.conf"), "mymap /(( app\n").expect("written");
    tend(&mut a, Some(vec![]), "PostgreSQL's word of the map", |s| {
        told(s, &["pg_ident.conf, line 1", "regular expression"])
    })
    .await;
    a.done(1, Step::Stop(StopMode::Clean)).await;
    a.start(1).await;
    a.promote(1, Lasts::Unbounded).await;
    a.apply(1, Some(vec![]), Doors::Open).await;
    // Right again.
    std::fs::write(user_file(&a, "pg_ident.conf"), "").expect("written");
    std::fs::write(&rules, "local all postgres trust\n").expect("written");
    tend(&mut a, Some(vec![]), "nothing to tell", |s| {
        s.notes.is_empty()
    })
    .await;
    let end = Instant::now() + PATIENCE;
    while enters(&a).await {
        tend(&mut a, Some(vec![]), "taken in", |_| true).await;
        assert!(Instant::now() < end, "the new rules are not taken in");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn alter_system_on_our_keys_is_undone_and_on_others_stays() {
    let mut a = serving().await;
    a.apply(1, None, Doors::Open).await;
    // What ALTER SYSTEM writes (17 and newer refuse it).
    a.append(
        "postgresql.auto.conf",
        "synchronous_standby_names = ''\nwork_mem = '5MB'\nfsync = 'off'",
    );
    a.client()
        .await
        .batch_execute("SELECT pg_reload_conf()")
        .await
        .expect("reloaded");
    let seen = a
        .until("a gate that is not ours", |s| !s.gate_is_ours)
        .await;
    assert!(!seen.gate_is_ours);
    let seen = tend(&mut a, None, "ours again", |s| s.gate_is_ours).await;
    assert!(
        told(
            &seen,
            &["postgresql.auto.conf", "synchronous_standby_names"]
        ),
        "{seen:?}"
    );
    assert_eq!(shown(&a, "work_mem").await, "5MB");
    assert_eq!(shown(&a, "fsync").await, "on");
    let auto = std::fs::read_to_string(user_file(&a, "postgresql.auto.conf")).expect("readable");
    assert!(!auto.contains("synchronous_standby_names") && auto.contains("work_mem"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_effect_or_needs_care_is_told() {
    let mut a = serving().await;
    a.configure("synchronous_standby_names = 'x'\narchive_mode = on\narchive_command = 'true'");
    let client = a.client().await;
    client
        .batch_execute(
            "CREATE ROLE app; ALTER ROLE app SET synchronous_commit = off; ALTER DATABASE template1 SET synchronous_commit = local",
        )
        .await
        .expect("done");
    let seen = tend(&mut a, Some(vec![]), "all notes", |s| s.notes.len() >= 5).await;
    for words in [
        ["synchronous_standby_names", "has no effect"],
        ["archive_command is set (", "line"],
        ["role app has synchronous_commit=off", "not covered"],
        ["database template1 has synchronous_commit=local", "lost"],
        ["archive_mode was changed", "next start"],
    ] {
        assert!(told(&seen, &words), "{words:?} in {:?}", seen.notes);
    }
    // It is the closed gate that counts, not the user's name.
    a.apply(1, None, Doors::Open).await;
    a.until("ours", |s| s.gate_is_ours).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_starts_with_what_its_primary_has() {
    let mut a = serving().await;
    let mut b = Host::empty(B).await;
    let outcome = b
        .guards(1, Step::Clone { from: A }, Some(a.upstream()))
        .await;
    assert_eq!(outcome, Outcome::Done, "{:?}", b.explained);
    // Lower here than in the control file of a directory that crashed.
    b.configure("max_connections = 50");
    let follow = async |b: &mut Host, a: &Host| {
        let mut settings = b.settings(None, Doors::Open);
        settings.follow = Some(A);
        let outcome = b
            .guards(1, Step::WriteSettings(settings), Some(a.upstream()))
            .await;
        assert_eq!(outcome, Outcome::Done);
    };
    follow(&mut b, &a).await;
    a.slot_for(B).await;
    b.done(1, Step::Start).await;
    b.until("streaming", |s| s.streaming_from == Some(A)).await;
    assert_eq!(shown(&b, "max_connections").await, "100");
    let seen = b.until("told", |s| !s.notes.is_empty()).await;
    assert!(
        told(&seen, &["max_connections = 50", "is not in force: 100 is"]),
        "{seen:?}"
    );

    // Raised on the primary alone: replay stops, and that is seen for what it is.
    a.configure("max_connections = 200");
    a.done(1, Step::Stop(StopMode::Clean)).await;
    a.start(1).await;
    a.promote(1, Lasts::Unbounded).await;
    a.apply(1, Some(vec![]), Doors::Open).await;
    let seen = b
        .until("paused", |s| s.replay_paused && s.too_small.is_some())
        .await;
    let why = seen.too_small.expect("seen");
    assert!(
        why.contains("max_connections is 100 here and 200 on the primary"),
        "{why}"
    );
    // A restart takes the larger value, and goes on.
    b.done(1, Step::Stop(StopMode::Clean)).await;
    follow(&mut b, &a).await;
    b.done(1, Step::Start).await;
    b.until("replays again", |s| {
        s.streaming_from == Some(A) && !s.replay_paused && s.too_small.is_none()
    })
    .await;
    assert_eq!(shown(&b, "max_connections").await, "200");
    // A pause by hand is nothing of that kind.
    let client = b.client().await;
    client
        .batch_execute("SELECT pg_wal_replay_pause()")
        .await
        .expect("paused");
    let end = Instant::now() + Duration::from_secs(2);
    while Instant::now() < end {
        let seen = b.until("paused", |s| s.replay_paused).await;
        assert_eq!(seen.too_small, None);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_postgresql_refuses_leaves_its_words() {
    let mut a = Host::fresh(A).await;
    a.configure("shared_preload_libraries = 'nowhere'");
    let settings = a.settings(None, Doors::Closed);
    a.done(1, Step::WriteSettings(settings)).await;
    let started = a.guards(1, Step::Start, None).await;
    assert!(matches!(started, Outcome::Done | Outcome::Failed(_)));
    a.until_view("the end", |view| view.run.is_none()).await;
    let words = a.inspect().await.last_words.expect("words");
    assert!(
        words.contains("could not access file \"nowhere\""),
        "{words}"
    );

    // Of the access rules it names a line of ours: the user's is told.
    replace(&a, "postgresql.conf", "'nowhere'", "''");
    std::fs::write(user_file(&a, "pg_hba.conf"), "\nlocal all all nonsense\n").expect("written");
    let settings = a.settings(None, Doors::Open);
    a.done(1, Step::WriteSettings(settings)).await;
    let started = a.guards(1, Step::Start, None).await;
    assert!(matches!(started, Outcome::Done | Outcome::Failed(_)));
    a.until_view("the end", |view| view.run.is_none()).await;
    let words = a.inspect().await.last_words.expect("words");
    assert!(words.contains("\"nonsense\""), "{words}");
    assert!(words.contains("data/pg_hba.conf, line 2"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn data_of_wal_level_minimal_are_adopted() {
    let mut a = Host::fresh(A).await;
    a.configure("wal_level = minimal\nmax_wal_senders = 0");
    // Once by itself, by hand: the control file says minimal then.
    a.run_single("CREATE TABLE t (i int)\nINSERT INTO t VALUES (1)\n");
    let seen = a.start(1).await;
    assert!(seen.in_recovery);
    a.promote(1, Lasts::Unbounded).await;
    a.apply(1, Some(vec![]), Doors::Open).await;
    let client = a.client().await;
    let row = client.query_one("SELECT count(*) FROM t", &[]).await;
    assert_eq!(row.expect("the table").get::<_, i64>(0), 1);
    assert_eq!(shown(&a, "wal_level").await, "replica");
    drop(client);
    a.done(1, Step::Stop(StopMode::Clean)).await;

    // With a stamp it is another matter: somebody ran it past Yoke.
    a.run_single("INSERT INTO t VALUES (2)\n");
    let Directory::Data(data) = a.inspect().await.directory else {
        panic!("no data");
    };
    a.done(1, Step::WriteStamp(support::stamp_of(&data, A, "data1")))
        .await;
    let settings = a.settings(None, Doors::Closed);
    a.done(1, Step::WriteSettings(settings)).await;
    match a.guards(1, Step::Start, None).await {
        Outcome::Failed(why) => assert!(why.contains("wal_level = minimal"), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_made_where_nothing_is() {
    let mut a = Host::empty(A).await;
    a.done(1, Step::Initdb).await;
    let Directory::Data(data) = a.inspect().await.directory else {
        panic!("no data");
    };
    assert!(data.never_used && data.stamp.is_none());
    match a.guards(1, Step::Initdb, None).await {
        Outcome::Failed(why) => assert!(why.contains("is not empty"), "{why}"),
        other => panic!("{other:?}"),
    }
    a.start(1).await;
    a.promote(1, Lasts::Unbounded).await;
    a.apply(1, Some(vec![]), Doors::Open).await;
    assert_eq!(shown(&a, "server_encoding").await, "UTF8");
    assert_eq!(shown(&a, "data_checksums").await, "on");
    let rules = std::fs::read_to_string(user_file(&a, "pg_hba.conf")).expect("rules");
    assert!(rules.contains("scram-sha-256") && rules.contains("peer"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_initdb_leaves_nothing_and_is_begun_anew() {
    let mut a = Host::empty(A).await;
    let new = a.path().join("pg/data.new");
    let number = a.ask(1, Step::Initdb, None);
    support::eventually("it has begun", || new.join("base").exists()).await;
    let stop = a.ask(1, Step::Stop(StopMode::Now), None);
    assert_eq!(a.answer(number).await, Outcome::Ended);
    assert_eq!(a.answer(stop).await, Outcome::Done);
    assert_eq!(a.inspect().await.directory, Directory::Absent);
    // A host that lost its power in it leaves this.
    std::fs::create_dir_all(new.join("base/1")).expect("left over");
    a.done(1, Step::Initdb).await;
    assert!(!new.exists());
    assert!(matches!(a.inspect().await.directory, Directory::Data(_)));
}
