//! Reading the user's `postgresql.conf` as PostgreSQL does, and taking our keys out of `postgresql.auto.conf`, which
//! PostgreSQL reads last.

use crate::postgres::context::resolve;
use crate::postgres::user::PgUser;
use crate::postgres::{Said, files};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// PostgreSQL stops at the same depth.
const DEEPEST_INCLUDE: u32 = 10;

/// What the user's files set: names in lower case.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Conf {
    values: BTreeMap<String, Value>,
}

/// What a name is set to, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Value {
    text: String,
    place: String,
}

impl Conf {
    /// The settings of a flat text (see [`flat`]), and then what `ALTER SYSTEM` wrote.
    ///
    /// # Errors
    /// That file cannot be read.
    pub fn of(flat: &str, data: &Path) -> Said<Conf> {
        let mut conf = Conf::default();
        conf.take_in(flat);
        if let Some(text) = files::read_optional(&auto_file(data))? {
            conf.take_in(&format!("{}\n{text}", marker(&auto_file(data), 1)));
        }
        Ok(conf)
    }

    /// What a name is set to.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(|value| value.text.as_str())
    }

    /// The file and the line that set a name.
    pub fn place(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(|value| value.place.as_str())
    }

    /// Every name that is set.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// Whether a switch is set to on or off; none: not set, or no switch.
    pub fn switch(&self, name: &str) -> Option<bool> {
        let value = self.get(name)?.to_ascii_lowercase();
        let is = |word: &str, shortest: usize| value.len() >= shortest && word.starts_with(&value);
        if is("on", 2) || is("true", 1) || is("yes", 1) || value == "1" {
            Some(true)
        } else if is("off", 2) || is("false", 1) || is("no", 1) || value == "0" {
            Some(false)
        } else {
            None
        }
    }

    /// A file that the user names, relative to the data directory as PostgreSQL takes it; else its usual place.
    pub fn file(&self, name: &str, data: &Path, usual: &str) -> PathBuf {
        match self.get(name) {
            Some(path) if !path.is_empty() => data.join(path),
            _ => data.join(usual),
        }
    }

    fn take_in(&mut self, flat: &str) {
        for (line, place) in placed(flat) {
            if let Some((name, text)) = setting(line) {
                self.values.insert(name, Value { text, place });
            }
        }
    }
}

/// A line that says where the lines after it come from.
const MARKER: &str = "# yoke: from ";

/// Says that what follows is from this line of this file on.
pub(crate) fn marker(file: &Path, line: usize) -> String {
    format!("{MARKER}{line} of {}", file.display())
}

/// Every line of a text with markers, and where it comes from, for people.
pub(crate) fn placed(text: &str) -> impl Iterator<Item = (&str, String)> {
    let mut from = None;
    text.lines().enumerate().map(move |(at, line)| {
        let marked = line.strip_prefix(MARKER).and_then(|m| m.split_once(" of "));
        if let Some((first, file)) = marked
            && let Ok(first) = first.parse::<usize>()
        {
            from = Some((file, first, at + 1));
        }
        let place = match from {
            Some((file, first, begin)) => {
                format!("{file}, line {}", (first + at).saturating_sub(begin))
            }
            None => format!("line {}", at + 1),
        };
        (line, place)
    })
}

/// The user's settings as one text that says the same: what the file includes is put in the directive's place.
///
/// # Errors
/// A file that is named cannot be read.
pub fn flat(data: &Path) -> Said<String> {
    let mut out = String::new();
    if let Some(file) = user_file(data) {
        flatten(&mut out, &file, 0)?;
    }
    Ok(out)
}

fn flatten(out: &mut String, file: &Path, depth: u32) -> Said<()> {
    if depth > DEEPEST_INCLUDE {
        return Err(format!(
            "configuration files include each other too deeply at {}",
            file.display()
        ));
    }
    let text = files::read_optional(file)?
        .ok_or_else(|| format!("the configuration file {} is missing", file.display()))?;
    let folder = file.parent().unwrap_or(Path::new("/"));
    out.push_str(&marker(file, 1));
    out.push('\n');
    for (at, line) in text.lines().enumerate() {
        let directive = setting(line).filter(|(name, _)| name.starts_with("include"));
        let included = match &directive {
            Some((name, value)) if name == "include" => vec![folder.join(value)],
            Some((name, value)) if name == "include_if_exists" => {
                let file = folder.join(value);
                file.exists().then_some(file).into_iter().collect()
            }
            Some((name, value)) if name == "include_dir" => conf_files(&folder.join(value))?,
            _ => {
                out.push_str(line);
                out.push('\n');
                continue;
            }
        };
        for file in included {
            flatten(out, &file, depth + 1)?;
        }
        out.push_str(&marker(file, at + 2));
        out.push('\n');
    }
    Ok(())
}

