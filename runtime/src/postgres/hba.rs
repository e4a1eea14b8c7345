//! Our access rules (the doors) and user map.
//!
//! Members are let in for replication, and for the reading of a rewind, by their address alone, as our own replication
//! role: whoever can send packets under a member's address can stream. A key of the cluster will replace that.

use crate::postgres::conf::Conf;
use crate::postgres::names::{DATABASES, REPLICATION_ROLE, ROLE};
use crate::postgres::roles::roles_seen;
use crate::postgres::user::PgUser;
use crate::postgres::{Context, Said, files};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;
use yoke_core::postgres::Doors;
use yoke_core::step::Settings;

/// The map of the operating system's users to our roles.
const MAP: &str = "yoke";

/// Tells which settings the rules belong to.
pub(crate) fn first_line(settings: &Settings) -> String {
    format!("# yoke generation {}", settings.generation)
}

/// The access rules.
///
/// # Errors
/// The user's rules are wanted and cannot be read.
pub(crate) fn text(
    context: &Context,
    user: &PgUser,
    conf: &Conf,
    data: &Path,
    settings: &Settings,
    major: Option<u32>,
) -> Said<String> {
    let mut out = first_line(settings);
    out.push_str(
        "\n# Written by yoke; it will be overwritten. Your own rules belong into the pg_hba.conf of the data directory.\n",
    );
    let mut rule = |line: String| {
        out.push_str(&line);
        out.push('\n');
    };
    rule(format!("local all {ROLE} peer map={MAP}"));
    if !roles_seen(data) {
        // Until our role exists, its maker: the superuser that initdb named after the user that ran it.
        rule(format!("local all {} peer map={MAP}", name(&user.name)));
    }
    let addresses: BTreeSet<IpAddr> = context
        .member_ips
        .iter()
        .chain([&context.advertise_ip])
        .copied()
        .collect();
    for ip in addresses {
        let bits = if ip.is_ipv4() { 32 } else { 128 };
        rule(format!(
            "host replication,{} {REPLICATION_ROLE} {ip}/{bits} trust",
            DATABASES.join(",")
        ));
    }
    // No rule of the user's lets anybody else in under our names.
    rule(format!(
        "local all,replication {ROLE},{REPLICATION_ROLE} reject"
    ));
    rule(format!(
        "host all,replication {ROLE},{REPLICATION_ROLE} all reject"
    ));
    if settings.doors != Doors::Open {
        rule("local all,replication all reject".to_owned());
        rule("host all,replication all all reject".to_owned());
        return Ok(out);
    }
    let file = conf.file("hba_file", data, "pg_hba.conf");
    if major.is_some_and(|major| major >= 16) && file.is_file() {
        // Keeps what the file names relative to itself.
        rule(format!("include {}", name(&file.to_string_lossy())));
        return Ok(out);
    }
    match user.looking(|| files::read_optional(&file))? {
        Some(rules) => out.push_str(&rules),
        // Without data there are no rules yet: the start writes them again.
        None if !data.join("PG_VERSION").exists() => {}
        None => {
            return Err(format!(
                "there are no access rules at {}: put your pg_hba.conf there",
                file.display()
            ));
        }
    }
    Ok(out)
}

/// The user map: root and PostgreSQL's own user may be our role, and the first superuser.
///
/// # Errors
/// The user's own map cannot be read.
pub(crate) fn ident_text(
    context: &Context,
    user: &PgUser,
    conf: &Conf,
    data: &Path,
) -> Said<String> {
    let mut out = format!(
        "# Written by yoke for {}; it will be overwritten.\n",
        context.my_name()
    );
    let superuser = name(&user.name);
    for system in ["root", &superuser] {
        out.push_str(&format!(
            "{MAP} {system} {ROLE}\n{MAP} {system} {superuser}\n"
        ));
    }
    let file = conf.file("ident_file", data, "pg_ident.conf");
    let map = user.looking(|| files::read_optional(&file))?;
    out.push_str(&map.unwrap_or_default());
    Ok(out)
}

/// A name as these files want it.
fn name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
