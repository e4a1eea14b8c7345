//! The connection to one other member: dialled, kept up, fed from its mailbox.

use super::handshake::{self, HandshakeError};
use super::{Directory, Hello, Mailbox, socket};
use crate::codec;
use crate::log::Repeated;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tracing::{info, warn};

const BACKOFF_LEAST: Duration = Duration::from_millis(100);
const BACKOFF_MOST: Duration = Duration::from_secs(1);

/// One member that is to be reached.
#[derive(Debug)]
pub struct Link {
    /// How this member introduces itself to that one.
    pub hello: Hello,
    /// Where the members are.
    pub directory: Arc<Directory>,
    /// What is to be sent.
    pub mailbox: Arc<Mailbox>,
    /// How long the other may take to acknowledge anything.
    pub patience: Duration,
}

/// Why a connection ended, or did not come about.
#[derive(Debug, thiserror::Error)]
enum LinkError {
    #[error("no answer within {} ms", .0.as_millis())]
    Patience(Duration),
    #[error("it closed the connection")]
    Closed,
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    #[error(transparent)]
    Codec(#[from] codec::CodecError),
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl Link {
    /// Connects, sends, connects again; ends when its mailbox is finished and empty.
    pub async fn run(self) {
        let Some(address) = self.directory.daemon(self.hello.to) else {
            return;
        };
        let name = self.name().to_owned();
        let mut backoff = BACKOFF_LEAST;
        let mut said = Repeated::default();
        loop {
            let patience = Err(LinkError::Patience(self.patience));
            match timeout(self.patience, self.connect(address))
                .await
                .unwrap_or(patience)
            {
                Ok(stream) => {
                    info!("connected to {name} at {address}");
                    self.directory.note_trouble(self.hello.to, None);
                    said = Repeated::default();
                    backoff = BACKOFF_LEAST;
                    let Some(error) = self.feed(stream).await else {
                        return;
                    };
                    warn!("the connection to {name} at {address} ended: {error}");
                    self.trouble(&error);
                }
                Err(error) => {
                    self.trouble(&error);
                    said.say(&error.to_string(), |why, again| {
                        warn!("cannot reach {name} at {address}: {why}{again}");
                    });
                }
            }
            if self.mailbox.is_finished() {
                return;
            }
            tokio::time::sleep(backoff).await;
            backoff = (backoff * 2).min(BACKOFF_MOST);
        }
    }

    async fn connect(&self, address: std::net::SocketAddr) -> Result<TcpStream, LinkError> {
        let mut stream = TcpStream::connect(address).await?;
        socket::prepare(&stream, self.patience)?;
        let port = handshake::dial(&mut stream, &self.hello).await?;
        self.directory.note_postgres(self.hello.to, port);
        Ok(stream)
    }

    /// Sends what the mailbox holds until the connection ends; none: until the mailbox does.
    async fn feed(&self, mut stream: TcpStream) -> Option<LinkError> {
        self.mailbox.clear();
        let (mut reader, mut writer) = stream.split();
        let send = async {
            while let Some(message) = self.mailbox.take().await {
                let frame = codec::frame(&message)?;
                timeout(self.patience, writer.write_all(&frame))
                    .await
                    .map_err(|_| LinkError::Patience(self.patience))??;
            }
            Ok(())
        };
        // Nothing is ever said back: whatever comes is the end.
        let closed = async {
            match reader.read(&mut [0; 1]).await {
                Ok(_) => LinkError::Closed,
                Err(error) => error.into(),
            }
        };
        tokio::select! {
            sent = send => sent.err(),
            error = closed => Some(error),
        }
    }

    fn trouble(&self, why: &LinkError) {
        self.directory
            .note_trouble(self.hello.to, Some(why.to_string()));
    }

    fn name(&self) -> &str {
        &self.hello.members[usize::from(self.hello.to.0)].name
    }
}