/// The files that `include_dir` takes in, in its order.
pub(crate) fn conf_files(folder: &Path) -> Said<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder)
        .map_err(|e| format!("cannot read the included folder {}: {e}", folder.display()))?;
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path
                .file_name()
                .map(|n| n.to_string_lossy().into_owned())
                .unwrap_or_default();
            name.ends_with(".conf") && !name.starts_with('.') && path.is_file()
        })
        .collect();
    found.sort();
    Ok(found)
}

/// The user's `postgresql.conf`: in the data directory, or, if that has none, where Debian keeps the cluster's.
pub fn user_file(data: &Path) -> Option<PathBuf> {
    let inside = data.join("postgresql.conf");
    if inside.is_file() {
        return Some(inside);
    }
    let folders = |path: &Path| -> Vec<PathBuf> {
        std::fs::read_dir(path)
            .map(|entries| entries.filter_map(|e| Some(e.ok()?.path())).collect())
            .unwrap_or_default()
    };
    folders(Path::new("/etc/postgresql"))
        .iter()
        .flat_map(|version| folders(version))
        .map(|cluster| cluster.join("postgresql.conf"))
        .find(|file| {
            let Ok(Some(text)) = files::read_optional(file) else {
                return false;
            };
            text.lines()
                .filter_map(setting)
                .any(|(name, value)| name == "data_directory" && resolve(Path::new(&value)) == data)
        })
}

/// What `ALTER SYSTEM` writes.
pub(crate) fn auto_file(data: &Path) -> PathBuf {
    data.join("postgresql.auto.conf")
}

/// Takes our keys out of `postgresql.auto.conf`: it is read last, so `ALTER SYSTEM` would open the gate.
///
/// # Errors
/// The file cannot be read or replaced.
pub fn clean_auto_conf(data: &Path, user: &PgUser) -> Said<()> {
    let file = auto_file(data);
    let Some(text) = files::read_optional(&file)? else {
        return Ok(());
    };
    match without_our_keys(&text) {
        Some(clean) => files::replace(&file, clean.as_bytes(), user),
        None => Ok(()),
    }
}

/// Our keys that `ALTER SYSTEM` has set.
///
/// # Errors
/// The file cannot be read.
pub fn our_keys_in_auto_conf(data: &Path) -> Said<Vec<String>> {
    let text = files::read_optional(&auto_file(data))?.unwrap_or_default();
    let names = text.lines().filter_map(setting).map(|(name, _)| name);
    Ok(names.filter(|name| is_ours(name)).collect())
}

/// Whether Yoke sets this key, and nobody else may.
fn is_ours(name: &str) -> bool {
    matches!(
        name,
        "synchronous_standby_names"
            | "primary_conninfo"
            | "primary_slot_name"
            | "promote_trigger_file"
            | "recovery_min_apply_delay"
            | "fsync"
            | "full_page_writes"
    ) || name.starts_with("recovery_target")
        || name.starts_with("yoke.")
}

/// The text without our keys; none: it has none of them.
fn without_our_keys(text: &str) -> Option<String> {
    let keep = |line: &&str| setting(line).is_none_or(|(name, _)| !is_ours(&name));
    let kept: Vec<&str> = text.lines().filter(keep).collect();
    (kept.len() != text.lines().count()).then(|| kept.join("\n") + "\n")
}

