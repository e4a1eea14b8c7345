//! Every key that a configuration file may have.

/// A known key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Key {
    /// Its section.
    pub section: &'static str,
    /// Its name.
    pub name: &'static str,
    /// What it is for, in a few words, with its default.
    pub help: &'static str,
}

const fn key(section: &'static str, name: &'static str, help: &'static str) -> Key {
    Key {
        section,
        name,
        help,
    }
}

/// All of them.
pub const KEYS: &[Key] = &[
    key(
        "config",
        "role",
        "what this host is: primary, secondary or monitor",
    ),
    key(
        "config",
        "primary",
        "address of the host that the cluster begins with: [NAME@]IP:PORT",
    ),
    key(
        "config",
        "secondary",
        "address of the other host with data: [NAME@]IP:PORT",
    ),
    key(
        "config",
        "monitor",
        "address of the host that only votes: [NAME@]IP:PORT",
    ),
    key(
        "config",
        "advertise_ip",
        "this host's own address, as the others write it",
    ),
    key("config", "advertise_port", "this daemon's port (4400)"),
    key(
        "config",
        "data_dir",
        "PostgreSQL's data directory; not on the monitor",
    ),
    key(
        "config",
        "status_dir",
        "where the daemon keeps its own files",
    ),
    key("config", "pg_port", "PostgreSQL's port (5432)"),
    key(
        "config",
        "pg_bin",
        "directory with PostgreSQL's programs (found by itself)",
    ),
    key(
        "config",
        "pg_user",
        "the account that PostgreSQL runs as, when the daemon is root (postgres)",
    ),
    key(
        "config",
        "cluster",
        "the cluster's name, equal on all hosts (yoke)",
    ),
    key(
        "config",
        "decision_timeout",
        "how long a lost leader's promise lasts: 5, 5s or 5000ms (5)",
    ),
    key(
        "config",
        "sync_timeout",
        "how long writes wait for a silent standby before it is dropped (2)",
    ),
    key(
        "config",
        "health_timeout",
        "how long a health write may take before the primary gives way (3)",
    ),
    key(
        "config",
        "log_level",
        "error, warn, info, debug or trace (info)",
    ),
    key(
        "config",
        "allow_plain",
        "yes: unencrypted between hosts, on a network that is private by other means (no)",
    ),
    key(
        "config",
        "peers",
        "taken and not used: primary, secondary and monitor say it all",
    ),
    key(
        "config",
        "sync_command",
        "run on the primary's host to copy {{local_dir}} to {{slave_dir}} at {{slave_ip}}, before pg_basebackup is tried",
    ),
    key("vip", "ip", "the address that follows the primary"),
    key(
        "vip",
        "add_command",
        "puts the address, which is appended, on this host",
    ),
    key(
        "vip",
        "remove_command",
        "takes it off, before the role leaves",
    ),
    key(
        "role_change",
        "command",
        "run at each change of role, with master, slave or single appended",
    ),
];

/// The key of that name in that section.
pub fn find(section: &str, name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|k| k.section == section && k.name == name)
}

/// What somebody who wrote `name` in `section` may have meant, as a half sentence.
pub fn meant(section: &str, name: &str) -> String {
    if let Some(elsewhere) = KEYS.iter().find(|k| k.name == name) {
        return format!("`{name}` belongs into section [{}]", elsewhere.section);
    }
    let lower = name.to_ascii_lowercase();
    if let Some(k) = find(section, &lower) {
        return format!("write it in small letters, `{}`", k.name);
    }
    let here = KEYS.iter().filter(|k| k.section == section);
    match here.min_by_key(|k| distance(k.name, name)) {
        Some(k) if distance(k.name, name) <= 3.min(name.len() / 2 + 1) => {
            format!("did you mean `{}` ({})?", k.name, k.help)
        }
        _ => format!("known in [{section}] are {}", names(section).join(", ")),
    }
}

/// The section that somebody who wrote `[name]` may have meant, as a half sentence.
pub fn section_meant(name: &str) -> String {
    let near = ["config", "vip", "role_change"]
        .into_iter()
        .find(|known| distance(known, &name.to_ascii_lowercase()) <= 2);
    match near {
        Some(near) => format!("did you mean [{near}]?"),
        None => "known are [config], [vip] and [role_change]".to_owned(),
    }
}

fn names(section: &str) -> Vec<&'static str> {
    KEYS.iter()
        .filter(|k| k.section == section)
        .map(|k| k.name)
        .collect()
}

/// How many letters have to be changed, put in or taken out (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_key_is_named() {
        assert!(meant("config", "advertise_prt").contains("`advertise_port`"));
        assert!(meant("config", "add_command").contains("[vip]"));
        assert!(meant("vip", "zzzzzzzzzzz").contains("ip, add_command, remove_command"));
        assert!(meant("config", "ROLE").contains("in small letters, `role`"));
        assert!(section_meant("CONFIG").contains("[config]"));
        assert!(section_meant("other").contains("known are"));
    }

    #[test]
    fn distance_counts_edits() {
        assert_eq!(distance("role", "role"), 0);
        assert_eq!(distance("role", "rol"), 1);
        assert_eq!(distance("pg_port", "pgport"), 1);
        assert_eq!(distance("", "abc"), 3);
    }
}
