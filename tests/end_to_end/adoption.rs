//! Databases that were there before: the primary's is adopted as it is, the secondary's set aside if it was never used, and
//! never touched if it was.

use tests::Said;
use tests::programs::ask;
use tests::scene::{Before, Setting, play, play_on};
use yoke::demo::cluster::Cluster;
use yoke::demo::writer;

use std::path::{Path, PathBuf};
use std::time::Duration;

/// PostgreSQL's own number of a database, which `initdb` draws.
fn system_id(cluster: &Cluster, data: &Path) -> Said<String> {
    let output = cluster
        .programs
        .command("pg_controldata")
        .arg(data)
        .output()
        .map_err(|e| e.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find(|l| l.contains("system identifier"));
    let value = line.and_then(|l| l.split_whitespace().last());
    value.map(str::to_owned).ok_or(text)
}

/// Other directories beside a data directory that hold a database.
fn set_aside(data: &Path) -> Vec<PathBuf> {
    let parent = data.parent().into_iter().flat_map(std::fs::read_dir);
    parent
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path != data && path.join("PG_VERSION").is_file())
        .collect()
}

#[test]
fn the_primarys_data_is_adopted_and_the_secondarys_unused_database_is_set_aside() {
    let rows = "INSERT INTO writes (id) VALUES (-1), (-2), (-3)";
    let before = |cluster: &Cluster| -> Said<()> {
        cluster.prepare(&cluster.nodes[0].data, rows)?;
        let ids = [0, 1].map(|i| system_id(cluster, &cluster.nodes[i].data));
        for (node, id) in cluster.nodes.iter().zip(ids) {
            std::fs::write(node.dir.join("id_before"), id?).map_err(|e| e.to_string())?;
        }
        Ok(())
    };
    let before: Before<'_> = &before;
    let setting = Setting {
        before: Some(before),
        ..Setting::default()
    };
    play_on(&setting, async |scene| {
        let cluster = &scene.stage.cluster;
        let noted = |node: usize| {
            std::fs::read_to_string(cluster.nodes[node].dir.join("id_before"))
                .map_err(|e| e.to_string())
        };
        for node in [0, 1] {
            if system_id(cluster, &cluster.nodes[node].data)? != noted(0)? {
                return Err(format!(
                    "node {} does not have the primary's database",
                    node + 1
                ));
            }
        }
        if !set_aside(&cluster.nodes[0].data).is_empty() {
            return Err("the primary's database was set aside".to_owned());
        }
        let kept = set_aside(&cluster.nodes[1].data);
        match kept.as_slice() {
            [one] if system_id(cluster, one)? == noted(1)? => {}
            other => return Err(format!("set aside are: {other:?}")),
        }
        for node in [0, 1] {
            let ids = writer::ids(scene.database(node), Duration::from_secs(10)).await?;
            if ![-1, -2, -3].iter().all(|id| ids.contains(id)) {
                return Err(format!(
                    "node {} lacks the rows that were there before",
                    node + 1
                ));
            }
        }
        Ok(())
    });
}

#[test]
fn a_secondarys_database_that_holds_a_table_is_never_touched() {
    let before = |cluster: &Cluster| -> Said<()> {
        let data = &cluster.nodes[1].data;
        cluster.prepare(data, "CREATE TABLE precious (id int)")?;
        let id = system_id(cluster, data)?;
        std::fs::write(cluster.nodes[1].dir.join("id_before"), id).map_err(|e| e.to_string())
    };
    let before: Before<'_> = &before;
    let setting = Setting {
        before: Some(before),
        as_it_comes: true,
        ..Setting::default()
    };
    play_on(&setting, async |scene| {
        scene
            .until("data1 serves alone, data2 says why it stays out", |p| {
                let out = p.cluster.as_ref().and_then(|c| c.members[1].fault.clone());
                p.serving().is_some_and(|s| s.node == 0 && !s.guarded) && out.is_some()
            })
            .await?;
        scene.writes(100).await?;
        let port = scene.stage.node(0).address.port();
        let list = ask(port, &["list"]).await?;
        println!("{list}");
        let data = scene.stage.node(1).data.clone();
        let why = list.lines().find(|l| l.starts_with("data2: "));
        if !why.is_some_and(|why| why.contains("is left alone")) {
            return Err("yokeadm list does not say why data2 stays out".to_owned());
        }
        let cluster = &scene.stage.cluster;
        let noted = std::fs::read_to_string(cluster.nodes[1].dir.join("id_before"));
        if system_id(cluster, &data)? != noted.map_err(|e| e.to_string())? {
            return Err("the secondary's database was replaced".to_owned());
        }
        match set_aside(&data).is_empty() && !data.join("standby.signal").exists() {
            true => Ok(()),
            false => Err("the secondary's database was touched".to_owned()),
        }
    });
}

/// The plain case needs no test of its own, but a name: databases made by `initdb` alone, each on its own.
#[test]
fn two_separately_made_databases_become_one_cluster() {
    play(async |scene| scene.writes(100).await);
}
