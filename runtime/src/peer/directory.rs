//! Where the members are, and where their databases listen.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering};
use yoke_core::member::MemberId;

/// The members' addresses as configured, and their PostgreSQL ports as they themselves said in the handshake: no
/// configuration names another host's port.
#[derive(Debug)]
pub struct Directory {
    daemons: Vec<SocketAddr>,
    /// 0: not heard yet.
    postgres_ports: Vec<AtomicU16>,
}

impl Directory {
    /// Nobody heard yet.
    pub fn new(daemons: Vec<SocketAddr>) -> Self {
        let postgres_ports = daemons.iter().map(|_| AtomicU16::new(0)).collect();
        Directory {
            daemons,
            postgres_ports,
        }
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
