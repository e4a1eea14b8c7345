//! The operator's own commands, in real shells: the virtual address leaves before the role does, the role command is told
//! of each change, and `sync_command` makes the standby's copy.

use nix::sys::signal::Signal;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tests::Said;
use tests::faults::ALL;
use tests::programs::ask;
use tests::scene::{Scene, Setting, play_on};
use yoke::demo::cluster::Cluster;
use yoke::demo::node::Part;
use yoke::demo::stage::PATIENCE;

/// Daemons as PostgreSQL's own user.
const AS_POSTGRES: &[&str] = &[
    "setpriv",
    "--reuid=postgres",
    "--regid=postgres",
    "--init-groups",
    "--pdeathsig=TERM",
];

/// The tutorial's lines.
const TUTORIAL: &str = "  sync_command=rsync -a --delete {{local_dir}} {{slave_dir}}
[vip]
  ip=\"1.2.3.4\"
  add_command=echo I’m the master, you should replace this with a real command
  remove_command=echo I’m the slave, you should replace this with a real command
[role_change]
  command=/usr/local/bin/role-changed
";

/// What the commands write: a line each, with the member and what was appended. Removing takes a while.
fn lines(log: &Path) -> String {
    let log = log.display();
    format!(
        "[vip]
  ip=\"1.2.3.4\"
  add_command=f() {{ echo add $YOKE_MEMBER $1 >>{log}; }}; f
  remove_command=f() {{ sleep 0.3; echo remove $YOKE_MEMBER $1 >>{log}; }}; f
[role_change]
  command=f() {{ echo $1 $YOKE_MEMBER >>{log}; }}; f
"
    )
}

fn log_of(cluster: &Path) -> PathBuf {
    cluster.join("hooks.log")
}

/// Adds lines to every node's file.
fn configure(cluster: &Cluster, lines: &str) -> Said<()> {
    for node in &cluster.nodes {
        let text = std::fs::read_to_string(&node.config).map_err(|e| e.to_string())?;
        std::fs::write(&node.config, text + lines).map_err(|e| e.to_string())?;
    }
    Ok(())
}

/// A log that daemons of any user may write.
fn with_log(cluster: &Cluster) -> Said<()> {
    let log = log_of(&cluster.dir);
    std::fs::write(&log, "").map_err(|e| e.to_string())?;
    let mode = std::fs::Permissions::from_mode(0o666);
    std::fs::set_permissions(&log, mode).map_err(|e| e.to_string())?;
    configure(cluster, &lines(&log))
}

/// What the commands wrote, from a line on.
struct Log {
    file: PathBuf,
    read: usize,
}

impl Log {
    fn of(scene: &Scene) -> Log {
        Log {
            file: log_of(&scene.stage.cluster.dir),
            read: 0,
        }
    }

