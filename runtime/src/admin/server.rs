//! The daemon's side of an operator's connection.

use super::protocol::{Request, Response};
use crate::codec::{self, CodecError};
use crate::driver::Input;
use crate::peer::handshake::{self, Purpose};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// How long an operator's program may take to ask.
const ASK: Duration = Duration::from_secs(3);
/// How long any answer may take; a hand-over of a busy database waits for its checkpoint.
const ANSWER: Duration = Duration::from_secs(600);

/// Answers one question. The prelude was read.
///
/// # Errors
/// The connection failed, or what was asked is unknown.
pub async fn serve(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    inputs: &mpsc::Sender<Input>,
) -> Result<(), CodecError> {
    handshake::write_prelude(stream, Purpose::Admin).await?;
    let request: Request = timeout(ASK, codec::read_frame(stream))
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    let (answer, answered) = oneshot::channel();
    let asked = inputs.send(Input::Operator { request, answer }).await;
    let response = match (asked, timeout(ANSWER, answered).await) {
        (Ok(()), Ok(Ok(response))) => response,
        (Ok(()), Err(_)) => Response::Failed("nothing came of it for too long".to_owned()),
        _ => Response::Failed("the daemon is about to end".to_owned()),
    };
    stream.write_all(&codec::frame(&response)?).await?;
    stream.shutdown().await?;
    Ok(())
}
