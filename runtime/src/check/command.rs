//! `yoke check CONFIG`: everything that a start would judge, and the other members asked. Starts and changes nothing.

use super::{Finding, Findings, Level, database, host, members};
use crate::config::Configuration;
use crate::postgres::data_lock;
use crate::state_file::{Found, StatusDir};
use serde::Serialize;
use std::fmt::Write;
use std::net::TcpListener;
use std::path::Path;

/// What `--json` prints.
#[derive(Serialize)]
struct Printed<'a> {
    errors: usize,
    warnings: usize,
    findings: &'a [Finding],
}

/// Looks at everything.
pub fn look(path: &Path) -> Findings {
    let mut found = Findings::default();
    let config = match Configuration::load(path) {
        Ok(config) => config,
        Err(error) => {
            let line = error.line.map(|l| format!(":{l}")).unwrap_or_default();
            found.error(format!("{}{line}", path.display()), error.what);
            return found;
        }
    };
    let me = config.core.me;
    found.ok(
        path.display(),
        format!(
            "{} ({}) of the cluster {} at {}",
            config.core.name(me),
            crate::show::kind(config.core.members[usize::from(me.0)].kind),
            config.core.cluster,
            config.address(me)
        ),
    );
    for warning in &config.warnings {
        found.warn(path.display(), warning);
    }
    host::judge(&config, &mut found);
    let runs_here = state(&config, &mut found);
    address(&config, runs_here, &mut found);
    if let Some(context) = config.context()
        && !runs_here
        && let Err(why) = data_lock::is_free(&context.real_data_dir())
    {
        found.error(config.place("data_dir"), why);
    }
    let database = database::judge(&config, &mut found);
    match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime.block_on(members::judge(&config, runs_here, database, &mut found)),
        Err(e) => found.error("the other members", format!("they cannot be asked: {e}")),
    }
    found
}

/// The state and its lock. Answers whether a daemon runs with this status directory.
fn state(config: &Configuration, found: &mut Findings) -> bool {
    let names: Vec<String> = config.core.members.iter().map(|m| m.name.clone()).collect();
    let place = format!("{} (status_dir)", config.status_dir.display());
    match StatusDir::look(&config.status_dir, &names) {
        Ok(Found::State(state)) if !state.lost => found.ok(
            &place,
            format!("holds this member's state, of term {}", state.term),
        ),
        Ok(Found::Nothing) => found.ok(&place, "holds no state: a first start"),
        Ok(Found::Torn(what)) => found.warn(
            &place,
            format!("the state is torn ({what}): a start sets it aside, and asks the other members what they know"),
        ),
        Ok(Found::State(_) | Found::WasTorn) => found.warn(
            &place,
            "the state is lost: a start asks the other members what they know",
        ),
        Err(error) => found.error(&place, error.to_string()),
    }
    match StatusDir::is_locked(&config.status_dir) {
        Ok(runs) => {
            if runs {
                found.ok(place, "a daemon runs with it");
            }
            runs
        }
        Err(error) => {
            found.error(place, error.to_string());
            false
        }
    }
}

fn address(config: &Configuration, runs_here: bool, found: &mut Findings) {
    let address = config.address(config.core.me);
    let place = config.place("advertise_port");
    match TcpListener::bind(address) {
        Ok(_) => found.ok(place, format!("{address} is free for the daemon")),
        Err(e) if e.kind() == std::io::ErrorKind::AddrInUse && runs_here => {
            found.ok(place, format!("{address} is held by the daemon"));
        }
        Err(e) => found.error(place, host::cannot_listen(address, &e)),
    }
}

/// One line a finding, and what it comes to.
pub fn text(found: &Findings) -> String {
    let mut out = String::new();
    for finding in found.all() {
        let level = match finding.level {
            Level::Ok => "ok",
            Level::Warning => "warning",
            Level::Error => "error",
        };
        // Writing to a string does not fail.
        let _ = writeln!(out, "{level:<8} {finding}");
    }
    let counted = |level, word: &str| match found.of(level).count() {
        1 => format!("1 {word}"),
        n => format!("{n} {word}s"),
    };
    let _ = writeln!(
        out,
        "{}, {}: {}",
        counted(Level::Error, "error"),
        counted(Level::Warning, "warning"),
        match found.of(Level::Error).count() {
            0 => "a daemon can run with this configuration",
            _ => "correct the errors first",
        }
    );
    out
}

/// The same for programs.
///
/// # Errors
/// It does not become JSON.
pub fn json(found: &Findings) -> serde_json::Result<String> {
    let printed = Printed {
        errors: found.of(Level::Error).count(),
        warnings: found.of(Level::Warning).count(),
        findings: found.all(),
    };
    Ok(serde_json::to_string_pretty(&printed)? + "\n")
}
