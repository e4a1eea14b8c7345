//! How a connection begins (R13): who is there, and is it the same cluster.
//!
//! First eight bytes whose form never changes, so that two versions can at least say that they differ; then one frame
//! each way. Whoever refuses says why, and both sides log it.

use crate::codec::{self, CodecError};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use yoke_core::member::{Member, MemberId};

/// Counts the forms of everything that is said between daemons, and between a daemon and `yokeadm`.
pub const PROTOCOL: u16 = 5;

const MAGIC: &[u8; 4] = b"YOKE";

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// Another member, that will send messages.
    Peer,
    /// An operator, who will ask one thing.
    Admin,
    /// Would a member with this introduction be let in? Nothing follows (`yoke check`).
    TryOut,
    /// Another member's guard, that wants a copy made: see `copying`.
    Copy,
}

/// How a member introduces itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hello {
    /// The cluster's name.
    pub cluster: String,
    /// Every member, in order.
    pub members: Vec<Member>,
    /// Who speaks.
    pub from: MemberId,
    /// Whom it means to speak to.
    pub to: MemberId,
    /// Where the speaker's database listens; 0 without one.
    pub postgres_port: u16,
}

/// The answer to a `Hello`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Welcome {
    /// Speak. The port of the answerer's database is given back.
    Come {
        /// Where the answerer's database listens; 0 without one.
        postgres_port: u16,
    },
    /// Not with you, because of this.
    Refused(String),
}

/// Why a connection does not come about.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The other side is no yoke daemon.
    #[error("what answers there is no yoke daemon")]
    Stranger,
    /// Another version of the protocol.
    #[error(
        "it speaks version {0} of the protocol, this daemon version {PROTOCOL}: run the same yoke on all hosts"
    )]
    Version(u16),
    /// The first bytes ask for something unknown.
    #[error("it asks for something unknown ({0})")]
    Purpose(u8),
    /// The other cluster, other members, or another host than was meant: found here.
    #[error("{0}")]
    Mismatch(String),
    /// The same, found there.
    #[error("it refuses: {0}")]
    Refused(String),
    /// The connection failed.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The connection failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl Hello {
    /// Checks another member's introduction against this member's own.
    ///
    /// # Errors
    /// What differs, and what to do, as a sentence for both logs.
    pub fn check(&self, other: &Hello) -> Result<(), String> {
        if other.cluster != self.cluster {
            return Err(format!(
                "{} belongs to the cluster `{}`, {} to `{}`: correct `cluster` or the address in one of the configurations",
                other.name(other.from),
                other.cluster,
                self.name(self.from),
                self.cluster
            ));
        }
        if other.members != self.members {
            return Err(format!(
                "{} has the members {}, {} has {}: primary, secondary and monitor have to be the same on all hosts",
                other.name(other.from),
                names(&other.members),
                self.name(self.from),
                names(&self.members)
            ));
        }
        if usize::from(other.from.0) >= self.members.len() {
            return Err(format!(
                "it says it is member number {}, which does not exist",
                other.from.0
            ));
        }
        if other.to != self.from || other.from == self.from {
            return Err(format!(
                "{} looked for {}, and this is {}: an address stands under the wrong key in one of the configurations",
                self.name(other.from),
                self.name(other.to),
                self.name(self.from)
            ));
        }
        Ok(())
    }

    fn name(&self, member: MemberId) -> &str {
        self.members
            .get(usize::from(member.0))
            .map_or("an unknown member", |m| &m.name)
    }
}

fn names(members: &[Member]) -> String {
    let each: Vec<String> = members
        .iter()
        .map(|m| format!("{} ({})", m.name, crate::show::kind(m.kind)))
        .collect();
    each.join(", ")
}

/// The eight bytes.
pub fn prelude(purpose: Purpose) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(MAGIC);
    bytes[4..6].copy_from_slice(&PROTOCOL.to_be_bytes());
    bytes[6] = match purpose {
        Purpose::Peer => 1,
        Purpose::Admin => 2,
        Purpose::TryOut => 3,
        Purpose::Copy => 4,
    };
    bytes
}

/// Writes them.
///
/// # Errors
/// The connection failed.
pub async fn write_prelude(
    to: &mut (impl AsyncWrite + Unpin),
    purpose: Purpose,
) -> std::io::Result<()> {
    to.write_all(&prelude(purpose)).await
}

/// Reads them. An answering daemon repeats the purpose that it was asked for.
///
/// # Errors
/// A stranger, another version, or an unknown purpose.
pub async fn read_prelude(from: &mut (impl AsyncRead + Unpin)) -> Result<Purpose, HandshakeError> {
    let mut bytes = [0; 8];
    from.read_exact(&mut bytes).await?;
    purpose(bytes)
}

/// What a prelude says.
///
/// # Errors
/// A stranger, another version, or an unknown purpose.
pub fn purpose(bytes: [u8; 8]) -> Result<Purpose, HandshakeError> {
    if !bytes.starts_with(MAGIC) {
        return Err(HandshakeError::Stranger);
    }
    let version = u16::from_be_bytes([bytes[4], bytes[5]]);
    if version != PROTOCOL {
        return Err(HandshakeError::Version(version));
    }
    match bytes[6] {
        1 => Ok(Purpose::Peer),
        2 => Ok(Purpose::Admin),
        3 => Ok(Purpose::TryOut),
        4 => Ok(Purpose::Copy),
        other => Err(HandshakeError::Purpose(other)),
    }
}

