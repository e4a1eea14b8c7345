//! The configuration file: read whole, checked whole, and every mistake named with its line and what to do.

mod hooks;
pub mod ini;
pub mod keys;
mod read;
mod single;
mod values;

use crate::hooks::Vip;
use crate::peer::Hello;
use crate::postgres::Context;
use ini::{Entry, Section};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use tracing::level_filters::LevelFilter;
use values::Address;
use yoke_core::config::ConfigError as CoreError;
use yoke_core::config::LEAST_TIMEOUT;
use yoke_core::member::{Member, MemberId, MemberKind};
use yoke_core::{Config, Duration};

/// The port of a daemon where none is given.
pub const DEFAULT_PORT: u16 = 4400;

/// What one daemon is told by its file.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// What node, steward and guard need to know.
    pub core: Config,
    /// Every member's address, in the members' order.
    pub addresses: Vec<SocketAddr>,
    /// PostgreSQL's data directory; none on a witness.
    pub data_dir: Option<PathBuf>,
    /// Where the daemon keeps its own files.
    pub status_dir: PathBuf,
    /// PostgreSQL's port.
    pub pg_port: u16,
    /// Where PostgreSQL's programs are, if it is said.
    pub pg_bin: Option<PathBuf>,
    /// Whom PostgreSQL runs as when the daemon is root, if it is said.
    pub pg_user: Option<String>,
    /// What is logged.
    pub log_level: LevelFilter,
    /// Where it was read.
    pub file: PathBuf,
    /// The lines of [config]'s keys.
    lines: BTreeMap<String, usize>,
    /// The address that follows the primary.
    pub vip: Option<Vip>,
    /// What is told of each change of role.
    pub role_command: Option<String>,
    /// What copies this primary to a standby, before pg_basebackup is tried.
    pub sync_command: Option<String>,
    /// What may be meant otherwise: one sentence each, for the log.
    pub warnings: Vec<String>,
}

/// What is wrong with a configuration, and where: `FILE:LINE: WHAT`.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{}{}: {what}", .file.display(), .line.map(|l| format!(":{l}")).unwrap_or_default())]
pub struct ConfigError {
    /// Which file.
    pub file: PathBuf,
    /// Counted from 1; none where something is missing.
    pub line: Option<usize>,
    /// What was found, what was expected, what to do.
    pub what: String,
}

/// A mistake before the file's name is put to it.
#[derive(Debug)]
struct Wrong {
    line: Option<usize>,
    what: String,
}

impl Wrong {
    fn in_file(self, file: &Path) -> ConfigError {
        ConfigError {
            file: file.to_owned(),
            line: self.line,
            what: self.what,
        }
    }
}

/// A member's name, if it has one of its own, and address, as a configuration has them.
///
/// # Errors
/// What is wrong, as a half sentence.
pub fn address(text: &str) -> Result<(Option<String>, SocketAddr), String> {
    values::address(text).map(|address| (address.name, address.socket))
}

