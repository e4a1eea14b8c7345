//! Ports for the daemons and databases of tests, each given to one of them only.
//!
//! A port that the kernel gave and took back is soon given again, to a test beside this one or to an outgoing
//! connection. These lie below the range that the kernel gives from (32768 and up, `ip_local_port_range`), and a
//! socket without a file holds each port's name for as long as the test's process runs.

use std::net::{Ipv4Addr, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::atomic::{AtomicU32, Ordering};

const FIRST: u32 = 20_000;
const COUNT: u32 = 12_000;

/// A port of 127.0.0.1 that nobody has, and that no other test gets while this process runs.
pub(super) fn free_port() -> u16 {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    // Far from the ports of the process before this one: something of a failed test may still speak there.
    let start = std::process::id().wrapping_mul(101);
    for _ in 0..COUNT {
        let step = GIVEN.fetch_add(1, Ordering::Relaxed);
        let port = (FIRST + start.wrapping_add(step) % COUNT) as u16;
        let name = SocketAddr::from_abstract_name(format!("yoke-test-port-{port}"));
        let Ok(held) = name.and_then(|name| UnixListener::bind_addr(&name)) else {
            continue;
        };
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            // Held until the process ends.
            std::mem::forget(held);
            return port;
        }
    }
    panic!("no free port from {FIRST} to {}", FIRST + COUNT - 1);
}
