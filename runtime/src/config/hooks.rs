//! The operator's own commands: `[vip]`, `[role_change]` and `sync_command`.

use super::ini::{Entry, Section};
use super::{Wrong, at, bad, get, values};
use crate::copying::template;
use crate::hooks::{Vip, quotes};
use std::net::IpAddr;
use std::path::Path;

/// Section `[vip]`; none: no address is to follow the primary. Adds to the warnings.
pub(super) fn vip(sections: &[Section], warnings: &mut Vec<String>) -> Result<Option<Vip>, Wrong> {
    let Some(section) = sections.iter().find(|s| s.name == "vip") else {
        return Ok(None);
    };
    let ip = get(section, "ip");
    let add = command(section, "add_command")?;
    let remove = command(section, "remove_command")?;
    let (ip, add) = match (ip, add) {
        (None, None) if remove.is_none() => return Ok(None),
        (Some(ip), Some(add)) => (ip, add),
        (_, None) => {
            // Checked above: one of the two is there.
            let (line, found) = match (remove, ip) {
                (Some(e), _) | (None, Some(e)) => (e.line, e.key.as_str()),
                (None, None) => (section.line, "nothing"),
            };
            return Err(at(
                line,
                format!(
                    "[vip] has `{found}`, but no add_command that puts the address on the primary's host: name one, or take the section out"
                ),
            ));
        }
        (None, Some(add)) => {
            return Err(at(
                add.line,
                "[vip] has commands but no `ip`: it is the address that is appended to them",
            ));
        }
    };
    if remove.is_none() {
        warnings.push(format!(
            "line {}: [vip] has no remove_command: nothing takes the address off a former primary's host, unless adding it elsewhere does",
            section.line
        ));
    }
    Ok(Some(Vip {
        ip: address(&ip.value).map_err(|e| bad(ip, e))?,
        add_command: add.value.clone(),
        remove_command: remove.map(|e| e.value.clone()),
    }))
}

/// The role command.
pub(super) fn role_command(sections: &[Section]) -> Result<Option<String>, Wrong> {
    let Some(section) = sections.iter().find(|s| s.name == "role_change") else {
        return Ok(None);
    };
    Ok(command(section, "command")?.map(|e| e.value.clone()))
}

/// `sync_command`. `ips`: this host's own address first. Adds to the warnings.
pub(super) fn sync_command(
    section: &Section,
    data_dir: Option<&Path>,
    ips: &[IpAddr],
    warnings: &mut Vec<String>,
) -> Result<Option<String>, Wrong> {
    let Some(entry) = command(section, "sync_command")? else {
        return Ok(None);
    };
    template::check(&entry.value).map_err(|e| bad(entry, e))?;
    // A monitor has nothing to copy.
    if let Some(data_dir) = data_dir {
        template::plain_path(data_dir).map_err(|e| {
            at(
                entry.line,
                format!("sync_command cannot be used: data_dir {e}"),
            )
        })?;
        let elsewhere = ips.iter().find(|ip| **ip != ips[0]);
        if let (Some(ip), false) = (elsewhere, template::names_the_host(&entry.value)) {
            warnings.push(format!(
                "line {}: sync_command copies to this very host, for it does not name {{{{slave_ip}}}}; for {ip} pg_basebackup is used instead. Like this it reaches it: rsync -a --delete {{{{local_dir}}}} {{{{slave_ip}}}}:{{{{slave_dir}}}}",
                entry.line
            ));
        }
    }
    Ok(Some(entry.value.clone()))
}

/// A line for the shell.
fn command<'a>(section: &'a Section, key: &str) -> Result<Option<&'a Entry>, Wrong> {
    let Some(entry) = get(section, key) else {
        return Ok(None);
    };
    match quotes::complaint(&entry.value) {
        None => Ok(Some(entry)),
        Some(complaint) => Err(bad(entry, complaint)),
    }
}

/// An address, with its prefix length or without, in the original's quotes or none: it is passed on as it stands.
fn address(value: &str) -> Result<String, String> {
    let within = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
    let bare = within('"').or_else(|| within('\'')).unwrap_or(value).trim();
    let (ip, length) = match bare.split_once('/') {
        Some((ip, length)) => (ip, Some(length)),
        None => (bare, None),
    };
    let Ok(ip) = ip.parse::<IpAddr>() else {
        return Err(format!(
            "`{bare}` is no IP address: expected one like 10.0.0.9, or 10.0.0.9/24 if the commands take that"
        ));
    };
    values::ip(&ip.to_string())?;
    let most = if ip.is_ipv4() { 32 } else { 128 };
    match length.map(str::parse::<u8>) {
        None => Ok(bare.to_owned()),
        Some(Ok(bits)) if bits <= most => Ok(bare.to_owned()),
        Some(_) => Err(format!("expected at most /{most} after the address")),
    }
}