impl Configuration {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        match read::text(path) {
            Ok(text) => Self::parse_as(path, &text),
            Err(wrong) => Err(wrong.in_file(path)),
        }
    }

    /// Checks a file's bytes.
    ///
    /// # Errors
    /// The first thing that is wrong with them.
    pub fn parse_bytes(path: &Path, bytes: &[u8]) -> Result<Self, ConfigError> {
        match read::of(bytes) {
            Ok(text) => Self::parse_as(path, &text),
            Err(wrong) => Err(wrong.in_file(path)),
        }
    }

    /// Checks a file's text.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse_as(path: &Path, text: &str) -> Result<Self, ConfigError> {
        match Self::parse(text) {
            Ok(config) => Ok(Configuration {
                file: path.to_owned(),
                ..config
            }),
            Err(wrong) => Err(wrong.in_file(path)),
        }
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        let mut sections = ini::parse(text).map_err(|e| at(e.line, e.what))?;
        single::unquote(&mut sections)?;
        check_keys(&sections)?;
        let Some(config) = sections.iter().find(|s| s.name == "config") else {
            return Err(missing(
                "the section [config] is missing: all of a host's settings stand in it",
            ));
        };
        build(config, &sections)
    }

    /// Where a key of [config] stands, as `FILE:LINE`; `FILE (KEY)` where it is not given.
    pub fn place(&self, key: &str) -> String {
        let file = self.file.display();
        match self.lines.get(key) {
            Some(line) => format!("{file}:{line}"),
            None => format!("{file} ({key})"),
        }
    }

    /// How this member introduces itself to another.
    pub fn hello(&self, to: MemberId) -> Hello {
        Hello {
            cluster: self.core.cluster.clone(),
            members: self.core.members.to_vec(),
            from: self.core.me,
            to,
            postgres_port: if self.holds_data() { self.pg_port } else { 0 },
        }
    }

    /// Whether this host holds data.
    pub fn holds_data(&self) -> bool {
        self.core.is_data(self.core.me)
    }

    /// What PostgreSQL's side needs to know; none on a witness.
    pub fn context(&self) -> Option<Context> {
        Some(Context {
            cluster: self.core.cluster.clone(),
            members: self.core.members.to_vec(),
            me: self.core.me,
            configured_primary: self.core.configured_primary,
            data_dir: self.data_dir.clone()?,
            status_dir: self.status_dir.clone(),
            pg_port: self.pg_port,
            advertise_ip: self.address(self.core.me).ip(),
            pg_user: self.pg_user.clone(),
            pg_bin: self.pg_bin.clone(),
            member_ips: self.addresses.iter().map(SocketAddr::ip).collect(),
            decision_timeout: self.core.decision_timeout,
            sync_timeout: self.core.sync_timeout,
            health_timeout: self.core.health_timeout,
            vip: self.vip.clone(),
            daemons: self.addresses.clone(),
        })
    }

    /// The member's address.
    pub fn address(&self, member: MemberId) -> SocketAddr {
        self.addresses[usize::from(member.0)]
    }
}

/// Refuses what is not known.
fn check_keys(sections: &[Section]) -> Result<(), Wrong> {
    for section in sections {
        if !keys::KEYS.iter().any(|k| k.section == section.name) {
            return Err(at(
                section.line,
                format!(
                    "unknown section [{}]: {}",
                    section.name,
                    keys::section_meant(&section.name)
                ),
            ));
        }
        for entry in &section.entries {
            if keys::find(&section.name, &entry.key).is_none() {
                return Err(at(
                    entry.line,
                    format!(
                        "unknown key `{}` in [{}]: {}",
                        entry.key,
                        section.name,
                        keys::meant(&section.name, &entry.key)
                    ),
                ));
            }
        }
    }
    Ok(())
}

