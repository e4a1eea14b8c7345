//! Our `postgresql.conf` in the status directory: takes in the user's, and then ours. The user's files are never written.
//!
//! What was written is told in a comment of the same file, so that a crash cannot part the two.

use crate::postgres::conf::{self, Conf, quote};
use crate::postgres::find::Binaries;
use crate::postgres::user::PgUser;
use crate::postgres::user_files::{self, Kept, Moment, UserFiles};
use crate::postgres::{Context, Said, Upstream, files, hba, names, refusals};
use serde::{Deserialize, Serialize};
use std::path::Path;
use yoke_core::postgres::Doors;
use yoke_core::step::Settings;

/// A primary keeps at least this much WAL for a copy that has no slot yet: one that is being cloned, or of before a failover.
const WAL_KEPT: (&str, u64) = ("1GB", 1 << 30);

/// A slot keeps at most this much for a copy that is away: a standby that never comes back must not fill the disk.
const SLOTS_KEEP: &str = "4GB";

const HEAD: &str = "# yoke: ";

/// Goes before the copy that stands in for the user's file, and after it.
const COPY: &str = "# The last settings of yours that PostgreSQL accepted.";
const OURS: &str = "# End of the copy.";

/// What our files say.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Written {
    /// As ordered.
    pub settings: Settings,
    /// Where the member that is followed listens.
    pub upstream: Option<Upstream>,
}

/// Writes our configuration, access rules and user map for the next start or reload, over the user's; durable. Says what
/// the user's settings are that it goes by.
///
/// # Errors
/// The address of the member to follow is not known, PostgreSQL accepts no settings, or which file could not be read or
/// written.
pub fn write(context: &Context, user: &PgUser, written: &Written, moment: Moment) -> Said<Conf> {
    let settings = &written.settings;
    if let (Some(member), None) = (settings.follow, &written.upstream) {
        return Err(format!(
            "the address of {}'s database is not known yet: it is learned once that member is connected",
            context.name(member)
        ));
    }
    let data = context.real_data_dir();
    conf::clean_auto_conf(&data, user)?;
    let binaries = Binaries::of_data(context, &data).ok();
    let major = binaries.as_ref().map(|b| b.major);
    let mut kept = Kept::read(context)?;
    let before = kept.clone();
    let now = conf::flat(&data);
    let accepted = kept.conf.settings(&now, |flat| {
        let conf = Conf::of(flat, &data)?;
        refusals::refuse(&conf)?;
        // Without data there is nothing to ask yet: the start writes them again.
        let Some(binaries) = &binaries else {
            return Ok(());
        };
        let candidate = text(context, &conf, &data, written, None, major)?;
        user_files::try_out(context, user, binaries, &data, &candidate, &conf)
    });
    let choose = || -> Said<(Option<String>, Conf, String, Option<String>)> {
        let accepted = accepted?;
        let flat = accepted
            .as_ref()
            .map_or(now, |accepted| Ok(accepted.clone()))?;
        let conf = Conf::of(&flat, &data)?;
        let users = UserFiles::read(user, &data, &conf);
        let map = kept.map.rules(&users.map, moment)?;
        let rules = match settings.doors == Doors::Open && binaries.is_some() {
            true => Some(kept.rules.rules(&users.rules, moment)?),
            false => None,
        };
        Ok((accepted, conf, map, rules))
    };
    let chosen = choose();
    // Told even where nothing can be written: it says why.
    if kept != before {
        kept.write(context, user)?;
    }
    let (accepted, conf, map, rules) = chosen?;
    // The main file last: it is what `read` goes by, and it names the generation that the access rules have to carry.
    let replace = |path: &Path, text: String| files::replace(path, text.as_bytes(), user);
    replace(&context.ident_file(), hba::ident_text(context, user, &map))?;
    replace(
        &context.hba_file(),
        hba::text(context, user, &data, settings, rules.as_deref()),
    )?;
    replace(
        &context.conf_file(),
        text(context, &conf, &data, written, accepted.as_deref(), major)?,
    )?;
    Ok(conf)
}

