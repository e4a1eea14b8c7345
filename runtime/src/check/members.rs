//! The other members, asked as `yoke check` does: does each answer, does it belong to this cluster, what does it say?

use super::{Findings, Level};
use crate::admin::{Report, client};
use crate::check::database::Database;
use crate::config::Configuration;
use crate::peer::Hello;
use crate::peer::handshake;
use crate::show::cluster::{Answers, merge};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use yoke_core::member::MemberId;

/// How long a member may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks all at once, this host's own daemon too if it runs; nothing of them changes.
pub(super) async fn judge(
    config: &Configuration,
    runs_here: bool,
    database: Database,
    found: &mut Findings,
) {
    let asked: Vec<_> = config
        .core
        .ids()
        .map(|member| {
            // One's own daemon has no handshake to pass.
            let hello = (member != config.core.me).then(|| config.hello(member));
            let address = config.address(member);
            tokio::spawn(async move { ask(address, hello.as_ref()).await })
        })
        .collect();
    let mut reports = Vec::new();
    for (member, task) in config.core.ids().zip(asked) {
        let answer = task
            .await
            .unwrap_or_else(|e| Err((Level::Error, e.to_string())));
        let is_me = member == config.core.me;
        if let Err((level, why)) = &answer
            && (!is_me || runs_here)
        {
            found.add(*level, place(config, member), why.clone());
        }
        if let Ok(report) = &answer
            && !is_me
        {
            agrees(config, member, report, database, found);
        }
        reports.push(answer.map_err(|(_, why)| why));
    }
    let Some(first) = reports.iter().flatten().next() else {
        return;
    };
    let cluster = merge(&Answers {
        first,
        each: &reports,
    });
    for (member, row) in config.core.ids().zip(&cluster.members) {
        if !row.reachable {
            continue;
        }
        let says = format!("{} {}", row.role, row.database);
        match &row.fault {
            None => found.ok(place(config, member), says.trim()),
            Some(fault) => found.warn(place(config, member), format!("{}: {fault}", says.trim())),
        }
    }
    let place = format!("cluster {}", cluster.cluster);
    match cluster.failover_possible {
        true => found.ok(place, cluster.summary),
        false => found.warn(place, cluster.summary),
    }
}

async fn ask(address: SocketAddr, hello: Option<&Hello>) -> Result<Report, (Level, String)> {
    let silent = || {
        let why = format!(
            "no answer within {} s: is the host up, the address right, and does a firewall let it through?",
            PATIENCE.as_secs()
        );
        (Level::Warning, why)
    };
    let mut stream = match timeout(PATIENCE, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(e)) if e.kind() == ErrorKind::ConnectionRefused => {
            let why = "no daemon runs there (yet); a first start waits for all members";
            return Err((Level::Warning, why.to_owned()));
        }
        Ok(Err(e)) => {
            let why = format!(
                "it cannot be reached: {e}; is the address right, and does a firewall let it through?"
            );
            return Err((Level::Warning, why));
        }
        Err(_) => return Err(silent()),
    };
    if let Some(hello) = hello {
        match timeout(PATIENCE, handshake::try_out(&mut stream, hello)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err((Level::Error, error.to_string())),
            Err(_) => return Err(silent()),
        }
    }
    client::report(&address.to_string(), PATIENCE)
        .await
        .map_err(|e| (Level::Warning, e.brief()))
}

/// What the handshake does not compare.
fn agrees(
    config: &Configuration,
    member: MemberId,
    report: &Report,
    database: Database,
    found: &mut Findings,
) {
    let here = place(config, member);
    for (entry, ours) in report.members.iter().zip(&config.addresses) {
        if entry.address != *ours {
            found.error(
                &here,
                format!(
                    "it knows {} at {}, this configuration at {ours}: primary, secondary and monitor have to be the same on all hosts",
                    entry.name, entry.address
                ),
            );
        }
    }
    if report.version != env!("CARGO_PKG_VERSION") {
        found.warn(
            &here,
            format!(
                "it runs yoke {}, here is {}: run the same on all hosts",
                report.version,
                env!("CARGO_PKG_VERSION")
            ),
        );
    }
    if let (Some(record), Some(own)) = (&report.view.record, database.system_id)
        && record.system_id != own
        && !database.never_used
    {
        found.error(
            &here,
            format!(
                "the cluster's database has the system identifier {}, data_dir holds another ({own}), which is not empty and is never touched: move it away if it is not needed",
                record.system_id
            ),
        );
    }
}

fn place(config: &Configuration, member: MemberId) -> String {
    format!("{} at {}", config.core.name(member), config.address(member))
}
