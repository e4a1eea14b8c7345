//! A fault happens, and its return. What ended is started again as a service manager would, and that is all that is done.

use super::fault::{Blow, Fault, Hit, Kind, Lost, Promise, Whose};
use super::newcomers::Newcomers;
use super::processes::{self, Process};
use super::tally::Struck;
use super::{left, seconds};
use crate::Said;
use crate::network::Network;
use nix::sys::signal::Signal;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use yoke::admin::{Request, Response, client};
use yoke::demo::node::Part;
use yoke::demo::picture::Picture;
use yoke::demo::stage::{PATIENCE, Stage};
use yoke::demo::writer::{self, Database};

/// A daemon that ended is started again after this, as the unit in README says.
const RESTART: Duration = Duration::from_secs(1);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);
/// So many writes are acknowledged before the next fault.
const WRITES: usize = 100;
/// `sync_timeout`'s default.
const SYNC_TIMEOUT: Duration = Duration::from_secs(2);

/// A cluster in a storm.
pub struct Play<'a> {
    /// Nodes, look-out and clients.
    pub stage: Stage,
    newcomers: Newcomers,
    network: Option<&'a Network>,
    promise: Promise,
    /// By node: when its daemon, which has ended, is started again.
    due: [Option<Instant>; 3],
    /// By node: not before this.
    away: [Option<Instant>; 3],
    /// What is undone later.
    undo: Vec<(Instant, Undo)>,
    /// What hangs for good, until somebody of Yoke ends it.
    hanging: Vec<Process>,
    /// `yokeadm demote` under way.
    hand_over: Option<JoinHandle<Result<Response, String>>>,
}

/// How a fault ends.
enum Undo {
    Thaw(Vec<Process>),
    Heal(usize),
}