/// What was written last; none: nothing yet, or a crash came between our files, so that nobody can tell.
///
/// # Errors
/// A file cannot be read.
pub fn read(context: &Context) -> Said<Option<Written>> {
    let Some(text) = files::read_optional(&context.conf_file())? else {
        return Ok(None);
    };
    let written: Option<Written> = text
        .lines()
        .find_map(|line| line.strip_prefix(HEAD))
        .and_then(|json| serde_json::from_str(json).ok());
    let rules = files::read_optional(&context.hba_file())?.unwrap_or_default();
    Ok(written.filter(|w| rules.lines().next() == Some(&hba::first_line(&w.settings))))
}

/// Whether our file goes by the copy, and not by the user's own file.
pub(crate) fn goes_by_copy(context: &Context) -> Said<bool> {
    let text = files::read_optional(&context.conf_file())?.unwrap_or_default();
    Ok(text.lines().any(|line| line == COPY))
}

fn text(
    context: &Context,
    conf: &Conf,
    data: &Path,
    written: &Written,
    accepted: Option<&str>,
    major: Option<u32>,
) -> Said<String> {
    let settings = &written.settings;
    let json = serde_json::to_string(written)
        .map_err(|e| format!("cannot put the settings into words: {e}"))?;
    let mut out = format!(
        "# Written by yoke; it will be overwritten. Your own settings belong into the file that is included here.\n{HEAD}{json}\n"
    );
    match (accepted, conf::user_file(data)) {
        (Some(copy), _) => out.push_str(&format!("{COPY}\n{copy}{OURS}\n")),
        (None, Some(file)) => {
            out.push_str(&format!("include = {}\n", quote(&file.to_string_lossy())));
        }
        (None, None) => {}
    }
    let mut line = |name: &str, value: &str| {
        out.push_str(&format!("{name} = {}\n", quote(value)));
    };
    line("yoke.generation", &settings.generation.to_string());
    line(
        "synchronous_standby_names",
        &names::gate_value(context, settings.gate.as_deref()),
    );
    line("primary_conninfo", &conninfo(context, written));
    line("primary_slot_name", &slot(context, written));
    line("recovery_target_timeline", "latest");
    if major.is_some_and(|major| major < 16) {
        // Nobody but Yoke promotes.
        line("promote_trigger_file", "");
    }
    let kept = conf
        .get("wal_keep_size")
        .and_then(|v| conf::bytes(v, 1 << 20));
    if kept.is_none_or(|kept| kept < WAL_KEPT.1) {
        line("wal_keep_size", WAL_KEPT.0);
    }
    let bound = conf.get("max_slot_wal_keep_size");
    if bound.is_none_or(|bound| bound.starts_with('-')) {
        line("max_slot_wal_keep_size", SLOTS_KEEP);
    }
    Ok(out)
}

/// `primary_slot_name`: the copy's own name, which so stands for one connection (R7).
fn slot(context: &Context, written: &Written) -> String {
    let settings = &written.settings;
    match (&written.upstream, settings.follow, settings.copy) {
        (Some(_), Some(_), Some(copy)) => names::of_copy(context, copy),
        _ => String::new(),
    }
}

/// `primary_conninfo`: empty follows nobody.
pub fn conninfo(context: &Context, written: &Written) -> String {
    let Some(upstream) = &written.upstream else {
        return String::new();
    };
    if written.settings.follow.is_none() {
        return String::new();
    }
    let name = match written.settings.copy {
        Some(copy) => names::of_copy(context, copy),
        // No copy's name: it streams, but counts for nothing.
        None => names::of_clone(context),
    };
    connection_string(context, upstream, &name)
}

/// How to connect to another member's database for replication.
pub fn connection_string(context: &Context, upstream: &Upstream, name: &str) -> String {
    let no_passfile = context.status_dir.join("no_passfile");
    let port = upstream.port.to_string();
    [
        ("host", upstream.host.as_str()),
        ("port", &port),
        ("user", names::REPLICATION_ROLE),
        ("application_name", name),
        ("connect_timeout", "3"),
        ("keepalives", "1"),
        ("keepalives_idle", "2"),
        ("keepalives_interval", "2"),
        ("keepalives_count", "3"),
        ("tcp_user_timeout", "6000"),
        // The cluster's own replication needs no password; whoever's ~/.pgpass says otherwise does not count.
        ("passfile", &no_passfile.to_string_lossy()),
    ]
    .map(|(key, value)| {
        format!(
            "{key}='{}'",
            value.replace('\\', "\\\\").replace('\'', "\\'")
        )
    })
    .join(" ")
}
