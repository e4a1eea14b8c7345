//! The user's own PostgreSQL configuration in a cluster that works: taken in, never in the way, and told of in `list`.

use nix::sys::signal::Signal;
use std::io::Write;
use std::path::Path;
use tests::Said;
use tests::programs::ask;
use tests::scene::{Before, Scene, Setting, play, play_on};
use yoke::demo::cluster::Cluster;
use yoke::demo::node::Part;

fn append(file: &Path, line: &str) -> Said<()> {
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .open(file)
        .map_err(|e| format!("cannot open {}: {e}", file.display()))?;
    writeln!(file, "{line}").map_err(|e| e.to_string())
}

fn replace(file: &Path, from: &str, to: &str) -> Said<()> {
    let text = std::fs::read_to_string(file).map_err(|e| e.to_string())?;
    std::fs::write(file, text.replace(from, to)).map_err(|e| e.to_string())
}

/// What a person does with `psql` at a node's own host.
fn sql(cluster: &Cluster, node: usize, statements: &[&str]) -> Said<String> {
    let node = &cluster.nodes[node];
    let mut command = cluster.programs.command("psql");
    command
        .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
        .args(["-v", "ON_ERROR_STOP=1", "-d", "postgres", "-h"])
        .arg(node.dir.join("run"))
        .args(["-p", &node.pg_port.to_string()]);
    for statement in statements {
        command.args(["-c", statement]);
    }
    let output = command.output().map_err(|e| e.to_string())?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// Waits until `list` has a line with all these words, or none; the line.
async fn listed(scene: &mut Scene, is: bool, words: &[&str]) -> Said<()> {
    let port = scene.stage.node(2).address.port();
    let mut list = String::new();
    for _ in 0..300 {
        list = ask(port, &["list"]).await?;
        let has = |line: &str| words.iter().all(|word| line.contains(word));
        if list.lines().any(has) == is {
            if let Some(line) = list.lines().find(|line| has(line)) {
                println!("{line}");
            }
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    Err(format!("yokeadm list: {words:?} never {is}; last:\n{list}"))
}

#[test]
fn absent_databases_are_made_and_clients_let_in_by_the_users_rules() {
    let before = |cluster: &Cluster| -> Said<()> {
        for node in cluster.data_nodes() {
            std::fs::remove_dir_all(&node.data).map_err(|e| e.to_string())?;
        }
        // An empty directory counts as none.
        std::fs::create_dir(&cluster.nodes[0].data).map_err(|e| e.to_string())
    };
    let before: Before<'_> = &before;
    let setting = Setting {
        before: Some(before),
        as_it_comes: true,
        ..Setting::default()
    };
    play_on(&setting, async |scene| {
        scene.healthy().await?;
        let made = "CREATE ROLE demo LOGIN; CREATE TABLE writes (id bigint PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp()); ALTER TABLE writes OWNER TO demo";
        sql(&scene.stage.cluster, 0, &[made])?;
        // Taken in without a reload of anybody's.
        for node in scene.stage.cluster.data_nodes() {
            append(
                &node.data.join("pg_hba.conf"),
                "host postgres demo 127.0.0.1/32 trust",
            )?;
        }
        // initdb's own rule for 127.0.0.1 comes first, and asks for a password.
        for node in scene.stage.cluster.data_nodes() {
            replace(
                &node.data.join("pg_hba.conf"),
                "host    all             all             127.0.0.1/32",
                "#",
            )?;
        }
        scene.writes(50).await?;
        let encoding = sql(&scene.stage.cluster, 0, &["SHOW server_encoding"])?;
        match encoding.as_str() {
            "UTF8" => Ok(()),
            other => Err(format!("the database's encoding is {other}")),
        }
    });
}

#[test]
fn a_bad_line_is_listed_and_keeps_no_hand_over_nor_failover_from_happening() {
    play(async |scene| {
        let files = [0, 1].map(|i| scene.stage.cluster.nodes[i].data.clone());
        for data in &files {
            append(&data.join("postgresql.conf"), "no such line")?;
            append(&data.join("pg_hba.conf"), "host all all nowhere nonsense")?;
        }
        for name in ["data1", "data2"] {
            listed(
                scene,
                true,
                &[name, "postgresql.conf", "line", "syntax error"],
            )
            .await?;
            listed(scene, true, &[name, "pg_hba.conf, line 3", "nonsense"]).await?;
        }
        let before = scene.serving().await?;
        scene.stage.demote(before.node).await?;
        scene.other_serves(before).await?;
        scene.healthy().await?;
        scene.writes(50).await?;
        // Nor a start: PostgreSQL dies, and its node comes back with the same files.
        let before = scene.serving().await?;
        let node = scene.stage.node(before.node);
        node.signal(&[Part::Postgres], Signal::SIGKILL)?;
        scene.other_serves(before).await?;
        scene.healthy().await?;
        scene.writes(50).await?;
        for data in &files {
            replace(
                &data.join("postgresql.conf"),
                "no such line",
                "work_mem = '7MB'",
            )?;
            replace(
                &data.join("pg_hba.conf"),
                "host all all nowhere nonsense",
                "",
            )?;
        }
        for node in [0, 1] {
            scene
                .stage
                .node(node)
                .signal(&[Part::Daemon], Signal::SIGHUP)?;
        }
        listed(scene, false, &["is not taken"]).await?;
        for node in [0, 1] {
            let shown = sql(&scene.stage.cluster, node, &["SHOW work_mem"])?;
            if shown != "7MB" {
                return Err(format!("work_mem is {shown} at node {}", node + 1));
            }
        }
        Ok(())
    });
}

#[test]
fn alter_system_never_opens_the_gate_for_long_and_roles_without_it_are_listed() {
    play(async |scene| {
        let primary = scene.serving().await?.node;
        // 17 and newer refuse this themselves.
        let altered = sql(
            &scene.stage.cluster,
            primary,
            &[
                "ALTER SYSTEM SET synchronous_standby_names = ''",
                "ALTER SYSTEM SET work_mem = '9MB'",
                "SELECT pg_reload_conf()",
            ],
        );
        println!("{altered:?}");
        let name = scene.stage.node(primary).name;
        if altered.is_ok() {
            let words = [name, "synchronous_standby_names", "taken out again"];
            listed(scene, true, &words).await?;
        }
        scene.healthy().await?;
        let cluster = &scene.stage.cluster;
        let gate = sql(cluster, primary, &["SHOW synchronous_standby_names"])?;
        if !gate.starts_with("FIRST 1") {
            return Err(format!("the gate is {gate}"));
        }
        if altered.is_ok() && sql(cluster, primary, &["SHOW work_mem"])? != "9MB" {
            return Err("what is not Yoke's was undone, too".to_owned());
        }
        let app = "CREATE ROLE app; ALTER ROLE app SET synchronous_commit = off";
        sql(cluster, primary, &[app])?;
        listed(scene, true, &[name, "role app", "not covered"]).await?;
        Ok(())
    });
}

/// The standby of a primary with a larger value stops replaying (PostgreSQL 14 and newer) or ends: its daemon starts it
/// again by itself.
#[test]
fn a_parameter_raised_on_one_host_alone_stops_nothing_for_long() {
    play(async |scene| {
        let file = scene.stage.cluster.nodes[1].data.join("postgresql.conf");
        append(&file, "max_connections = 200")?;
        listed(scene, true, &["data2", "max_connections", "next start"]).await?;
        // data2 is started again, and then is the primary.
        let node = scene.stage.node(1);
        node.signal(&[Part::Postgres], Signal::SIGKILL)?;
        listed(scene, false, &["data2", "next start"]).await?;
        scene.healthy().await?;
        let before = scene.serving().await?;
        if before.node != 0 {
            return Err("data2 serves already".to_owned());
        }
        scene.stage.demote(0).await?;
        scene.other_serves(before).await?;
        scene.healthy().await?;
        let shown = sql(&scene.stage.cluster, 0, &["SHOW max_connections"])?;
        if shown != "200" {
            return Err(format!("max_connections is {shown} at data1"));
        }
        // And it is as good as any for the next hand-over.
        let before = scene.serving().await?;
        scene.stage.demote(before.node).await?;
        scene.other_serves(before).await?;
        Ok(())
    });
}
