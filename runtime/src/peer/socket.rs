//! Options of a connection between members: nothing waits to be sent, and a dead peer is noticed.

use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::time::Duration;
use tokio::net::TcpStream;

/// What was sent and is not acknowledged for `patience` ends the connection. Without that, what the kernel sends again
/// and again in ever longer steps would hold back new messages for long after a network is whole again.
pub(super) fn prepare(stream: &TcpStream, patience: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    socket.set_tcp_user_timeout(Some(patience))?;
    // The receiving side sends nothing: only probes tell it that the sender's host is gone.
    socket.set_tcp_keepalive(
        &TcpKeepalive::new()
            .with_time(Duration::from_secs(5))
            .with_interval(Duration::from_secs(2))
            .with_retries(3),
    )
}
