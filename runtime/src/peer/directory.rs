//! Where the members are, where their databases listen, and why one cannot be reached.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use yoke_core::member::MemberId;

/// The members' addresses as configured, and their PostgreSQL ports as they themselves said in the handshake: no
/// configuration names another host's port.
#[derive(Debug)]
pub struct Directory {
    daemons: Vec<SocketAddr>,
    /// 0: not heard yet.
    postgres_ports: Vec<AtomicU16>,
    /// Why a member's daemon is not connected.
    troubles: Mutex<Vec<Option<String>>>,
}

impl Directory {
    /// Nobody heard yet.
    pub fn new(daemons: Vec<SocketAddr>) -> Self {
        let postgres_ports = daemons.iter().map(|_| AtomicU16::new(0)).collect();
        let troubles = Mutex::new(vec![None; daemons.len()]);
        Directory {
            daemons,
            postgres_ports,
            troubles,
        }
    }

    /// Why the member's daemon is not connected; none: it is, or was not tried yet.
    pub fn trouble(&self, member: MemberId) -> Option<String> {
        self.troubles().get(usize::from(member.0))?.clone()
    }

    /// Notes that it is connected, or why not.
    pub fn note_trouble(&self, member: MemberId, trouble: Option<String>) {
        if let Some(known) = self.troubles().get_mut(usize::from(member.0)) {
            *known = trouble;
        }
    }

    /// Whole whatever happened to another thread: every change is one assignment.
    fn troubles(&self) -> MutexGuard<'_, Vec<Option<String>>> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the member's daemon listens.
    pub fn daemon(&self, member: MemberId) -> Option<SocketAddr> {
        self.daemons.get(usize::from(member.0)).copied()
    }

    /// Where the member's database listens; none before its daemon was heard for the first time.
    pub fn postgres(&self, member: MemberId) -> Option<SocketAddr> {
        let port = self.postgres_ports.get(usize::from(member.0))?;
        match port.load(Ordering::Relaxed) {
            0 => None,
            port => Some(SocketAddr::new(self.daemon(member)?.ip(), port)),
        }
    }

    /// Notes what the member said. 0, from one without a database, changes nothing.
    pub fn note_postgres(&self, member: MemberId, port: u16) {
        if let Some(known) = self.postgres_ports.get(usize::from(member.0))
            && port != 0
        {
            known.store(port, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_where_its_daemon_is_at_the_port_that_it_said() {
        let directory = Directory::new(vec!["10.0.0.1:4400".parse().unwrap()]);
        assert_eq!(directory.postgres(MemberId(0)), None);
        directory.note_postgres(MemberId(0), 5433);
        directory.note_postgres(MemberId(0), 0);
        directory.note_postgres(MemberId(9), 5432);
        let found = directory.postgres(MemberId(0)).unwrap();
        assert_eq!(found.to_string(), "10.0.0.1:5433");
        assert_eq!(directory.postgres(MemberId(9)), None);
    }
}