    fn new_lines(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.file).unwrap_or_default();
        text.lines().skip(self.read).map(str::to_owned).collect()
    }

    /// Waits for exactly these lines of each of these kinds, in this order within a kind; forgets them.
    async fn expect(&mut self, what: &str, kinds: &[&[&str]]) -> Said<()> {
        let begun = Instant::now();
        loop {
            let lines = self.new_lines();
            let whole = kinds.iter().map(|k| k.len()).sum::<usize>();
            if lines.len() >= whole {
                println!("{what}: {}", lines.join(", "));
                for kind in kinds {
                    let of_kind: Vec<&str> = lines
                        .iter()
                        .map(String::as_str)
                        .filter(|l| kind.contains(l))
                        .collect();
                    if of_kind != *kind {
                        return Err(format!("{what}: expected {kinds:?}, found {lines:?}"));
                    }
                }
                if lines.len() > whole {
                    return Err(format!("{what}: more than {kinds:?}: {lines:?}"));
                }
                self.read += lines.len();
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("{what}: expected {kinds:?}, found {lines:?}"));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Nothing was run.
    fn expect_nothing(&self, what: &str) -> Said<()> {
        match self.new_lines() {
            lines if lines.is_empty() => Ok(()),
            lines => Err(format!("{what}: {lines:?}")),
        }
    }
}

/// What a node's daemon has logged.
fn daemon_log(scene: &mut Scene, node: usize) -> String {
    let bytes = std::fs::read(&scene.stage.node(node).log).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn expect_said(scene: &mut Scene, node: usize, words: &str) -> Said<()> {
    match daemon_log(scene, node).contains(words) {
        true => Ok(()),
        false => Err(format!(
            "the daemon of node {} does not say: {words}",
            node + 1
        )),
    }
}

#[test]
fn the_address_leaves_before_the_role_does_and_every_change_is_told() {
    let setting = Setting {
        before: Some(&with_log),
        ..Setting::default()
    };
    play_on(&setting, async |scene| {
        let mut log = Log::of(scene);
        log.expect(
            "start",
            &[
                &["remove data1 1.2.3.4", "add data1 1.2.3.4"],
                &["remove data2 1.2.3.4", "slave data2"],
                &["single data1", "master data1"],
            ],
        )
        .await?;

        let port = scene.stage.node(0).address.port();
        let before = scene.serving().await?;
        ask(port, &["demote"]).await?;
        scene.other_serves(before).await?;
        scene.healthy().await?;
        log.expect(
            "hand-over",
            &[
                &["remove data1 1.2.3.4", "add data2 1.2.3.4"],
                &["slave data1"],
                &["single data2", "master data2"],
            ],
        )
        .await?;
        let list = ask(port, &["list"]).await?;
        if !list.contains("data2: vip 1.2.3.4: here (for ") {
            return Err(format!("yokeadm list does not show the address: {list}"));
        }

        // Its daemon alone dies and is started again at once: the address stays.
        println!(
            "{}",
            scene
                .stage
                .node(1)
                .signal(&[Part::Daemon], Signal::SIGKILL)?
        );
        scene.stage.node(1).wait_ended(PATIENCE).await?;
        scene.stage.node(1).start()?;
        log.expect("a new daemon", &[&["master data2"]]).await?;
        scene.healthy().await?;

        println!(
            "{}",
            scene
                .stage
                .node(2)
                .signal(&[Part::Daemon], Signal::SIGTERM)?
        );
        scene.stage.node(2).wait_ended(PATIENCE).await?;
        scene.writes(100).await?;
        scene.stage.node(2).start()?;
        scene.healthy().await?;
        log.expect_nothing("the monitor stops and returns")?;

        println!(
            "{}",
            scene
                .stage
                .node(0)
                .signal(&[Part::Daemon], Signal::SIGTERM)?
        );
        scene.stage.node(0).wait_ended(PATIENCE).await?;
        scene.writes(100).await?;
        log.expect("the standby stops", &[&["single data2"]])
            .await?;
        scene.stage.node(0).start()?;
        scene.healthy().await?;
        log.expect(
            "the standby returns",
            &[&["remove data1 1.2.3.4", "slave data1"], &["master data2"]],
        )
        .await?;

        // All of the host at once: what it left there is removed when its daemon returns.
        let before = scene.serving().await?;
        println!("{}", scene.stage.node(1).signal(&ALL, Signal::SIGKILL)?);
        scene.other_serves(before).await?;
        log.expect(
            "the primary's host dies",
            &[&["add data1 1.2.3.4"], &["single data1"]],
        )
        .await?;
        scene.stage.node(1).wait_ended(PATIENCE).await?;
        scene.stage.node(1).start()?;
        scene.healthy().await?;
        log.expect(
            "it returns",
            &[&["remove data2 1.2.3.4", "slave data2"], &["master data1"]],
        )
        .await?;

        // The guard fences, and removes the address, although its daemon hangs.
        let before = scene.serving().await?;
        println!(
            "{}",
            scene
                .stage
                .node(0)
                .signal(&[Part::Daemon], Signal::SIGSTOP)?
        );
        scene.other_serves(before).await?;
        log.expect(
            "the primary's daemon hangs",
            &[
                &["remove data1 1.2.3.4", "add data2 1.2.3.4"],
                &["single data2"],
            ],
        )
        .await?;
        println!(
            "{}",
            scene
                .stage
                .node(0)
                .signal(&[Part::Daemon], Signal::SIGCONT)?
        );
        scene.healthy().await?;
        log.expect("it goes on", &[&["slave data1"], &["master data2"]])
            .await
    });
}

#[test]
fn a_command_that_hangs_holds_nothing_up_for_long() {
    let hang = |cluster: &Cluster| {
        configure(
            cluster,
            "[vip]\nip=1.2.3.4\nadd_command=sleep 1000; :\nremove_command=sleep 1000; :\n[role_change]\ncommand=sleep 1000; :\n",
        )
    };
    let setting = Setting {
        before: Some(&hang),
        ..Setting::default()
    };
    play_on(&setting, async |scene| {
        let port = scene.stage.node(0).address.port();
        let before = scene.serving().await?;
        let begun = Instant::now();
        ask(port, &["demote"]).await?;
        scene.other_serves(before).await?;
        let gap = scene.stage.writers.ledger().gap(begun, Instant::now());
        println!(
            "GAP {:.3} s: demote, remove_command hangs",
            gap.length.as_secs_f64()
        );
        scene.healthy().await?;
        expect_said(scene, 0, "has not ended yet, and is waited for no longer")?;
        // Killed at its limit, and shown.
        let words = "add_command did not end, and was killed";
        let begun = Instant::now();
        loop {
            let list = ask(port, &["list"]).await?;
            if list.contains(words) {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("yokeadm list does not say `{words}`: {list}"));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
}

/// Without root: the tutorial's file as it is printed. (rsync may be missing: then that is said, and pg_basebackup used.)
#[test]
fn the_tutorials_file_as_postgres() {
    let tutorial = |cluster: &Cluster| configure(cluster, TUTORIAL);
    let setting = Setting {
        before: Some(&tutorial),
        // Who runs the tests without root is such a user.
        wrapper: nix::unistd::geteuid().is_root().then_some(AS_POSTGRES),
        ..Setting::default()
    };
    play_on(&setting, async |scene| {
        expect_said(
            scene,
            0,
            "I’m the master, you should replace this with a real command 1.2.3.4",
        )?;
        expect_said(
            scene,
            1,
            "I’m the slave, you should replace this with a real command 1.2.3.4",
        )?;
        scene.primary_hit(&ALL, Signal::SIGKILL).await?;
        scene.primary_hit(&[Part::Daemon], Signal::SIGSTOP).await?;
        scene.other_hit(1, &ALL, Signal::SIGKILL).await?;
        let port = scene.stage.node(0).address.port();
        let before = scene.serving().await?;
        ask(port, &["demote"]).await?;
        scene.other_serves(before).await?;
        Ok(())
    });
}

#[test]
fn sync_command_makes_the_copy() {
    let copies = |cluster: &Cluster| {
        let log = log_of(&cluster.dir);
        let line = format!(
            "  sync_command=cp -a {{{{local_dir}}}}. {{{{slave_dir}}}} && echo {{{{slave_ip}}}} >>{}\n",
            log.display()
        );
        configure(cluster, &line)
    };
    let setting = Setting {
        before: Some(&copies),
        ..Setting::default()
    };
    play_on(&setting, async |scene| {
        expect_said(scene, 0, "copied to data2 by sync_command")?;
        Log::of(scene)
            .expect("the command", &[&["127.0.0.1"]])
            .await?;
        let node = scene.stage.node(1);
        let beside: Vec<String> = std::fs::read_dir(&node.dir)
            .map_err(|e| e.to_string())?
            .filter_map(|e| e.ok()?.file_name().into_string().ok())
            .filter(|name| name.starts_with("data.new"))
            .collect();
        match beside.is_empty() {
            true => Ok(()),
            false => Err(format!("left beside the data directory: {beside:?}")),
        }
    });
}

#[test]
fn a_sync_command_that_fails_is_replaced() {
    for (command, said) in [
        (
            "echo no such host >&2; exit 3; : {{slave_dir}}",
            "sync_command failed (exit 3) after ",
        ),
        (": {{slave_dir}}", "left no PG_VERSION in "),
    ] {
        let fails = |cluster: &Cluster| configure(cluster, &format!("  sync_command={command}\n"));
        let setting = Setting {
            before: Some(&fails),
            ..Setting::default()
        };
        play_on(&setting, async |scene| {
            expect_said(scene, 1, said)?;
            expect_said(scene, 1, "pg_basebackup is used instead")
        });
    }
}
