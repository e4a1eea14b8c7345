//! What a host can lose, or get back from long ago; and the words that `yokeadm list` asks an operator for.

use crate::Said;
use crate::faults::ALL;
use crate::programs::ask;
use crate::scene::Scene;
use nix::sys::signal::Signal;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use yoke::demo::node::{Node, Part};
use yoke::demo::picture::Picture;
use yoke::demo::stage::PATIENCE;

/// Something that happens to a host's disk while the host is down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Loss {
    /// The state file is gone.
    State,
    /// The state file is cut in the middle.
    TornState,
    /// The state file of an older image is back.
    OldState,
    /// The data directory is gone.
    Data,
    /// The data directory is there, and empty.
    EmptyData,
    /// The data directory of an older image is back.
    OldData,
    /// A copy of the other host's data directory stands in its place.
    OthersData,
    /// All that Yoke and PostgreSQL ever wrote is gone.
    Everything,
    /// The whole host is as it was when the image was taken.
    OldHost,
}

impl Scene {
    /// A power cut of one host: all its processes are gone.
    ///
    /// # Errors
    /// One does not end.
    pub async fn goes_down(&mut self, node: usize) -> Said<()> {
        let node = self.stage.node(node);
        let parts: Vec<Part> = node.pids().iter().map(|(part, _)| *part).collect();
        let parts: Vec<Part> = ALL.into_iter().filter(|p| parts.contains(p)).collect();
        node.signal(&parts, Signal::SIGKILL)?;
        node.wait_ended(PATIENCE).await?;
        // The postmaster ends with its guard, and its children some moments later.
        let lock = node.data.join("postmaster.pid");
        while let Some(pid) = postmaster(&lock).filter(|pid| is_alive(*pid)) {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGKILL);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// The host has power again.
    ///
    /// # Errors
    /// Its daemon cannot be started.
    pub fn comes_up(&mut self, node: usize) -> Said<()> {
        self.stage.node(node).start()
    }

    /// One host goes down, loses this, and comes back; all is as it should be again without a word from anybody.
    ///
    /// # Errors
    /// What did not come.
    pub async fn recovers(&mut self, node: usize, loss: Loss) -> Said<()> {
        let name = self.stage.node(node).name;
        let begun = std::time::Instant::now();
        self.goes_down(node).await?;
        if loss != Loss::OldState && loss != Loss::OldData && loss != Loss::OldHost {
            self.take_image(node)?;
        }
        self.suffer(node, loss)?;
        self.comes_up(node)?;
        let what = format!("{name} lost: {loss:?}");
        self.healthy().await.map_err(|e| format!("{what}: {e}"))?;
        self.writes(10).await?;
        println!(
            "{what}: well again after {:.1} s",
            begun.elapsed().as_secs_f64()
        );
        Ok(())
    }

    /// Copies aside all that a host, which is down, has on disk.
    ///
    /// # Errors
    /// What `cp` says.
    pub fn take_image(&mut self, node: usize) -> Said<()> {
        let image = image_of(self.stage.node(node));
        shell(
            "rm -rf \"$1\" && cp -a \"$2\" \"$1\"",
            &[&image, &self.stage.node(node).dir],
        )
    }

    /// Does it to the disk of a host that is down.
    ///
    /// # Errors
    /// What the shell says.
    pub fn suffer(&mut self, node: usize, loss: Loss) -> Said<()> {
        let others = self.stage.cluster.nodes[usize::from(node == 0)]
            .data
            .clone();
        let node = self.stage.node(node);
        let (state, data, dir) = (node.dir.join("yoke.state"), &node.data, &node.dir);
        let image = image_of(node);
        let no = Path::new("");
        match loss {
            Loss::State => shell("rm \"$1\"", &[&state]),
            Loss::TornState => shell("truncate -s 30 \"$1\"", &[&state]),
            Loss::OldState => shell("cp -a \"$2/yoke.state\" \"$1\"", &[&state, &image]),
            Loss::Data => shell("rm -rf \"$1\"", &[data]),
            Loss::EmptyData => shell("find \"$1\" -mindepth 1 -delete", &[data]),
            Loss::OldData => shell("rm -rf \"$1\" && cp -a \"$2/data\" \"$1\"", &[data, &image]),
            // Files that a running server removes meanwhile are none of a base backup's either.
            Loss::OthersData => shell(
                "rm -rf \"$1\"; cp -a \"$2\" \"$1\" 2>/dev/null; rm -f \"$1/postmaster.pid\"; test -f \"$1/PG_VERSION\"",
                &[data, &others],
            ),
            Loss::Everything => shell("find \"$1\" -mindepth 1 -delete", &[dir, no]),
            Loss::OldHost => shell("rm -rf \"$1\" && cp -a \"$2\" \"$1\"", &[dir, &image]),
        }
    }

    /// Waits until a member's line in `yokeadm list`, asked on its own host, names this command; the rest of the command.
    ///
    /// # Errors
    /// It does not in time.
    pub async fn is_told(&mut self, node: usize, command: &str) -> Said<Vec<String>> {
        let find = |p: &Picture| {
            let why = p.reports[node].as_ref().ok()?.view.stays_out.clone()?;
            let (_, rest) = why.split_once(&format!("`{command}"))?;
            let words = rest.split('`').next()?.split_whitespace();
            Some(words.map(str::to_owned).collect::<Vec<_>>())
        };
        let what = format!("{}: `{command}`", self.stage.node(node).name);
        let picture = self.until(&what, |p| find(p).is_some()).await?;
        let port = self.stage.node(node).address.port();
        let list = ask(port, &["list"]).await?;
        match list.contains(command) {
            true => Ok(find(&picture).unwrap_or_default()),
            false => Err(format!("yokeadm list does not name `{command}`:\n{list}")),
        }
    }

    /// Says a word to a member, as its line in `yokeadm list` tells; without `--yes` nothing happens.
    ///
    /// # Errors
    /// It is refused: why.
    pub async fn give_word(&mut self, node: usize, command: &str) -> Said<String> {
        let rest = self.is_told(node, &format!("yokeadm {command}")).await?;
        let port = self.stage.node(node).address.port();
        let mut words = vec![command];
        words.extend(rest.iter().map(String::as_str));
        match ask(port, &words).await {
            Err(why) if why.contains("nothing was changed") && why.contains("lost") => {}
            other => return Err(format!("it should have asked first, and said {other:?}")),
        }
        words.push("--yes");
        let said = ask(port, &words).await?;
        println!("yokeadm {}: {said}", words.join(" "));
        Ok(said)
    }
}

fn image_of(node: &Node) -> PathBuf {
    node.dir.with_extension("image")
}

fn postmaster(lock: &Path) -> Option<i32> {
    let text = std::fs::read_to_string(lock).ok()?;
    text.lines().next()?.trim().parse().ok()
}

/// Whether a postmaster has this number, not just any process.
fn is_alive(pid: i32) -> bool {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    name.starts_with("postgres") && !stat.contains(") Z ")
}

fn shell(script: &str, arguments: &[&Path]) -> Said<()> {
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).args(arguments);
    let output = command.output().map_err(|e| e.to_string())?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}
