//! What a member with data needs besides: PostgreSQL's programs, a directory that they take, settings that can be kept
//! available, a free port.

use super::host::{may_write, name_of};
use super::{Findings, Level, space};
use crate::config::Configuration;
use crate::postgres::conf::{self, Conf};
use crate::postgres::control::Control;
use crate::postgres::execute::refuse_mount_point;
use crate::postgres::find::Binaries;
use crate::postgres::processes::{Processes, foreign_postmaster};
use crate::postgres::refusals;
use crate::postgres::user::PgUser;
use crate::postgres::{Context, inspect, stamp};
use nix::unistd::Uid;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use yoke_core::postgres::SystemId;

/// With less PostgreSQL soon stops.
const LEAST_DATA_ROOM: u64 = 16 << 20;
const LOW_DATA_ROOM: u64 = 1 << 30;

/// From these minors on a server waits for its standbys also right after its start (research/postgres.md).
const SOUND_MINORS: [(u32, u32); 5] = [(13, 21), (14, 18), (15, 13), (16, 9), (17, 5)];

/// What was found out, for who compares it with others.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Database {
    /// Its system identifier, if there is one.
    pub system_id: Option<SystemId>,
    /// Nobody ever put anything in.
    pub never_used: bool,
}

/// Judges all of it. Changes nothing; waits for the disk. Nothing on a witness, or where there is no account for it:
/// that is said elsewhere.
pub fn judge(config: &Configuration, found: &mut Findings) -> Database {
    let Some(context) = config.context() else {
        return Database::default();
    };
    let Ok(user) = PgUser::of(&context) else {
        return Database::default();
    };
    let data = context.real_data_dir();
    let directory = directory(config, &context, &user, &data, found);
    port(config, &user, &data, found);
    directory
}

fn directory(
    config: &Configuration,
    context: &Context,
    user: &PgUser,
    data: &Path,
    found: &mut Findings,
) -> Database {
    let place = format!("{} (data_dir)", data.display());
    let made_with_it = config.data_dir.as_deref().and_then(Path::parent);
    // Judged as status_dir, which the daemon makes where it is missing.
    if made_with_it != Some(&config.status_dir) || config.status_dir.exists() {
        parent(&place, data, found);
    }
    match std::fs::metadata(data) {
        Ok(metadata) if !metadata.is_dir() => {
            found.error(
                place,
                "it is no directory: name another data_dir, or move that away",
            );
            return Database::default();
        }
        Ok(_) => {
            if let Err(why) = refuse_mount_point(data) {
                found.error(&place, why);
            }
        }
        Err(e) if e.kind() == ErrorKind::NotFound => {}
        Err(e) => {
            found.error(place, format!("it cannot be looked at: {e}"));
            return Database::default();
        }
    }
    if context.mark_file().exists() {
        found.warn(
            &place,
            format!(
                "it was being rewritten when that was interrupted ({}): the daemon goes on with it",
                context.mark_file().display()
            ),
        );
        return Database::default();
    }
    match inspect::is_free(data) {
        Err(why) => {
            found.error(place, why);
            Database::default()
        }
        Ok(true) => {
            match Binaries::newest(context) {
                Ok(binaries) => {
                    programs(&binaries, found);
                    found.ok(place, "there is no data yet");
                }
                Err(why) => found.error(config.place("pg_bin"), why),
            }
            Database::default()
        }
        Ok(false) => contents(config, context, user, data, &place, found),
    }
}

/// Copies are made beside the directory, and take its place by a rename.
fn parent(place: &str, data: &Path, found: &mut Findings) {
    let parent = data.parent().unwrap_or(Path::new("/"));
    match std::fs::metadata(parent) {
        Ok(metadata) if metadata.is_dir() => {
            if let Err(e) = may_write(parent) {
                found.error(
                    place,
                    format!(
                        "copies are made beside it, but {} may not write to {} ({e}): make that account its owner, or run yoke as {}",
                        name_of(Uid::effective()),
                        parent.display(),
                        name_of(Uid::from_raw(metadata.uid())),
                    ),
                );
            }
            space::judge(
                found,
                parent,
                "the database",
                LEAST_DATA_ROOM,
                LOW_DATA_ROOM,
            );
        }
        _ => found.error(
            place,
            format!(
                "{} is no directory: make it, owned by PostgreSQL's account",
                parent.display()
            ),
        ),
    }
}

