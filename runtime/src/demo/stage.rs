//! The running demo: nodes, look-out and clients together, and what the tour and a person do with them.

use super::Said;
use super::cluster::Cluster;
use super::node::{Node, Part};
use super::verdict::Verdict;
use super::watch::{Say, Watch};
use super::writer::{Database, Writers};
use crate::admin::{Request, Response, client};
use std::time::Duration;
use yoke_core::member::MemberId;
use yoke_core::operator::CommandOutcome;

/// The longest wait for anything. Far more than what is promised: how long it really took is printed.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// The default of `decision_timeout`, and a margin.
const DECISION_TIMEOUT: Duration = Duration::from_millis(5_200);
/// A daemon gives up its orderly end after 60 s by itself.
const STOP: Duration = Duration::from_secs(70);

/// Everything that runs.
pub struct Stage {
    /// The nodes.
    pub cluster: Cluster,
    /// The look-out.
    pub watch: Watch,
    /// The clients.
    pub writers: Writers,
}

/// How the clients behave.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// How many write at the same time.
    pub clients: usize,
    /// Each one's rest after a write.
    pub pause: Duration,
}

impl Stage {
    /// Starts daemons, look-out and clients.
    ///
    /// # Errors
    /// A daemon cannot be started.
    pub fn begin(mut cluster: Cluster, load: Load, say: Say) -> Said<Stage> {
        cluster.start()?;
        let watch = Watch::begin(&cluster.nodes, say);
        let databases = databases(&cluster);
        let writers = Writers::begin(&databases, load.clients, load.pause);
        Ok(Stage {
            cluster,
            watch,
            writers,
        })
    }

    /// The node that serves now.
    ///
    /// # Errors
    /// Nobody does.
    pub fn primary(&self) -> Said<usize> {
        let picture = self.watch.now();
        match picture.serving() {
            Some(serving) => Ok(serving.node),
            None => Err(format!(
                "nobody serves: {}",
                picture.missing().unwrap_or_default()
            )),
        }
    }

    /// The node with data that is not `primary`.
    pub fn other(primary: usize) -> usize {
        1 - primary
    }

    /// Waits until every daemon has run for `decision_timeout`: before that it neither votes nor stands for election, and a
    /// change of the primary would take that much longer.
    pub async fn settled(&self) {
        let newest = self.cluster.nodes.iter().filter_map(|n| n.started).max();
        if let Some(newest) = newest {
            tokio::time::sleep_until((newest + DECISION_TIMEOUT).into()).await;
        }
    }

    /// A node.
    pub fn node(&mut self, node: usize) -> &mut Node {
        &mut self.cluster.nodes[node]
    }

    /// Asks this node's daemon to hand over. One sentence of what came of it.
    ///
    /// # Errors
    /// It did not happen: why.
    pub fn demote(&self, node: usize) -> impl Future<Output = Said<String>> + use<> {
        let names: Vec<&'static str> = self.cluster.nodes.iter().map(|n| n.name).collect();
        let address = self.cluster.nodes[node].address.to_string();
        async move {
            let name = names[node];
            let name_of = |m: MemberId| names[usize::from(m.0)];
            match client::ask(&address, &Request::Demote, PATIENCE).await {
                Ok(Response::Demote(CommandOutcome::HandedOver { to })) => {
                    Ok(format!("{name} handed over to {}", name_of(to)))
                }
                Ok(Response::Demote(outcome)) => {
                    Err(format!("{name} did not hand over: {outcome:?}"))
                }
                Ok(Response::Failed(why)) => Err(format!("{name} did not hand over: {why}")),
                Ok(_) => Err(format!("{name} answered another question")),
                Err(error) => Err(error.to_string()),
            }
        }
    }

    /// Stops the clients, brings back who is away, waits until all is well, and judges.
    pub async fn judge(self, patience: Duration) -> (Verdict, Cluster) {
        let Stage {
            mut cluster,
            mut watch,
            writers,
        } = self;
        // A daemon that cannot be started will be missing in the picture.
        let _ = cluster.start();
        let ledger = writers.stop().await;
        let last = watch.until_healthy(patience).await;
        let verdict = Verdict::reach(&ledger, last, &databases(&cluster)).await;
        (verdict, cluster)
    }
}

impl Cluster {
    /// The orderly end of all nodes: the standby leaves first, then the primary, and the monitor, whose vote both may
    /// need, last. A daemon that does not end in time is killed with what belongs to it.
    ///
    /// # Errors
    /// Who had to be killed.
    pub async fn stop(&mut self, primary: Option<usize>) -> Said<()> {
        let primary = primary.unwrap_or(0);
        let mut late = Vec::new();
        for place in [Stage::other(primary), primary, 2] {
            let node = &mut self.nodes[place];
            if let Err(error) = node.stop(STOP).await {
                late.push(error);
                let all: Vec<Part> = node.pids().into_iter().map(|(part, _)| part).collect();
                if let Err(error) = node.signal(&all, nix::sys::signal::Signal::SIGKILL) {
                    late.push(error);
                }
            }
        }
        match late.is_empty() {
            true => Ok(()),
            false => Err(late.join("; ")),
        }
    }
}

/// Where the clients go.
fn databases(cluster: &Cluster) -> Vec<Database> {
    cluster
        .data_nodes()
        .map(|node| Database {
            ip: node.ip(),
            port: node.pg_port,
        })
        .collect()
}
