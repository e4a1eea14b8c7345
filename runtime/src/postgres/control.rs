//! What a data directory says of itself without being started: `pg_controldata`, and the history files of `pg_wal`.

use crate::postgres::find::Binaries;
use crate::postgres::user::{Child, PgUser};
use crate::postgres::{Said, files};
use std::collections::HashMap;
use std::path::Path;
use yoke_core::postgres::{Lsn, SystemId, Timeline};
use yoke_core::step::ClusterState;

/// The first object id that a user's object gets: below it, nobody ever put anything in.
const FIRST_NORMAL_OID: u64 = 16384;

/// The parameters that a standby must not have lower than the primary whose WAL it replays: name in the configuration,
/// name in the control file.
pub const START_UP_PARAMETERS: [(&str, &str); 5] = [
    ("max_connections", "max_connections setting"),
    ("max_worker_processes", "max_worker_processes setting"),
    ("max_wal_senders", "max_wal_senders setting"),
    ("max_prepared_transactions", "max_prepared_xacts setting"),
    ("max_locks_per_transaction", "max_locks_per_xact setting"),
];

/// The control file, as far as it is of interest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Control {
    /// `Database system identifier`.
    pub system_id: SystemId,
    /// `Database cluster state`.
    pub cluster: ClusterState,
    /// `Latest checkpoint location`.
    pub checkpoint: Lsn,
    /// `Latest checkpoint's TimeLineID`.
    pub checkpoint_timeline: Timeline,
    /// `Min recovery ending loc's timeline`.
    pub recovery_timeline: Timeline,
    /// `Minimum recovery ending location`: a standby's.
    pub recovered_to: Lsn,
    /// Every change of a page leaves a trace in the WAL: `wal_log_hints setting`, or data checksums.
    pub rewindable: bool,
    /// `Bytes per WAL segment`.
    pub segment_size: u64,
    /// `Latest checkpoint's NextOID`.
    pub next_oid: u64,
    /// `wal_level setting`.
    pub wal_level: String,
    /// The values of [`START_UP_PARAMETERS`].
    pub start_up: [u64; 5],
}

impl Control {
    /// Runs `pg_controldata`.
    ///
    /// # Errors
    /// What it said.
    pub fn read(binaries: &Binaries, user: &PgUser, data: &Path) -> Said<Control> {
        let program = binaries.program("pg_controldata");
        let output = user
            .command(&program, Child::Helper)
            .arg("-D")
            .arg(data)
            .stdin(std::process::Stdio::null())
            .output()
            .map_err(|e| format!("cannot run {}: {e}", program.display()))?;
        if !output.status.success() {
            return Err(format!(
                "{} failed: {}; restore the directory from a backup, or move it away to have it copied anew",
                program.display(),
                String::from_utf8_lossy(&output.stderr).trim()
            ));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        // It warns and goes on where the checksum of the control file is wrong; we do not.
        if text.contains("WARNING") {
            return Err(format!(
                "the control file of {} is damaged ({}): restore the directory from a backup, or remove it to have it copied anew",
                data.display(),
                text.lines()
                    .find(|line| line.contains("WARNING"))
                    .unwrap_or("WARNING")
                    .trim()
            ));
        }
        Control::parse(&text).map_err(|field| {
            format!(
                "{} of {} does not tell `{field}`",
                program.display(),
                data.display()
            )
        })
    }

    /// Reads what `pg_controldata` printed under LC_ALL=C. The error is the missing field.
    fn parse(text: &str) -> Result<Control, &'static str> {
        let fields: HashMap<&str, &str> = text
            .lines()
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name, value.trim()))
            .collect();
        let field = |name: &'static str| fields.get(name).copied().ok_or(name);
        let number = |name: &'static str| field(name)?.parse::<u64>().map_err(|_| name);
        let timeline =
            |name: &'static str| field(name)?.parse::<u32>().map(Timeline).map_err(|_| name);
        let mut start_up = [0; 5];
        for (value, (_, name)) in start_up.iter_mut().zip(START_UP_PARAMETERS) {
            *value = number(name)?;
        }
        Ok(Control {
            system_id: SystemId(number("Database system identifier")?),
            cluster: match field("Database cluster state")? {
                "shut down" => ClusterState::ShutDown,
                "shut down in recovery" => ClusterState::ShutDownInRecovery,
                _ => ClusterState::Other,
            },
            checkpoint: parse_lsn(field("Latest checkpoint location")?)
                .ok_or("Latest checkpoint location")?,
            checkpoint_timeline: timeline("Latest checkpoint's TimeLineID")?,
            recovery_timeline: timeline("Min recovery ending loc's timeline")?,
            recovered_to: parse_lsn(field("Minimum recovery ending location")?)
                .ok_or("Minimum recovery ending location")?,
            rewindable: field("wal_log_hints setting")? == "on"
                || number("Data page checksum version")? > 0,
            segment_size: number("Bytes per WAL segment")?.max(1),
            next_oid: number("Latest checkpoint's NextOID")?,
            wal_level: field("wal_level setting")?.to_owned(),
            start_up,
        })
    }

    /// Shut down, timeline 1, NextOID below 16384: no user ever put anything in.
    pub fn never_used(&self, newest: Timeline) -> bool {
        self.cluster == ClusterState::ShutDown
            && self.checkpoint_timeline == Timeline(1)
            && newest == Timeline(1)
            && self.next_oid < FIRST_NORMAL_OID
    }
}

