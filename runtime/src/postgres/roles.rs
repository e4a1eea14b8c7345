//! Our own roles in the database: `yoke`, the daemon's, and `yoke_replica`, under which standbys and clones stream
//! and a rewind reads.
//!
//! A fresh or adopted database has neither. Until then the daemon comes in as the superuser that `initdb` named after the
//! user that ran it; both are made once the database is seen as a writable primary.

use crate::postgres::names::{REPLICATION_ROLE, ROLE};
use crate::postgres::user::PgUser;
use crate::postgres::{Said, files};
use std::path::{Path, PathBuf};

/// What pg_rewind reads the source by, in the database that both it and the daemon connect to. It shows no file outside
/// the data directory, and so nothing that a base backup does not.
const READS: [&str; 4] = [
    "pg_ls_dir(text, boolean, boolean)",
    "pg_stat_file(text, boolean)",
    "pg_read_binary_file(text)",
    "pg_read_binary_file(text, bigint, bigint, boolean)",
];

/// In the data directory, so that a copy carries it along: our roles are in these data.
fn note(data: &Path) -> PathBuf {
    data.join("yoke.roles")
}

/// Whether our roles are known to be in the database: then the first superuser needs no rule of its own any more.
pub(crate) fn roles_seen(data: &Path) -> bool {
    note(data).exists()
}

/// Notes that our roles are in the database.
///
/// # Errors
/// The note cannot be written.
pub(crate) fn note_roles(data: &Path, user: &PgUser) -> Said<()> {
    if roles_seen(data) {
        return Ok(());
    }
    files::replace(&note(data), b"Yoke's roles are in this database.\n", user)
}

/// How many of our roles exist with the rights that they need: 2 is all of them.
pub(crate) fn count_sql() -> String {
    let may_read = READS.map(|function| {
        format!(" AND has_function_privilege(oid, 'pg_catalog.{function}', 'EXECUTE')")
    });
    format!(
        "SELECT count(*) FROM pg_catalog.pg_roles WHERE rolcanlogin AND (rolname = '{ROLE}' AND rolsuper OR rolname = '{REPLICATION_ROLE}' AND rolreplication{})",
        may_read.concat()
    )
}

/// Makes them, or gives them back what they need. Waits for no standby: the session is at `synchronous_commit=local`.
pub(crate) fn make_sql() -> String {
    let mut statements = [(ROLE, "SUPERUSER"), (REPLICATION_ROLE, "REPLICATION")]
        .map(|(role, right)| {
            format!(
                "DO $$ BEGIN IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = '{role}') THEN ALTER ROLE {role} LOGIN {right}; ELSE CREATE ROLE {role} LOGIN {right}; END IF; END $$;"
            )
        })
        .to_vec();
    statements.extend(READS.map(|function| {
        format!("GRANT EXECUTE ON FUNCTION pg_catalog.{function} TO {REPLICATION_ROLE};")
    }));
    statements.join("\n")
}
