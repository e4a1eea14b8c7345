//! The model from what runs: what the daemons say, what `/proc` says of their processes, what the clients noted.

use super::hand::Hand;
use super::keys::{Means, keys};
use super::model::{Host, Lease, Life, Model, Parts, Writes};
use super::reasons::Tail;
use super::story::Story;
use crate::demo::cluster::Cluster;
use crate::demo::node::{Node, Part, is_frozen};
use crate::demo::picture::Picture;
use crate::demo::print;
use crate::demo::stage::Stage;
use crate::show::cluster::Row;
use std::time::{Duration, Instant};
use yoke_core::view::RoleView;

/// The length of the sparkline.
const MINUTE: usize = 60;
/// 0.65 of `decision_timeout`, which is the default in the demo.
const LEASE: Duration = Duration::from_millis(3_250);

/// What has to be remembered between two looks.
pub(super) struct Gatherer {
    /// The host that keys are for.
    pub(super) chosen: usize,
    /// Why the last key came to nothing.
    pub(super) message: Option<String>,
    begun: Instant,
    tails: Vec<Tail>,
    /// When each host last said how much of its lease was left.
    leases: Vec<Option<(Instant, Duration)>>,
    postgres: String,
    psql: String,
}

impl Gatherer {
    /// For this cluster.
    pub(super) fn of(cluster: &Cluster) -> Gatherer {
        Gatherer {
            chosen: 0,
            message: None,
            begun: Instant::now(),
            tails: cluster.nodes.iter().map(|n| Tail::of(&n.log)).collect(),
            leases: vec![None; cluster.nodes.len()],
            postgres: format!("PostgreSQL {}", cluster.programs.version),
            psql: cluster.psql(),
        }
    }

    /// Everything as it is now.
    pub(super) fn look(&mut self, stage: &mut Stage, hand: &mut Hand, story: &mut Story) -> Model {
        let picture = stage.watch.now();
        let now = Instant::now();
        let ledger = stage.writers.ledger();
        story.look(ledger, &picture, now);
        let (longest, fault) = story.longest();
        let writes = Writes {
            seconds: ledger.per_second(self.begun, now, MINUTE),
            gap: now.duration_since(ledger.last_ack().unwrap_or(self.begun)),
            longest,
            fault,
            acknowledged: ledger.count(),
            doubtful: ledger.doubts().len(),
        };
        let (leader, summary, safe) = match &picture.cluster {
            None => (
                "nobody leads".to_owned(),
                "No daemon answers.".to_owned(),
                false,
            ),
            Some(cluster) => {
                let leader = match &cluster.leader {
                    Some(leader) => format!("{leader} leads, term {}", cluster.term),
                    None => format!("nobody leads, term {}", cluster.term),
                };
                (leader, cluster.summary.clone(), cluster.failover_possible)
            }
        };
        let nodes = stage.cluster.nodes.iter_mut().enumerate();
        let hosts = nodes
            .map(|(i, node)| self.host(i, node, &picture, hand))
            .collect();
        let mut model = Model {
            postgres: self.postgres.clone(),
            clock: print::time_of_day(),
            leader,
            summary,
            safe,
            writes,
            hosts,
            deeds: story.deeds().cloned().collect(),
            chosen: self.chosen,
            keys: Vec::new(),
            message: hand.outcome().or_else(|| self.message.clone()),
            psql: self.psql.clone(),
        };
        let means = Means {
            network: hand.has_network(),
            link_cut: hand.is_link_cut(),
            handing_over: hand.is_handing_over(),
        };
        model.keys = keys(&model, means);
        model
    }

    fn host(&mut self, i: usize, node: &mut Node, picture: &Picture, hand: &Hand) -> Host {
        let running = node.is_running();
        let life = |part| match node.pid(part) {
            Some(pid) if is_frozen(pid) => Life::Frozen(pid.as_raw()),
            Some(pid) => Life::Runs(pid.as_raw()),
            None => Life::Gone,
        };
        let parts = Parts {
            daemon: if running {
                life(Part::Daemon)
            } else {
                Life::Gone
            },
            guard: life(Part::Guard),
            postgres: life(Part::Postgres),
        };
        self.tails[i].read();
        let row = picture.cluster.as_ref().and_then(|c| c.members.get(i));
        let mut host = Host {
            name: node.name.to_owned(),
            lease: self.lease(i, picture, &parts),
            parts,
            cut: hand.is_cut(i),
            link_cut: hand.is_link_cut() && node.holds_data(),
            reasons: self.tails[i].newest().cloned().collect(),
            in_sync: node.holds_data().then_some(false),
            role: if node.holds_data() {
                "unknown"
            } else {
                "witness"
            },
            ..Host::default()
        };
        if let Some(row) = row {
            tell(&mut host, row);
        }
        host
    }

    /// What the leader says; of one that is not heard any more: what its guard still holds.
    fn lease(&mut self, i: usize, picture: &Picture, parts: &Parts) -> Lease {
        let (asked, report) = (picture.asked, &picture.reports[i]);
        match report {
            Ok(report) if report.view.role == RoleView::Leader => match report.view.lease_left {
                Some(left) => {
                    let left = Duration::from_micros(left.0);
                    self.leases[i] = Some((asked, left));
                    Lease::Left(left, LEASE)
                }
                None => {
                    self.leases[i] = None;
                    Lease::Needless
                }
            },
            Ok(_) => {
                self.leases[i] = None;
                Lease::None
            }
            Err(_) if parts.guard == Life::Gone => Lease::None,
            Err(_) => match self.leases[i] {
                Some((at, left)) => Lease::Left(left.saturating_sub(at.elapsed()), LEASE),
                None => Lease::None,
            },
        }
    }
}

/// What the cluster's picture says of a host.
fn tell(host: &mut Host, row: &Row) {
    host.answers = row.reachable;
    host.in_sync = row.in_sync.or(host.in_sync);
    host.fault = row.fault.clone();
    if !row.reachable {
        host.database = "does not answer".to_owned();
        return;
    }
    host.role = row.role;
    host.database = match row.kind {
        "witness" => "votes".to_owned(),
        _ => row.database.clone(),
    };
    host.lag = row.lag_bytes.map(|bytes| match bytes {
        0 => "nothing behind".to_owned(),
        1..10_000 => format!("{bytes} bytes behind"),
        10_000..10_000_000 => format!("{} kB behind", bytes / 1_000),
        _ => format!("{} MB behind", bytes / 1_000_000),
    });
}