fn build(section: &Section, sections: &[Section]) -> Result<Configuration, Wrong> {
    let (entry, me) = role(section)?;
    let (members, addresses) = members(section)?;
    check_own_address(section, entry, addresses[usize::from(me.0)])?;
    check_network(section, &addresses)?;
    let core = Config {
        cluster: name(section, "cluster", "yoke")?,
        members: members.into(),
        me,
        configured_primary: MemberId(0),
        decision_timeout: duration(
            section,
            "decision_timeout",
            Duration::secs(5),
            Duration::secs(1),
        )?,
        sync_timeout: duration(section, "sync_timeout", Duration::secs(2), LEAST_TIMEOUT)?,
        health_timeout: duration(section, "health_timeout", Duration::secs(3), LEAST_TIMEOUT)?,
        #[cfg(feature = "mutants")]
        mutant: None,
    };
    core.validate().map_err(|e| missing(core_error(e)))?;

    let status_dir = path(section, "status_dir")?;
    let data_dir = match core.is_data(me) {
        true => Some(path(section, "data_dir")?),
        false => None,
    };
    if let Some(data_dir) = &data_dir
        && status_dir.starts_with(data_dir)
    {
        return Err(wrong_value(
            section,
            "status_dir",
            "is data_dir or lies in it, whose contents are replaced when a standby is made anew: put it beside",
        ));
    }
    let pg_port = optional(section, "pg_port", 5432, values::port)?;
    let postgres = SocketAddr::new(addresses[usize::from(me.0)].ip(), pg_port);
    if data_dir.is_some() && addresses.contains(&postgres) {
        return Err(wrong_value(
            section,
            "pg_port",
            &format!(
                "is {pg_port}, but {postgres} is a daemon's address: PostgreSQL needs a port of its own"
            ),
        ));
    }
    let mut warnings = Vec::new();
    let mut ips: Vec<IpAddr> = core
        .ids()
        .filter(|m| core.is_data(*m))
        .map(|m| addresses[usize::from(m.0)].ip())
        .collect();
    ips.insert(0, addresses[usize::from(me.0)].ip());
    let sync_command = hooks::sync_command(section, data_dir.as_deref(), &ips, &mut warnings)?;
    Ok(Configuration {
        vip: hooks::vip(sections, &mut warnings)?,
        role_command: hooks::role_command(sections)?,
        sync_command,
        core,
        addresses,
        data_dir,
        status_dir,
        pg_port,
        pg_bin: match get(section, "pg_bin") {
            Some(_) => Some(path(section, "pg_bin")?),
            None => None,
        },
        pg_user: get(section, "pg_user").map(|e| e.value.clone()),
        file: PathBuf::new(),
        lines: section
            .entries
            .iter()
            .map(|e| (e.key.clone(), e.line))
            .collect(),
        log_level: optional(section, "log_level", LevelFilter::INFO, values::level)?,
        warnings,
    })
}

/// Which member this host is: members stand in the order primary, secondary, monitor.
fn role(section: &Section) -> Result<(&Entry, MemberId), Wrong> {
    let entry = required(section, "role")?;
    let place = ["primary", "secondary", "monitor"]
        .into_iter()
        .position(|role| role == entry.value);
    match place {
        Some(place) => Ok((entry, MemberId(place as u8))),
        None => Err(at(
            entry.line,
            format!(
                "role is `{}`: expected primary, secondary or monitor",
                entry.value
            ),
        )),
    }
}

fn members(section: &Section) -> Result<(Vec<Member>, Vec<SocketAddr>), Wrong> {
    let wanted = [
        ("primary", "data1", MemberKind::Data),
        ("secondary", "data2", MemberKind::Data),
        ("monitor", "monitor", MemberKind::Witness),
    ];
    let mut members: Vec<Member> = Vec::new();
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for (key, default_name, kind) in wanted {
        let entry = required(section, key)?;
        let Address { name, socket } = values::address(&entry.value).map_err(|e| bad(entry, e))?;
        let name = name.unwrap_or_else(|| default_name.to_owned());
        if members.iter().any(|m| m.name == name) {
            return Err(at(
                entry.line,
                format!("{key} has the name `{name}`, which another member has: give each its own"),
            ));
        }
        if addresses.contains(&socket) {
            return Err(at(
                entry.line,
                format!(
                    "{key} has the address {socket}, which another member has: give each its own"
                ),
            ));
        }
        members.push(Member { name, kind });
        addresses.push(socket);
    }
    Ok((members, addresses))
}

/// The role says which address is this host's; `advertise_ip` and `advertise_port` have to agree.
fn check_own_address(section: &Section, role: &Entry, own: SocketAddr) -> Result<(), Wrong> {
    let entry = required(section, "advertise_ip")?;
    let ip: IpAddr = values::ip(&entry.value).map_err(|e| bad(entry, e))?;
    let port = optional(section, "advertise_port", DEFAULT_PORT, values::port)?;
    let advertised = SocketAddr::new(ip, port);
    if advertised != own {
        let key = &role.value;
        return Err(at(
            role.line,
            format!(
                "role is {key}, and {key} has the address {own}, but advertise_ip and advertise_port say {advertised}: \
                 correct the role or the address, whichever is not this host's"
            ),
        ));
    }
    Ok(())
}

