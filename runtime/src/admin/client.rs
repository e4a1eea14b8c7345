//! The asking side: what `yokeadm` uses.

use super::protocol::{Report, Request, Response};
use crate::codec::{self, CodecError};
use crate::peer::handshake::{self, HandshakeError, Purpose};
use std::io;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Why a daemon was not asked, or did not answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens there.
    #[error(
        "no yoke daemon answers at {address} ({source}): does it run there? Another host or port is given by -H and -p"
    )]
    Connect {
        /// Where.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// Nothing came in time.
    #[error("{address} did not answer within {} s: is the host reachable, and the daemon not stopped?", .patience.as_secs())]
    Timeout {
        /// Where.
        address: String,
        /// How long it was waited for.
        patience: Duration,
    },
    /// Something else listens there, or another version.
    #[error("{address}: {source}")]
    Handshake {
        /// Where.
        address: String,
        /// Why.
        source: HandshakeError,
    },
    /// The answer cannot be read.
    #[error("{address} broke off: {source}")]
    Codec {
        /// Where.
        address: String,
        /// Why.
        source: CodecError,
    },
    /// The daemon says why not.
    #[error("{address} says: {why}")]
    Failed {
        /// Where.
        address: String,
        /// What it says.
        why: String,
    },
}

impl ClientError {
    /// Why, in a few words: for where it is clear whom it is about.
    pub fn brief(&self) -> String {
        match self {
            ClientError::Connect { source, .. } => match source.kind() {
                io::ErrorKind::ConnectionRefused => "no daemon runs there".to_owned(),
                _ => source.to_string(),
            },
            ClientError::Timeout { patience, .. } => {
                format!("no answer within {} s", patience.as_secs())
            }
            ClientError::Handshake { source, .. } => source.to_string(),
            ClientError::Codec { source, .. } => format!("it broke off: {source}"),
            ClientError::Failed { why, .. } => why.clone(),
        }
    }
}

/// Asks one daemon one thing. `address` is `HOST:PORT`.
///
/// # Errors
/// Nobody answers there, or not in time.
pub async fn ask(
    address: &str,
    request: &Request,
    patience: Duration,
) -> Result<Response, ClientError> {
    let address = address.to_owned();
    match timeout(patience, converse(&address, request)).await {
        Ok(result) => result,
        Err(_) => Err(ClientError::Timeout { address, patience }),
    }
}

/// Asks one daemon what it sees.
///
/// # Errors
/// Nobody answers there, or not in time.
pub async fn report(address: &str, patience: Duration) -> Result<Report, ClientError> {
    match ask(address, &Request::List, patience).await? {
        Response::Report(report) => Ok(*report),
        Response::Demote(_) | Response::Lost(_) => Err(ClientError::Failed {
            address: address.to_owned(),
            why: "an answer to another question".to_owned(),
        }),
        Response::Failed(why) => Err(ClientError::Failed {
            address: address.to_owned(),
            why,
        }),
    }
}

async fn converse(address: &str, request: &Request) -> Result<Response, ClientError> {
    let codec_error = |source| ClientError::Codec {
        address: address.to_owned(),
        source,
    };
    let handshake_error = |source| ClientError::Handshake {
        address: address.to_owned(),
        source,
    };
    let mut stream = TcpStream::connect(address)
        .await
        .map_err(|source| ClientError::Connect {
            address: address.to_owned(),
            source,
        })?;
    handshake::write_prelude(&mut stream, Purpose::Admin)
        .await
        .map_err(|e| handshake_error(e.into()))?;
    handshake::read_prelude(&mut stream)
        .await
        .map_err(handshake_error)?;
    let frame = codec::frame(request).map_err(codec_error)?;
    stream
        .write_all(&frame)
        .await
        .map_err(|e| codec_error(e.into()))?;
    codec::read_frame(&mut stream).await.map_err(codec_error)
}
