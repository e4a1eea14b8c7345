//! Watching the configuration of a running server: what has changed under our settings, and what an operator should know.

use crate::postgres::conf::{self, Conf};
use crate::postgres::control::START_UP_PARAMETERS;
use crate::postgres::session::{Rows, Session};
use crate::postgres::user::PgUser;
use crate::postgres::user_files::{Kept, Moment, UserFiles};
use crate::postgres::{Context, Said, files, hba, names, settings};
use std::time::{Duration, Instant};

/// How often the files are looked at. Only what two looks show alike is taken in: nobody's half-written file.
const LOOK: Duration = Duration::from_secs(1);
/// How long it is told that an `ALTER SYSTEM` was undone.
const TELL_UNDONE: Duration = Duration::from_secs(600);

/// What is known of the configuration of one run.
#[derive(Default)]
pub(crate) struct Watch {
    looked: Option<Instant>,
    seen: Option<UserFiles>,
    undone: Option<(Instant, Vec<String>)>,
    /// What was found at the last look.
    pub(crate) notes: Vec<String>,
    /// The parameter that keeps this standby from replaying.
    pub(crate) too_small: Option<String>,
}

/// What one look at the files shows.
pub(crate) struct Look {
    files: UserFiles,
    /// Our files would be written otherwise now.
    outdated: bool,
    /// Our keys that `ALTER SYSTEM` has set.
    to_undo: Vec<String>,
    notes: Vec<String>,
    conf: Conf,
}

/// Reads the user's files, ours, and what is kept. Blocks on the disk.
pub(crate) fn look(context: &Context, user: &PgUser) -> Said<Look> {
    let data = context.real_data_dir();
    let mut kept = Kept::read(context)?;
    let before = kept.clone();
    let now = conf::flat(&data);
    let goes_by_copy = settings::goes_by_copy(context)?;
    let mut untried = false;
    let accepted = kept.conf.settings(&now, |_| {
        untried = true;
        Ok(())
    });
    let flat = match (accepted, now) {
        (Ok(Some(copy)), _) | (Ok(None), Ok(copy)) => copy,
        (Err(why), _) | (_, Err(why)) => return Err(why),
    };
    let conf = Conf::of(&flat, &data)?;
    let files = UserFiles::read(user, &data, &conf);
    let mut outdated = untried || goes_by_copy != kept.conf.refused.is_some();
    let ours = [
        (context.hba_file(), &files.rules, &mut kept.rules),
        (context.ident_file(), &files.map, &mut kept.map),
    ];
    for (file, now, copy) in ours {
        let text = files::read_optional(&file)?.unwrap_or_default();
        // Left out while the doors are closed.
        if let Some(written) = hba::users_part(&text)
            && let Ok(wanted) = copy.rules(now, Moment::Reload)
        {
            outdated |= written != wanted;
        }
    }
    let refused = |kept: &Kept| [&kept.conf, &kept.rules, &kept.map].map(|c| c.refused.clone());
    outdated |= refused(&kept) != refused(&before);
    let mut notes = before.refusals();
    notes.extend(conf::notes(&conf, context.pg_port));
    Ok(Look {
        files,
        outdated,
        to_undo: conf::our_keys_in_auto_conf(&data)?,
        notes,
        conf,
    })
}

impl Look {
    /// The parameters that the user wants lower than what the data were run with: nothing lowers those again.
    pub(crate) fn lowered(&self, in_force: &[Option<u64>; 5]) -> Vec<String> {
        let names = START_UP_PARAMETERS.iter().map(|(name, _)| name);
        let lowered = names.zip(in_force).filter_map(|(name, has)| {
            let wanted: u64 = self.conf.get(name)?.parse().ok()?;
            let has = has.filter(|has| *has > wanted)?;
            let place = self.conf.place(name)?;
            Some(format!(
                "{name} = {wanted} ({place}) is not in force: {has} is, as the data were last run with; no standby starts with less"
            ))
        });
        lowered.collect()
    }
}

impl Watch {
    /// Whether it is time to look again.
    pub(crate) fn is_due(&self) -> bool {
        self.looked.is_none_or(|at| at.elapsed() >= LOOK)
    }