/// Unencrypted connections leave the host only when somebody has said that they may.
fn check_network(section: &Section, addresses: &[SocketAddr]) -> Result<(), Wrong> {
    let allowed = optional(section, "allow_plain", false, values::yes_or_no)?;
    let far = addresses.iter().find(|a| !a.ip().is_loopback());
    match far {
        Some(far) if !allowed => Err(missing(format!(
            "members are on other hosts ({far}), and connections between hosts are not encrypted: \
             if the network is private by other means, write `allow_plain = yes` into [config]"
        ))),
        _ => Ok(()),
    }
}

fn core_error(error: CoreError) -> String {
    match error {
        CoreError::MemberCount(n) => format!("{n} members: a cluster has 3 to 7"),
        CoreError::NoData => "no member holds data".to_owned(),
        CoreError::NotAMember => "the primary is no member that holds data".to_owned(),
        CoreError::DecisionTimeout(d) => format!("decision_timeout is {d}: expected at least 1 s"),
    }
}

fn get<'a>(section: &'a Section, key: &str) -> Option<&'a Entry> {
    section
        .entries
        .iter()
        .find(|e| e.key == key && !e.value.is_empty())
}

fn required<'a>(section: &'a Section, key: &str) -> Result<&'a Entry, Wrong> {
    if let Some(entry) = get(section, key) {
        return Ok(entry);
    }
    let help = keys::find("config", key).map_or("", |k| k.help);
    match section.entries.iter().find(|e| e.key == key) {
        Some(empty) => Err(at(empty.line, format!("`{key}` has no value: {help}"))),
        None => Err(missing(format!("`{key}` is missing in [config]: {help}"))),
    }
}

/// The key's value, or the default where it is not given.
fn optional<T>(
    section: &Section,
    key: &str,
    default: T,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<T, Wrong> {
    match get(section, key) {
        Some(entry) => read(&entry.value).map_err(|e| bad(entry, e)),
        None => Ok(default),
    }
}

fn duration(
    section: &Section,
    key: &str,
    default: Duration,
    least: Duration,
) -> Result<Duration, Wrong> {
    let most = Duration::secs(600);
    optional(section, key, default, |value| {
        match values::duration(value)? {
            d if d < least => Err(format!("expected at least {least}")),
            d if d > most => Err(format!("expected at most {most}")),
            d => Ok(d),
        }
    })
}

fn path(section: &Section, key: &str) -> Result<PathBuf, Wrong> {
    let entry = required(section, key)?;
    let path = PathBuf::from(&entry.value);
    match path.is_absolute() {
        true => Ok(path),
        false => Err(bad(entry, "expected a whole path, from / on".to_owned())),
    }
}

fn name(section: &Section, key: &str, default: &str) -> Result<String, Wrong> {
    optional(section, key, default.to_owned(), |value| {
        values::name(value).map(str::to_owned)
    })
}

fn at(line: usize, what: impl Into<String>) -> Wrong {
    Wrong {
        line: Some(line),
        what: what.into(),
    }
}

fn missing(what: impl Into<String>) -> Wrong {
    Wrong {
        line: None,
        what: what.into(),
    }
}

fn bad(entry: &Entry, expected: String) -> Wrong {
    at(
        entry.line,
        format!("{} is `{}`: {expected}", entry.key, entry.value),
    )
}

fn wrong_value(section: &Section, key: &str, what: &str) -> Wrong {
    let line = get(section, key).map(|e| e.line);
    Wrong {
        line,
        what: format!("{key} {what}"),
    }
}

#[cfg(test)]
mod tests;