/// The newest timeline that the history files and the control file show, and where it begins; 0 for timeline 1, and where
/// the history file is missing (PostgreSQL treats that alike: no known parent).
///
/// # Errors
/// `pg_wal` cannot be read.
pub fn newest_timeline(data: &Path, control: &Control) -> Said<(Timeline, Lsn)> {
    let wal = data.join("pg_wal");
    let entries =
        std::fs::read_dir(&wal).map_err(|e| format!("cannot read {}: {e}", wal.display()))?;
    let mut newest = control.checkpoint_timeline.max(control.recovery_timeline);
    for entry in entries {
        let entry = entry.map_err(|e| format!("cannot read {}: {e}", wal.display()))?;
        if let Some(timeline) = history_file_of(&entry.file_name().to_string_lossy()) {
            newest = newest.max(timeline);
        }
    }
    Ok((newest, timeline_start(data, newest)?.unwrap_or_default()))
}

/// Where a timeline begins, by the last line of its history file. None: it is above 1 and has no history file.
///
/// # Errors
/// The file is there and cannot be read, or says nothing.
pub fn timeline_start(data: &Path, timeline: Timeline) -> Said<Option<Lsn>> {
    if timeline <= Timeline(1) {
        return Ok(Some(Lsn(0)));
    }
    let path = data.join(format!("pg_wal/{:08X}.history", timeline.0));
    let Some(text) = files::read_optional(&path)? else {
        return Ok(None);
    };
    last_switch(&text)
        .map(Some)
        .ok_or_else(|| format!("{} holds no timeline switch", path.display()))
}

/// The timelines of a timeline's history, its own last, and where each begins.
///
/// # Errors
/// Its history file is missing, cannot be read, or says nothing.
pub(crate) fn timelines(data: &Path, last: Timeline) -> Said<Vec<(Timeline, Lsn)>> {
    let mut begins = vec![(Timeline(1), Lsn(0))];
    if last <= Timeline(1) {
        return Ok(begins);
    }
    let path = data.join(format!("pg_wal/{:08X}.history", last.0));
    let text =
        files::read_optional(&path)?.ok_or_else(|| format!("{} is missing", path.display()))?;
    let switches: Vec<_> = text.lines().filter_map(switch).collect();
    if switches.is_empty() {
        return Err(format!("{} holds no timeline switch", path.display()));
    }
    let parents = switches.iter().map(|(timeline, _)| *timeline);
    let children = parents.skip(1).chain([last]);
    begins = vec![(switches[0].0, Lsn(0))];
    begins.extend(children.zip(switches.iter().map(|(_, at)| *at)));
    Ok(begins)
}

/// Whether PostgreSQL would refuse to start a standby here, and in which words: by the newest history file, which recovery
/// follows, the last checkpoint or the minimum recovery point is not on the way to it
/// (`InitWalRecovery` in PostgreSQL's `xlogrecovery.c`).
///
/// # Errors
/// A history file cannot be read, or says nothing.
pub fn contradiction(data: &Path, control: &Control) -> Said<Option<String>> {
    // As PostgreSQL looks for it: upwards, until a number is missing.
    let mut newest = control.checkpoint_timeline.max(control.recovery_timeline);
    while let Some(next) = newest.0.checked_add(1).map(Timeline)
        && timeline_start(data, next)?.is_some()
    {
        newest = next;
    }
    let begins = match timeline_start(data, newest)? {
        Some(_) => timelines(data, newest)?,
        // Without its file, it is taken to have no parent.
        None => vec![(newest, Lsn(0))],
    };
    let is_on = |timeline: Timeline, at: Lsn| {
        let of = begins.iter().rev().find(|(_, begin)| *begin <= at);
        of.map(|(timeline, _)| *timeline) == Some(timeline)
    };
    let (at, timeline) = (control.checkpoint, control.checkpoint_timeline);
    if !is_on(timeline, at) {
        return Ok(Some(format!(
            "requested timeline {newest} is not a child of this server's history: the latest checkpoint is at {at} on timeline {timeline}"
        )));
    }
    let (at, timeline) = (control.recovered_to, control.recovery_timeline);
    // The point is the end of a record: what counts is the byte before it.
    let held = at == Lsn(0) || is_on(timeline, Lsn(at.0 - 1));
    Ok((!held).then(|| {
        format!(
            "requested timeline {newest} does not contain minimum recovery point {at} on timeline {timeline}"
        )
    }))
}