/// The dialler's half. Answers the port of the other's database.
///
/// # Errors
/// No yoke daemon, another version, another cluster, or the connection failed.
pub async fn dial(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    me: &Hello,
) -> Result<u16, HandshakeError> {
    introduce(stream, Purpose::Peer, me).await
}

/// Would the other take this member in? The member's own connections stay as they are.
///
/// # Errors
/// As `dial`.
pub async fn try_out(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    me: &Hello,
) -> Result<(), HandshakeError> {
    introduce(stream, Purpose::TryOut, me).await.map(|_| ())
}

async fn introduce(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    purpose: Purpose,
    me: &Hello,
) -> Result<u16, HandshakeError> {
    write_prelude(stream, purpose).await?;
    stream.write_all(&codec::frame(me)?).await?;
    read_prelude(stream).await?;
    match codec::read_frame(stream).await? {
        Welcome::Come { postgres_port } => Ok(postgres_port),
        Welcome::Refused(why) => Err(HandshakeError::Refused(why)),
    }
}

/// The listener's half, after the prelude was read. `me.to` is not looked at. Answers who is there.
///
/// # Errors
/// Another cluster, or the connection failed. The other side was told.
pub async fn accept(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    me: &Hello,
) -> Result<Hello, HandshakeError> {
    let hello: Hello = codec::read_frame(stream).await?;
    let verdict = me.check(&hello);
    let welcome = match &verdict {
        Ok(()) => Welcome::Come {
            postgres_port: me.postgres_port,
        },
        Err(why) => Welcome::Refused(why.clone()),
    };
    write_prelude(stream, Purpose::Peer).await?;
    stream.write_all(&codec::frame(&welcome)?).await?;
    match verdict {
        Ok(()) => Ok(hello),
        Err(why) => Err(HandshakeError::Mismatch(why)),
    }
}

/// The answer to a prelude of another version: ours, so that the other side can name both.
pub async fn answer_version(stream: &mut (impl AsyncWrite + Unpin)) {
    // The other side may be gone: then there is nobody to tell.
    let _ = write_prelude(stream, Purpose::Peer).await;
}

/// An address as it is logged before its owner is known.
pub fn stranger(address: SocketAddr) -> String {
    format!("a connection from {}", address.ip())
}

#[cfg(test)]
mod tests {
    use super::*;
    use yoke_core::member::MemberKind;

    fn hello(from: u8, to: u8) -> Hello {
        let member = |name: &str, kind| Member {
            name: name.to_owned(),
            kind,
        };
        Hello {
            cluster: "yoke".to_owned(),
            members: vec![
                member("data1", MemberKind::Data),
                member("data2", MemberKind::Data),
                member("monitor", MemberKind::Witness),
            ],
            from: MemberId(from),
            to: MemberId(to),
            postgres_port: 5430 + u16::from(from),
        }
    }

    /// Both halves over a pipe.
    async fn meet(
        dialler: Hello,
        listener: Hello,
    ) -> (Result<u16, HandshakeError>, Result<Hello, HandshakeError>) {
        let (mut a, mut b) = tokio::io::duplex(4096);
        let listen = async move {
            assert_eq!(read_prelude(&mut b).await?, Purpose::Peer);
            accept(&mut b, &listener).await
        };
        tokio::join!(dial(&mut a, &dialler), listen)
    }

    #[tokio::test]
    async fn members_of_one_cluster_meet() {
        let (dialled, accepted) = meet(hello(0, 1), hello(1, 1)).await;
        assert_eq!(dialled.unwrap(), 5431);
        let accepted = accepted.unwrap();
        assert_eq!((accepted.from, accepted.postgres_port), (MemberId(0), 5430));
    }

    #[tokio::test]
    async fn r13_a_mismatch_is_refused_and_said_on_both_sides() {
        let mut other_cluster = hello(0, 1);
        other_cluster.cluster = "prod".to_owned();
        let mut other_members = hello(0, 1);
        other_members.members[1].name = "beta".to_owned();
        let mut other_kind = hello(0, 1);
        other_kind.members[1].kind = MemberKind::Witness;
        let cases = [
            (
                other_cluster,
                "data1 belongs to the cluster `prod`, data2 to `yoke`",
            ),
            (
                other_members,
                "data1 has the members data1 (data), beta (data), monitor (witness), data2 has data1 (data), data2 (data)",
            ),
            (other_kind, "data2 (witness)"),
            (hello(1, 1), "data2 looked for data2, and this is data2"),
            (hello(0, 2), "data1 looked for monitor, and this is data2"),
            (hello(7, 1), "member number 7"),
        ];
        for (dialler, expected) in cases {
            let (dialled, accepted) = meet(dialler, hello(1, 1)).await;
            let (dialled, accepted) = (
                dialled.unwrap_err().to_string(),
                accepted.unwrap_err().to_string(),
            );
            assert!(accepted.contains(expected), "{accepted}");
            assert_eq!(dialled, format!("it refuses: {accepted}"));
        }
    }

    #[tokio::test]
    async fn strangers_and_other_versions_are_told_apart() {
        let read = |bytes: &'static [u8]| async move {
            let mut bytes = bytes;
            read_prelude(&mut bytes).await.unwrap_err().to_string()
        };
        assert!(read(b"GET / HTTP/1.1").await.contains("no yoke daemon"));
        assert!(read(b"YOKE\x00\x09\x01\x00").await.contains("version 9"));
        assert!(read(b"YOKE\x00\x05\x09\x00").await.contains("unknown (9)"));
    }
}