impl<'a> Play<'a> {
    /// On this stage.
    pub fn new(stage: Stage, network: Option<&'a Network>, decision: Duration) -> Play<'a> {
        let databases = stage.cluster.data_nodes().map(|node| Database {
            ip: node.ip(),
            port: node.pg_port,
        });
        Play {
            newcomers: Newcomers::begin(databases.collect()),
            stage,
            network,
            promise: Promise {
                decision,
                sync: SYNC_TIMEOUT,
            },
            due: [None; 3],
            away: [None; 3],
            undo: Vec::new(),
            hanging: Vec::new(),
            hand_over: None,
        }
    }

    /// One blow, and all that follows until redundancy is back.
    ///
    /// # Errors
    /// Something was lost, two nodes acknowledged at once, or all was not healthy in time.
    pub async fn strike(&mut self, number: usize, blow: &Blow) -> Said<Struck> {
        self.pass(blow.pause).await?;
        let picture = self.healthy(PATIENCE).await?;
        let serving = picture.serving().ok_or("nobody serves")?;
        let begun = Instant::now();
        let started = self.stage.cluster.nodes.iter().filter_map(|n| n.started);
        let fresh = started
            .max()
            .is_some_and(|at| at.elapsed() < self.promise.decision);
        self.happen(&blow.fault, serving.node).await?;
        if let Some((after, second)) = &blow.then {
            self.pass(*after).await?;
            // What it is to hit may be gone already.
            if let Err(why) = self.happen(second, serving.node).await {
                println!("    ({second}: {why})");
            }
        }
        while self.is_under_way() {
            self.pass(LOOK).await?;
            if begun.elapsed() > PATIENCE * 2 {
                return Err("what hangs was not ended".to_owned());
            }
        }
        let over = Instant::now();
        self.enough_writes(over).await?;
        let serving = self.healthy(PATIENCE).await?.serving();
        let healthy = over.elapsed();
        if let Some(hand_over) = self.hand_over.take() {
            let said = hand_over.await.map_err(|e| e.to_string())?;
            let fine = matches!(
                said,
                Ok(Response::Outcome(
                    yoke_core::operator::CommandOutcome::HandedOver { .. }
                ))
            );
            if !fine && blow.then.is_none() {
                return Err(format!("yokeadm demote said {said:?}"));
            }
        }
        self.verify(serving.map_or(0, |s| s.node)).await?;
        let ledger = self.stage.writers.ledger();
        Ok(Struck {
            number,
            name: blow.to_string(),
            class: blow.class(),
            gap: ledger.gap(begun, Instant::now()).length,
            newcomers: self.newcomers.gap(begun, Instant::now()),
            promised: match blow.then {
                None => Some(blow.fault.promised(&self.promise, fresh)),
                Some(_) => None,
            },
            healthy,
            acknowledged: ledger.count_since(begun),
        })
    }

    /// A fault has not ended yet.
    fn is_under_way(&self) -> bool {
        !self.undo.is_empty()
            || processes::any_lives(&self.hanging)
            || self.away.iter().flatten().any(|at| !left(*at).is_zero())
            || self
                .hand_over
                .as_ref()
                .is_some_and(|task| !task.is_finished())
    }

    /// Ends every fault at once: what is frozen, or cut off, cannot be stopped in order.
    pub fn calm(&mut self) {
        self.away = [None; 3];
        processes::send(&self.hanging, Signal::SIGCONT);
        for (at, _) in &mut self.undo {
            *at = Instant::now();
        }
        if let Err(why) = self.keep() {
            println!("    ({why})");
        }
    }

    /// Waits until everything is as it should be.
    ///
    /// # Errors
    /// It is not in time.
    pub async fn healthy(&mut self, patience: Duration) -> Said<Arc<Picture>> {
        let begun = Instant::now();
        loop {
            self.pass(LOOK).await?;
            let picture = self.stage.watch.now();
            if picture.asked >= begun && picture.is_healthy() {
                return Ok(picture);
            }
            if begun.elapsed() > patience {
                return Err(format!(
                    "not healthy and in sync within {}: {}",
                    seconds(patience),
                    picture.missing().unwrap_or_default()
                ));
            }
        }
    }

    /// Time passes: faults end, and daemons that ended are started again.
    async fn pass(&mut self, time: Duration) -> Said<()> {
        let until = Instant::now() + time;
        loop {
            self.keep()?;
            if left(until).is_zero() {
                return Ok(());
            }
            sleep(left(until).min(LOOK)).await;
        }
    }

    fn keep(&mut self) -> Said<()> {
        let now = Instant::now();
        let (over, rest) = std::mem::take(&mut self.undo)
            .into_iter()
            .partition(|(at, _)| *at <= now);
        self.undo = rest;
        for (_, undo) in over {
            match undo {
                Undo::Thaw(processes) => processes::send(&processes, Signal::SIGCONT),
                Undo::Heal(host) => self.network()?.heal(host)?,
            }
        }
        for (i, node) in self.stage.cluster.nodes.iter_mut().enumerate() {
            if node.is_running() {
                continue;
            }
            let due = *self.due[i].get_or_insert(now + RESTART);
            if now >= due && self.away[i].is_none_or(|at| now >= at) {
                node.start()?;
                self.due[i] = None;
                self.away[i] = None;
            }
        }
        Ok(())
    }

    async fn happen(&mut self, fault: &Fault, primary: usize) -> Said<()> {
        let place = |whose: Whose| match whose {
            Whose::Primary => primary,
            Whose::Standby => Stage::other(primary),
            Whose::Monitor => 2,
        };
        let now = Instant::now();
        match *fault {
            Fault::Kill(whose, hit) => {
                let found = processes::find(self.stage.node(place(whose)), hit)?;
                processes::send(&found, Signal::SIGKILL);
            }
            Fault::Freeze(whose, hit, time) => {
                let found = processes::find(self.stage.node(place(whose)), hit)?;
                processes::send(&found, Signal::SIGSTOP);
                self.undo.push((now + time, Undo::Thaw(found)));
            }
            Fault::Hang(whose, hit) => {
                let found = processes::find(self.stage.node(place(whose)), hit)?;
                processes::send(&found, Signal::SIGSTOP);
                // A client's own process hangs for that client alone.
                if hit != Hit::One(Kind::Backend) {
                    self.hanging = found;
                }
            }
            Fault::Stop(whose, time) => {
                let node = place(whose);
                self.stage
                    .node(node)
                    .signal(&[Part::Daemon], Signal::SIGTERM)?;
                self.ended(node).await?;
                self.away[node] = Some(Instant::now() + time);
            }
            Fault::ShutDown(whose) => {
                let node = self.stage.node(place(whose));
                node.signal(&[Part::Postgres], Signal::SIGINT)?;
            }
            Fault::Upgrade(whose) => {
                let node = self.stage.node(place(whose));
                node.signal(&[Part::Daemon], Signal::SIGUSR2)?;
            }
            Fault::HandOver => {
                let address = self.stage.node(primary).address.to_string();
                self.hand_over = Some(tokio::spawn(async move {
                    let answer = client::ask(&address, &Request::Demote, PATIENCE).await;
                    answer.map_err(|e| e.to_string())
                }));
            }
            Fault::Lose(whose, lost) => {
                let node = place(whose);
                self.kill_host(node).await?;
                self.lose(node, lost)?;
            }
            Fault::PowerLoss => {
                let nodes = [0, 1, 2]
                    .map(|node| processes::find(&self.stage.cluster.nodes[node], Hit::Host));
                for found in nodes.into_iter().flatten() {
                    processes::send(&found, Signal::SIGKILL);
                }
            }
            Fault::Silence(whose, time) => {
                self.network()?.silence(place(whose))?;
                self.undo.push((now + time, Undo::Heal(place(whose))));
            }
            Fault::Cut(time) => {
                self.network()?.cut(primary, &[Stage::other(primary)])?;
                self.undo.push((now + time, Undo::Heal(primary)));
            }
        }
        Ok(())
    }

    /// All of a host is killed, and seen gone.
    async fn kill_host(&mut self, node: usize) -> Said<()> {
        let found = processes::find(self.stage.node(node), Hit::Host)?;
        processes::send(&found, Signal::SIGKILL);
        let deadline = Instant::now() + PATIENCE;
        while self.stage.node(node).is_running() || processes::any_lives(&found) {
            if left(deadline).is_zero() {
                return Err("what was killed did not end".to_owned());
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// Waits for a daemon's orderly end; the others are looked after meanwhile.
    async fn ended(&mut self, node: usize) -> Said<()> {
        let deadline = Instant::now() + PATIENCE;
        self.away[node] = Some(deadline);
        while self.stage.node(node).is_running() {
            if left(deadline).is_zero() {
                return Err(format!(
                    "{}'s daemon was told to stop, and did not within {}",
                    self.stage.node(node).name,
                    seconds(PATIENCE)
                ));
            }
            self.pass(LOOK).await?;
        }
        Ok(())
    }

    fn lose(&mut self, node: usize, lost: Lost) -> Said<()> {
        let node = self.stage.node(node);
        let failed = |path: &Path, e: std::io::Error| format!("{}: {e}", path.display());
        if matches!(lost, Lost::State | Lost::Status | Lost::Both) {
            let entries = std::fs::read_dir(&node.dir).map_err(|e| failed(&node.dir, e))?;
            for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                // The data directory, and copies set aside, are not the status.
                if name.starts_with("data") || (lost == Lost::State && name != "yoke.state") {
                    continue;
                }
                match path.is_dir() {
                    true => std::fs::remove_dir_all(&path),
                    false => std::fs::remove_file(&path),
                }
                .map_err(|e| failed(&path, e))?;
            }
        }
        if matches!(lost, Lost::Data | Lost::Both) {
            std::fs::remove_dir_all(&node.data).map_err(|e| failed(&node.data, e))?;
        }
        Ok(())
    }

    async fn enough_writes(&mut self, since: Instant) -> Said<()> {
        let deadline = Instant::now() + PATIENCE;
        while self.stage.writers.ledger().count_since(since) < WRITES {
            if left(deadline).is_zero() {
                return Err(format!(
                    "fewer than {WRITES} writes were acknowledged within {}: {}",
                    seconds(PATIENCE),
                    self.stage.watch.now().missing().unwrap_or_default()
                ));
            }
            self.pass(LOOK).await?;
        }
        Ok(())
    }

    /// What was acknowledged is there, and never did two acknowledge at once.
    async fn verify(&mut self, primary: usize) -> Said<()> {
        let ledger = Arc::clone(self.stage.writers.ledger());
        let acks = ledger.acks();
        let node = self.stage.node(primary);
        let database = Database {
            ip: node.ip(),
            port: node.pg_port,
        };
        let there: BTreeSet<i64> = writer::ids(database, PATIENCE).await?.into_iter().collect();
        let lost: Vec<i64> = acks
            .iter()
            .map(|a| a.id)
            .filter(|id| !there.contains(id))
            .collect();
        if let Some(first) = lost.first() {
            return Err(format!(
                "{} ACKNOWLEDGED WRITES ARE LOST (the first is {first})",
                lost.len()
            ));
        }
        match ledger.overlap() {
            Some(overlap) => Err(format!("TWO NODES ACKNOWLEDGED AT ONCE: {overlap}")),
            None => Ok(()),
        }
    }

    fn network(&self) -> Said<&'a Network> {
        self.network
            .ok_or_else(|| "there is no network to cut".to_owned())
    }
}