/// A line of a history file: whose timeline ended, and where.
fn switch(line: &str) -> Option<(Timeline, Lsn)> {
    let mut words = line.split_whitespace();
    let timeline = words.next()?.parse().ok()?;
    Some((Timeline(timeline), parse_lsn(words.next()?)?))
}

/// The timeline that a history file's name tells.
fn history_file_of(name: &str) -> Option<Timeline> {
    let digits = name.strip_suffix(".history")?;
    (digits.len() == 8)
        .then(|| u32::from_str_radix(digits, 16).ok())
        .flatten()
        .map(Timeline)
}

/// The position in the last line of a history file: `2<tab>0/15007B0<tab>no recovery target specified`.
fn last_switch(text: &str) -> Option<Lsn> {
    text.lines()
        .filter_map(switch)
        .next_back()
        .map(|(_, at)| at)
}

/// `16/B374D848`.
pub fn parse_lsn(text: &str) -> Option<Lsn> {
    let (high, low) = text.split_once('/')?;
    let high = u32::from_str_radix(high, 16).ok()?;
    let low = u32::from_str_radix(low, 16).ok()?;
    Some(Lsn(u64::from(high) << 32 | u64::from(low)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
pg_control version number:            1300
Database system identifier:           7711385549909950194
Database cluster state:               shut down
Latest checkpoint location:           0/1500718
Latest checkpoint's REDO location:    0/1500718
Latest checkpoint's TimeLineID:       1
Latest checkpoint's NextXID:          0:724
Latest checkpoint's NextOID:          13572
Minimum recovery ending location:     0/1500790
Min recovery ending loc's timeline:   0
wal_log_hints setting:                off
Bytes per WAL segment:                16777216
Data page checksum version:           0
wal_level setting:                    replica
max_connections setting:              100
max_worker_processes setting:         8
max_wal_senders setting:              10
max_prepared_xacts setting:           0
max_locks_per_xact setting:           64
";

    #[test]
    fn a_control_file_is_read() {
        let control = Control::parse(TEXT).expect("whole");
        assert_eq!(control.system_id, SystemId(7711385549909950194));
        assert_eq!(control.checkpoint, Lsn(0x150_0718));
        assert_eq!(control.start_up, [100, 8, 10, 0, 64]);
        assert_eq!(control.recovered_to, Lsn(0x150_0790));
        assert_eq!(
            (control.rewindable, control.segment_size),
            (false, 16 << 20)
        );
        for (off, on) in [
            ("hints setting:                off", "hints setting: on"),
            ("checksum version:           0", "checksum version: 1"),
        ] {
            let control = Control::parse(&TEXT.replace(off, on)).expect("whole");
            assert!(control.rewindable, "{on}");
        }
        assert!(control.never_used(Timeline(1)));
        assert!(!control.never_used(Timeline(2)));
        let used = Control::parse(&TEXT.replace("13572", "16384")).expect("whole");
        assert!(!used.never_used(Timeline(1)));
    }

    #[test]
    fn a_missing_field_is_named() {
        let cut = TEXT.replace("Latest checkpoint location", "Something");
        assert_eq!(Control::parse(&cut), Err("Latest checkpoint location"));
    }

    #[test]
    fn history_files_are_read() {
        assert_eq!(history_file_of("0000000A.history"), Some(Timeline(10)));
        assert_eq!(history_file_of("A.history"), None);
        let text = "1\t0/15007B0\tno recovery target specified\n\n2\t16/B374D848\tx\n";
        assert_eq!(last_switch(text), Some(Lsn(0x16_B374_D848)));
        assert_eq!(last_switch("# nothing\n"), None);
        let data = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(data.path().join("pg_wal")).expect("a directory");
        let named = |n| data.path().join(format!("pg_wal/{n}.history"));
        std::fs::write(named("00000004"), text).expect("a file");
        let expected = [
            (Timeline(1), Lsn(0)),
            (Timeline(2), Lsn(0x0150_07B0)),
            (Timeline(4), Lsn(0x16_B374_D848)),
        ];
        assert_eq!(timelines(data.path(), Timeline(4)), Ok(expected.to_vec()));
        assert!(timelines(data.path(), Timeline(3)).is_err_and(|e| e.contains("missing")));
    }
}