/// The setting in one line: `name = 'value' # comment`, the equals sign and the quotes optional.
pub(crate) fn setting(line: &str) -> Option<(String, String)> {
    let line = line.trim();
    let end = line
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.' || c == '$'))
        .unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    if name.is_empty() {
        return None;
    }
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('=').unwrap_or(rest).trim_start();
    let value = match rest.strip_prefix('\'') {
        Some(quoted) => unquote(quoted)?,
        None => {
            let end = rest
                .find(|c: char| c.is_whitespace() || c == '#')
                .unwrap_or(rest.len());
            rest[..end].to_owned()
        }
    };
    Some((name.to_ascii_lowercase(), value))
}

/// What stands before the closing quote.
fn unquote(text: &str) -> Option<String> {
    let mut value = String::new();
    let mut chars = text.chars().peekable();
    loop {
        match chars.next()? {
            '\'' if chars.peek() == Some(&'\'') => {
                chars.next();
                value.push('\'');
            }
            '\'' => return Some(value),
            '\\' => value.push(match chars.next()? {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                other => other,
            }),
            other => value.push(other),
        }
    }
}

/// A string as PostgreSQL's configuration files want it.
pub fn quote(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "''"))
}

/// A size with its unit in bytes: `64MB`; without a unit, in `unit` bytes.
pub fn bytes(value: &str, unit: u64) -> Option<u64> {
    let value = value.trim();
    let digits = value
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(value.len());
    let number: u64 = value[..digits].parse().ok()?;
    let unit = match value[digits..].trim() {
        "" => unit,
        "B" => 1,
        "kB" => 1 << 10,
        "MB" => 1 << 20,
        "GB" => 1 << 30,
        "TB" => 1 << 40,
        _ => return None,
    };
    number.checked_mul(unit)
}

/// Refuses what cannot be kept available: each with its place and what to do.
///
/// # Errors
/// The first setting that is refused.
pub fn refuse(conf: &Conf) -> Said<()> {
    let at = |name: &str| conf.place(name).unwrap_or("its file").to_owned();
    if conf.switch("fsync") == Some(false) {
        return Err(format!(
            "fsync is off ({}): a crash would lose acknowledged writes; set it to on",
            at("fsync")
        ));
    }
    let delay = conf.get("recovery_min_apply_delay").unwrap_or("0");
    if delay.starts_with(|c: char| ('1'..='9').contains(&c)) {
        return Err(format!(
            "recovery_min_apply_delay is {delay} ({}): a delayed standby cannot take over; remove it",
            at("recovery_min_apply_delay")
        ));
    }
    let is_target = |name: &&str| {
        name.starts_with("recovery_target")
            && !matches!(
                *name,
                "recovery_target_timeline" | "recovery_target_action" | "recovery_target_inclusive"
            )
    };
    match conf
        .names()
        .find(|name| is_target(name) && conf.get(name).is_some_and(|v| !v.is_empty()))
    {
        Some(name) => Err(format!(
            "{name} is set ({}): a standby would stop replaying there; remove it",
            at(name)
        )),
        None => Ok(()),
    }
}

