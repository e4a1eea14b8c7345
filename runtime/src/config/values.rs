//! How single values are written. Each reader answers what was expected, as a half sentence.

use super::DEFAULT_PORT;
use std::net::{IpAddr, SocketAddr};
use tracing::level_filters::LevelFilter;
use yoke_core::Duration;

/// `[NAME@]IP[:PORT]`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) name: Option<String>,
    pub(super) socket: SocketAddr,
}

pub(super) fn address(value: &str) -> Result<Address, String> {
    let (member, rest) = match value.split_once('@') {
        Some((member, rest)) => (Some(name(member.trim())?.to_owned()), rest.trim()),
        None => (None, value),
    };
    let socket = match rest.parse::<SocketAddr>() {
        Ok(socket) => socket,
        Err(_) => match rest.rsplit_once(':') {
            // `10.0.0.1:x` and `host:4400`; an IPv6 address without brackets has more colons.
            Some((host, text)) if !host.contains(':') => SocketAddr::new(ip(host)?, port(text)?),
            _ => SocketAddr::new(ip(rest)?, DEFAULT_PORT),
        },
    };
    if socket.port() == 0 {
        return port("0").map(|_| Address { name: None, socket });
    }
    Ok(Address {
        name: member,
        socket,
    })
}

pub(super) fn ip(value: &str) -> Result<IpAddr, String> {
    let bare = value
        .strip_prefix('[')
        .and_then(|v| v.strip_suffix(']'))
        .unwrap_or(value);
    match bare.parse::<IpAddr>() {
        Ok(ip) if ip.is_unspecified() => Err(format!(
            "{ip} means every address: expected the one that the others reach"
        )),
        Ok(ip) => Ok(ip),
        Err(_) => Err(format!(
            "`{value}` is no IP address, and names are not looked up (name servers fail when everything does): expected one like 10.0.0.1:4400"
        )),
    }
}

pub(super) fn port(value: &str) -> Result<u16, String> {
    match value.parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(format!(
            "`{value}` is no port: expected a number from 1 to 65535"
        )),
    }
}

/// A member's or the cluster's name: it becomes part of PostgreSQL's slot names.
pub(super) fn name(value: &str) -> Result<&str, String> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    match (1..=40).contains(&value.len()) && value.chars().all(fits) {
        true => Ok(value),
        false => Err(format!(
            "`{value}` is no name: expected 1 to 40 of a-z, 0-9 and _"
        )),
    }
}

/// `5` (seconds), `5s` or `1500ms`.
pub(super) fn duration(value: &str) -> Result<Duration, String> {
    let (number, unit) = match (value.strip_suffix("ms"), value.strip_suffix('s')) {
        (Some(number), _) => (number, 1_000),
        (None, Some(number)) => (number, 1_000_000),
        (None, None) => (value, 1_000_000),
    };
    match number.trim_end().parse::<u64>() {
        Ok(number) => Ok(Duration::micros(number.saturating_mul(unit))),
        Err(_) => Err("expected a length of time like 5, 5s or 1500ms".to_owned()),
    }
}

pub(super) fn yes_or_no(value: &str) -> Result<bool, String> {
    match value {
        "yes" | "true" | "on" => Ok(true),
        "no" | "false" | "off" => Ok(false),
        _ => Err("expected yes or no".to_owned()),
    }
}

pub(super) fn level(value: &str) -> Result<LevelFilter, String> {
    // `parse` also takes numbers and `off`; a daemon that says nothing is not wanted.
    match value.to_ascii_lowercase().as_str() {
        "error" => Ok(LevelFilter::ERROR),
        "warn" | "warning" => Ok(LevelFilter::WARN),
        "info" => Ok(LevelFilter::INFO),
        "debug" => Ok(LevelFilter::DEBUG),
        "trace" => Ok(LevelFilter::TRACE),
        _ => Err("expected error, warn, info, debug or trace".to_owned()),
    }
}