    /// Takes in what was seen; whether our settings are to be written again. `at_once`: somebody asked for it.
    pub(crate) fn take(&mut self, look: Look, at_once: bool, sql: Vec<String>) -> bool {
        let is_steady = self.seen.as_ref() == Some(&look.files);
        let outdated = at_once || !look.to_undo.is_empty() || (look.outdated && is_steady);
        if !look.to_undo.is_empty() {
            self.undone = Some((Instant::now(), look.to_undo));
        }
        self.undone
            .take_if(|(since, _)| since.elapsed() > TELL_UNDONE);
        let mut notes = look.notes;
        notes.extend(self.undone.as_ref().map(|(_, names)| {
            format!(
                "postgresql.auto.conf had {}, which Yoke sets itself: it was taken out again; leave it to Yoke",
                names.join(", ")
            )
        }));
        notes.extend(sql);
        for note in notes.iter().filter(|note| !self.notes.contains(note)) {
            tracing::warn!("{note}");
        }
        self.notes = notes;
        self.looked = Some(Instant::now());
        self.seen = Some(look.files);
        outdated
    }
}

/// What the server says of settings that need care; nothing if it cannot be asked.
pub(crate) async fn ask(session: &Session, in_recovery: bool) -> Vec<String> {
    let Ok(answers) = session.query(&sql()).await else {
        return Vec::new();
    };
    let rows = |i: usize| answers.get(i).into_iter().flatten();
    let column = |row: &Vec<Option<String>>, i: usize| row.get(i).cloned().flatten();
    let mut notes: Vec<String> = rows(0)
        .filter_map(|row| column(row, 0))
        .map(|name| format!("{name} was changed, which takes effect at PostgreSQL's next start"))
        .collect();
    if in_recovery {
        // The primary says the same of the same roles.
        return notes;
    }
    notes.extend(rows(1).map(|row| {
        let of = match (column(row, 0), column(row, 1)) {
            (Some(role), Some(database)) => format!("role {role} in database {database}"),
            (Some(role), None) => format!("role {role}"),
            (None, Some(database)) => format!("database {database}"),
            (None, None) => "everybody".to_owned(),
        };
        let value = column(row, 2).unwrap_or_default();
        format!("{of} has {value}: these commits are not covered by the promise, and may be lost by a failover")
    }));
    notes
}

fn sql() -> String {
    format!(
        "SELECT name FROM pg_settings WHERE pending_restart ORDER BY name;
         SELECT r.rolname, d.datname, c FROM pg_db_role_setting s
           LEFT JOIN pg_roles r ON r.oid = s.setrole LEFT JOIN pg_database d ON d.oid = s.setdatabase
           CROSS JOIN unnest(s.setconfig) c
         WHERE c ~* '^synchronous_commit=(of|f|n|0|local|remote_write)' AND r.rolname IS DISTINCT FROM '{}'
         ORDER BY 1, 2",
        names::ROLE
    )
}

/// The names and values of what a standby must not have lower than its primary.
pub(crate) fn start_up_sql() -> String {
    let names = START_UP_PARAMETERS.map(|(name, _)| format!("'{name}'"));
    format!(
        "SELECT name, setting FROM pg_settings WHERE name IN ({})",
        names.join(", ")
    )
}

/// What the server runs with: in the order of [`START_UP_PARAMETERS`].
pub(crate) fn start_up(rows: &Rows) -> [Option<u64>; 5] {
    START_UP_PARAMETERS.map(|(name, _)| {
        let row = rows.iter().find(|row| row[0].as_deref() == Some(name))?;
        row.get(1)?.as_ref()?.parse().ok()
    })
}

/// The first parameter that is lower here than what the replayed WAL asks for.
pub(crate) fn too_small(in_force: &[Option<u64>; 5], needed: [u64; 5]) -> Option<String> {
    let names = START_UP_PARAMETERS.iter().map(|(name, _)| name);
    names.zip(in_force).zip(needed).find_map(|((name, has), needed)| {
        let has = has.filter(|has| *has < needed)?;
        Some(format!(
            "{name} is {has} here and {needed} on the primary, so it has stopped replaying; it starts again with the larger value"
        ))
    })
}