/// What the user sets and what has no effect or needs care: each in one sentence.
pub fn notes(conf: &Conf, port: u16) -> Vec<String> {
    let mut notes = Vec::new();
    let mut without_effect = |name: &str, is_so: bool| {
        if let (true, Some(value), Some(place)) = (is_so, conf.get(name), conf.place(name)) {
            notes.push(format!(
                "{name} = '{value}' ({place}) has no effect: Yoke sets it itself"
            ));
        }
    };
    for name in [
        "synchronous_standby_names",
        "primary_conninfo",
        "primary_slot_name",
    ] {
        without_effect(name, conf.get(name).is_some_and(|v| !v.is_empty()));
    }
    let weak = ["off", "false", "no", "0", "local", "remote_write"];
    let commit = conf.get("synchronous_commit").map(str::to_ascii_lowercase);
    without_effect(
        "synchronous_commit",
        commit.is_some_and(|c| weak.contains(&c.as_str())),
    );
    for name in ["full_page_writes", "hot_standby", "wal_log_hints"] {
        without_effect(name, conf.switch(name) == Some(false));
    }
    without_effect(
        "restart_after_crash",
        conf.switch("restart_after_crash") == Some(true),
    );
    without_effect("wal_level", conf.get("wal_level") == Some("minimal"));
    without_effect(
        "port",
        conf.get("port").is_some_and(|p| p != port.to_string()),
    );
    let archives = matches!(
        conf.get("archive_mode"),
        Some("on" | "always" | "true" | "yes" | "1")
    );
    let with = ["archive_library", "archive_command"]
        .into_iter()
        .find(|name| conf.get(name).is_some_and(|v| !v.is_empty()));
    if let (true, Some(name)) = (archives, with) {
        notes.push(format!(
            "{name} is set ({}): whoever is primary archives; if both hosts write into one archive, the command must refuse to replace a file by another's",
            conf.place(name).unwrap_or_default()
        ));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_postgresql_reads_them() {
        let read = |line| setting(line).map(|(n, v)| format!("{n}={v}"));
        assert_eq!(read("Port = 5432 # x").as_deref(), Some("port=5432"));
        assert_eq!(read("a 'it''s' # x").as_deref(), Some("a=it's"));
        assert_eq!(read("a=b").as_deref(), Some("a=b"));
        assert_eq!(
            read("yoke.generation = '7'").as_deref(),
            Some("yoke.generation=7")
        );
        assert_eq!(read("# a = b"), None);
        assert_eq!(read(""), None);
        assert_eq!(read("a = 'torn"), None);
    }

    #[test]
    fn included_files_are_put_in_their_place() {
        let dir = tempfile::tempdir().expect("a directory");
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            std::fs::write(path, text).expect("written");
        };
        write(
            "postgresql.conf",
            "a = 1\ninclude 'sub/one.conf'\ninclude_if_exists = 'none.conf'\ninclude_dir 'd'\nb = 5\n",
        );
        write("sub/one.conf", "\na = 2\ninclude 'two.conf'\nc = 2\n");
        write("sub/two.conf", "e = 3\n");
        write("d/20.conf", "a = 4\n");
        write("d/10.conf", "a = 3\n");
        write("d/.hidden.conf", "a = 9\n");
        write("d/other", "a = 9\n");
        let text = flat(dir.path()).expect("all are there");
        let conf = Conf::of(&text, dir.path()).expect("readable");
        let is = |name: &str, value: &str, place: &str| {
            assert_eq!(conf.get(name), Some(value));
            assert!(conf.place(name).expect("set").ends_with(place), "{conf:?}");
        };
        is("a", "4", "/d/20.conf, line 1");
        is("b", "5", "/postgresql.conf, line 5");
        is("c", "2", "/sub/one.conf, line 4");
        is("e", "3", "/sub/two.conf, line 1");
        // A flat text says the same, wherever it lies.
        assert_eq!(Conf::of(&text, Path::new("/nowhere")), Ok(conf));
        write("sub/two.conf", "include 'missing.conf'\n");
        let why = flat(dir.path()).expect_err("missing");
        assert!(why.contains("sub/missing.conf is missing"), "{why}");
    }

    #[test]
    fn our_keys_leave_auto_conf_and_others_stay() {
        let text = "# Do not edit this file manually!\nwork_mem = '8MB'\nsynchronous_standby_names = ''\nRecovery_Target_Time = 'x'\n";
        assert_eq!(
            without_our_keys(text).as_deref(),
            Some("# Do not edit this file manually!\nwork_mem = '8MB'\n")
        );
        assert_eq!(without_our_keys("work_mem = '8MB'\n"), None);
    }

    #[test]
    fn sizes_and_switches() {
        assert_eq!(bytes("2GB", 1 << 20), Some(2 << 30));
        assert_eq!(bytes("64", 1 << 20), Some(64 << 20));
        assert_eq!(bytes("x", 1), None);
        for (text, refused) in [
            ("fsync = off", true),
            ("fsync = 'f'", true),
            ("fsync = on", false),
            ("recovery_min_apply_delay = 5min", true),
            ("recovery_min_apply_delay = 0", false),
            ("recovery_target_lsn = '0/1'", true),
            ("recovery_target_timeline = 'latest'", false),
        ] {
            let mut conf = Conf::default();
            conf.take_in(&format!("{}\n\n{text}", marker(Path::new("/x.conf"), 1)));
            match refuse(&conf) {
                Ok(()) => assert!(!refused, "{text}"),
                Err(why) => {
                    assert!(refused && why.contains("/x.conf, line 2"), "{text}: {why}");
                }
            }
        }
    }
}
