//! What every daemon needs of its host: a status directory, an account for PostgreSQL, its own address.

use super::{Findings, space};
use crate::config::Configuration;
use crate::postgres::context::resolve;
use crate::postgres::user::PgUser;
use nix::fcntl::AtFlags;
use nix::unistd::{AccessFlags, Uid, User, faccessat};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// With less the state cannot be written for long.
const LEAST_STATUS_ROOM: u64 = 1 << 20;
const LOW_STATUS_ROOM: u64 = 64 << 20;

/// Judges what needs no lock and no port. Changes nothing.
pub fn judge(config: &Configuration, found: &mut Findings) {
    let user = account(config, found);
    status_dir(config, user.as_ref(), found);
}

fn account(config: &Configuration, found: &mut Findings) -> Option<PgUser> {
    match PgUser::of(&config.context()?) {
        Ok(user) => Some(user),
        Err(why) => {
            found.error(config.place("pg_user"), why);
            None
        }
    }
}

fn status_dir(config: &Configuration, user: Option<&PgUser>, found: &mut Findings) {
    let place = || format!("{} (status_dir)", config.status_dir.display());
    let before = found.of(super::Level::Error).count();
    let Some((dir, metadata)) = nearest(&config.status_dir) else {
        return;
    };
    if !metadata.is_dir() {
        let what = if dir == config.status_dir {
            "it"
        } else {
            "a part of the path"
        };
        return found.error(
            place(),
            format!(
                "{what} is no directory ({}): name another status_dir, or move that away",
                dir.display()
            ),
        );
    }
    if let Err(e) = may_write(dir) {
        found.error(
            place(),
            format!(
                "{} cannot be written to by the account that runs yoke, {} ({e}): make it that account's (chown), or run yoke as its owner, {}",
                dir.display(),
                name_of(Uid::effective()),
                name_of(Uid::from_raw(metadata.uid())),
            ),
        );
    }
    space::judge(
        found,
        dir,
        "the daemon's state",
        LEAST_STATUS_ROOM,
        LOW_STATUS_ROOM,
    );
    if let Some(data) = &config.data_dir
        && resolve(&config.status_dir).starts_with(resolve(data))
    {
        found.error(
            place(),
            format!(
                "it leads into data_dir, {}, whose contents are replaced when a standby is made anew: put it beside",
                resolve(data).display()
            ),
        );
    }
    if let Some(user) = user
        && let Err(e) = user.looking(|| std::fs::metadata(dir.join(".")))
    {
        found.error(
            place(),
            format!(
                "PostgreSQL runs as {} and cannot get there ({e}), but reads its settings there: let everybody pass through the directories above (chmod o+x)",
                user.name
            ),
        );
    }
    if dir != config.status_dir {
        if found.of(super::Level::Error).count() == before {
            found.ok(place(), "does not exist yet: the daemon makes it");
        }
        return;
    }
    let owner = Uid::from_raw(metadata.uid());
    let trusted =
        owner.is_root() || owner == Uid::effective() || user.is_none_or(|user| owner == user.uid);
    if !trusted {
        found.warn(
            place(),
            format!("it belongs to {}, who could change what the daemon wrote: make it root's or PostgreSQL's", name_of(owner)),
        );
    }
    if metadata.mode() & 0o002 != 0 {
        found.warn(
            place(),
            "everybody may write there, and so replace what the daemon wrote: chmod o-w",
        );
    }
    if found.of(super::Level::Error).count() == before {
        found.ok(place(), "can be written to");
    }
}

/// The path, or what exists of it.
fn nearest(path: &Path) -> Option<(&Path, std::fs::Metadata)> {
    path.ancestors()
        .find_map(|dir| std::fs::metadata(dir).ok().map(|metadata| (dir, metadata)))
}

/// Whether this process may make files there.
pub(super) fn may_write(dir: &Path) -> io::Result<()> {
    let wanted = AccessFlags::W_OK | AccessFlags::X_OK;
    Ok(faccessat(
        nix::fcntl::AT_FDCWD,
        dir,
        wanted,
        AtFlags::AT_EACCESS,
    )?)
}

/// An account's name, or its number where it has none.
pub(super) fn name_of(uid: Uid) -> String {
    match User::from_uid(uid) {
        Ok(Some(user)) => user.name,
        _ => format!("the user id {uid}"),
    }
}

/// Why a daemon cannot listen at its own address, and what to do.
pub fn cannot_listen(address: SocketAddr, error: &io::Error) -> String {
    let why = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "the port is taken: stop what listens there, or choose another advertise_port"
        }
        io::ErrorKind::AddrNotAvailable => {
            "this host does not have that address: correct advertise_ip"
        }
        io::ErrorKind::PermissionDenied => {
            "only root may listen there: choose an advertise_port from 1024 on"
        }
        _ => return format!("cannot listen at {address}: {error}"),
    };
    format!("cannot listen at {address}: {why}")
}