fn contents(
    config: &Configuration,
    context: &Context,
    user: &PgUser,
    data: &Path,
    place: &str,
    found: &mut Findings,
) -> Database {
    let before = found.of(Level::Error).count();
    let binaries = match Binaries::of_data(context, data) {
        Ok(binaries) => binaries,
        Err(why) => {
            let place = match data.join("PG_VERSION").is_file() && context.pg_bin.is_some() {
                true => config.place("pg_bin"),
                false => place.to_owned(),
            };
            found.error(place, why);
            return Database::default();
        }
    };
    programs(&binaries, found);
    owner(user, data, place, found);
    let processes = Processes::of(data.to_path_buf(), user.clone());
    if let Some(pid) = foreign_postmaster(&processes, &context.conf_file()) {
        found.error(place, crate::postgres::start::runs_already(data, pid));
    }
    let place_of_conf = format!("{place}, postgresql.conf");
    match conf::flat(data).and_then(|flat| Conf::of(&flat, data)) {
        Ok(conf) => {
            if let Err(why) = refusals::refuse(&conf) {
                found.error(&place_of_conf, why);
            }
            for note in refusals::notes(&conf, context.pg_port) {
                found.warn(&place_of_conf, note);
            }
        }
        Err(why) => found.error(&place_of_conf, why),
    }
    let control = match Control::read(&binaries, user, data) {
        Ok(control) => control,
        Err(why) => {
            found.error(place, why);
            return Database::default();
        }
    };
    let stamped = stamped(context, data, place, control.system_id, found);
    let newest = crate::postgres::control::newest_timeline(data, &control);
    let never_used = newest.is_ok_and(|(timeline, _)| control.never_used(timeline));
    if found.of(Level::Error).count() == before {
        found.ok(
            place,
            format!(
                "PostgreSQL {}, system identifier {}, {}",
                binaries.major,
                control.system_id,
                match (stamped, never_used) {
                    (true, _) => "a copy of this cluster's",
                    (false, true) => "never used",
                    (false, false) => "used before",
                }
            ),
        );
    }
    Database {
        system_id: Some(control.system_id),
        never_used,
    }
}

/// PostgreSQL refuses a directory of another owner, and one that others may look into.
fn owner(user: &PgUser, data: &Path, place: &str, found: &mut Findings) {
    // A directory that is gone in this moment is found elsewhere.
    let Ok(metadata) = std::fs::metadata(data) else {
        return;
    };
    if metadata.uid() != user.uid.as_raw() {
        found.error(
            place,
            format!(
                "it belongs to {}, but PostgreSQL runs as {}: {}",
                name_of(Uid::from_raw(metadata.uid())),
                user.name,
                match user.switch {
                    true => format!(
                        "chown -R {0}: {1}, or name its owner by pg_user",
                        user.name,
                        data.display()
                    ),
                    false => "run yoke as its owner or as root".to_owned(),
                }
            ),
        );
    } else if metadata.mode() & 0o027 != 0 {
        found.error(
            place,
            format!(
                "others may look into it (mode {:04o}), and PostgreSQL does not start so: expected 0700 or 0750; chmod 0700 {}",
                metadata.mode() & 0o7777,
                data.display()
            ),
        );
    } else if let Err(e) = user.looking(|| std::fs::metadata(data.join("."))) {
        found.error(
            place,
            format!(
                "PostgreSQL runs as {} and cannot get there ({e}): let it pass through the directories above (chmod o+x)",
                user.name
            ),
        );
    }
}

/// Whether it is a copy of this member's. What the stamp says against it is judged as the daemon does (R14, R15).
fn stamped(
    context: &Context,
    data: &Path,
    place: &str,
    system_id: SystemId,
    found: &mut Findings,
) -> bool {
    let stamp = match stamp::read(data) {
        Ok(Some(stamp)) => stamp,
        Ok(None) => return false,
        Err(why) => {
            found.error(place, why);
            return false;
        }
    };
    if stamp.cluster != context.cluster {
        found.error(
            place,
            format!(
                "it belongs to the cluster `{}`, this is `{}`: correct `cluster` or data_dir; if the data is not needed, move it away",
                stamp.cluster, context.cluster
            ),
        );
    } else if stamp.system_id != system_id {
        found.error(
            place,
            format!(
                "its system identifier is {system_id}, its stamp says {}: the contents were exchanged; put the right ones back, or move it away",
                stamp.system_id
            ),
        );
    } else if stamp.member != context.my_name() {
        found.warn(
            place,
            format!(
                "it is a copy of {}'s, and this is {}: it will be made anew from the primary",
                stamp.member,
                context.my_name()
            ),
        );
    }
    true
}

fn programs(binaries: &Binaries, found: &mut Findings) {
    let place = binaries.dir.display();
    let Some((major, minor)) = binaries.version() else {
        return found.error(
            place,
            "`postgres --version` says nothing that can be understood: these are not PostgreSQL's programs, or they do not run here",
        );
    };
    if major != binaries.major {
        return found.error(
            place,
            format!(
                "these are the programs of PostgreSQL {major}, the data directory is of {}: install those (apt install postgresql-{0}), or correct pg_bin or data_dir",
                binaries.major
            ),
        );
    }
    match SOUND_MINORS.into_iter().find(|(of, _)| *of == major) {
        Some((_, sound)) if minor < sound => found.warn(
            place,
            format!(
                "PostgreSQL {major}.{minor}: before {major}.{sound} a server may acknowledge writes right after its start although it should wait; Yoke lets no client in meanwhile, but upgrade it"
            ),
        ),
        _ => found.ok(place, format!("PostgreSQL {major}.{minor}")),
    }
}

fn port(config: &Configuration, user: &PgUser, data: &Path, found: &mut Findings) {
    let address = SocketAddr::new(config.address(config.core.me).ip(), config.pg_port);
    let place = config.place("pg_port");
    match TcpListener::bind(address) {
        Ok(_) => found.ok(place, format!("{address} is free for PostgreSQL")),
        Err(e) if e.kind() == ErrorKind::AddrInUse => {
            match Processes::of(data.to_path_buf(), user.clone()).find().is_empty() {
                true => found.error(
                    place,
                    format!("{address} is taken, and not by the database of data_dir: stop what listens there, or choose another pg_port"),
                ),
                false => found.ok(place, format!("{address} is held by the database of data_dir")),
            }
        }
        // The daemon's own port has the same address: said there.
        Err(_) => {}
    }
}
