//! The primary's daemon: runs its own configured command for a member that asks, and for nobody else; nothing of what was
//! asked goes into it but a directory's name that no shell can misread.

use super::backup::{self, Backup};
use super::template;
use super::wire::{Answer, Ask, STILL};
use crate::codec::{self, CodecError};
use crate::hooks::Standing;
use crate::peer::Hello;
use crate::postgres::{Context, Said};
use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Mutex, watch};
use tokio::time::timeout;
use tracing::{info, warn};

/// How long the standby may take to ask, and to begin to stream the write-ahead log.
const ASK: Duration = Duration::from_secs(5);
const BEGIN: Duration = Duration::from_secs(60);

/// What copies are made by.
#[derive(Debug)]
pub struct Copies {
    context: Context,
    command: Option<String>,
    standing: watch::Receiver<Standing>,
    one_at_a_time: Mutex<()>,
}

impl Copies {
    /// None is under way.
    pub fn new(
        context: Context,
        command: Option<String>,
        standing: watch::Receiver<Standing>,
    ) -> Copies {
        Copies {
            context,
            command,
            standing,
            one_at_a_time: Mutex::new(()),
        }
    }

    /// Serves one member, which has introduced itself and connects from `ip`.
    ///
    /// # Errors
    /// The connection failed.
    pub async fn serve(
        &self,
        stream: TcpStream,
        hello: &Hello,
        ip: IpAddr,
    ) -> Result<(), CodecError> {
        let name = self.context.name(hello.from);
        let (mut read, mut write) = stream.into_split();
        let Ask::Copy { directory } = within(ASK, codec::read_frame(&mut read)).await? else {
            return Ok(()); // it says nothing that makes sense
        };
        let answer = match &self.command {
            None => Answer::NoCommand,
            Some(command) => {
                let place = template::fill(
                    command,
                    &self.context.real_data_dir(),
                    Path::new(&directory),
                    ip,
                );
                let made = match (self.refusal(command, hello, ip), place) {
                    (Some(why), _) | (None, Err(why)) => Err(why),
                    (None, Ok(line)) => self.copy(&line, name, &mut read, &mut write).await,
                };
                match made {
                    Ok(answer) => answer,
                    Err(why) => {
                        warn!("no copy for {name} by sync_command: {why}");
                        Answer::Failed(why)
                    }
                }
            }
        };
        send(&mut write, &answer).await?;
        write.shutdown().await?;
        Ok(())
    }

    fn refusal(&self, command: &str, hello: &Hello, ip: IpAddr) -> Option<String> {
        let configured = self.context.daemons.get(usize::from(hello.from.0))?.ip();
        if ip != configured {
            return Some(format!(
                "it was asked for from {ip}, and that member is configured at {configured}"
            ));
        }
        if configured != self.context.advertise_ip && !template::names_the_host(command) {
            return Some(format!(
                "sync_command does not name {{{{slave_ip}}}}, so it would copy to this host and not to {configured}"
            ));
        }
        None
    }

    async fn copy(
        &self,
        line: &str,
        name: &str,
        read: &mut OwnedReadHalf,
        write: &mut OwnedWriteHalf,
    ) -> Said<Answer> {
        let Ok(_alone) = self.one_at_a_time.try_lock() else {
            return Err("another copy is under way".into());
        };
        let mut standing = self.standing.clone();
        let run = standing
            .borrow_and_update()
            .primary
            .ok_or("this member's database is not the primary")?;
        let backup = Backup::prepare(&self.context, name).await?;
        let gone = |e: CodecError| format!("the connection to {name} ended: {e}");
        let ready = Answer::Ready {
            total: backup.total,
        };
        send(write, &ready).await.map_err(gone)?;
        match within(BEGIN, codec::read_frame(read)).await.map_err(gone)? {
            Ask::Begin => {}
            Ask::Copy { .. } => return Err("it asks twice".into()),
        }
        info!("copying to {name} by sync_command: {line}");
        // Dropped at any await, it ends the command and the backup.
        let mut work = std::pin::pin!(backup.make(line));
        let mut still = tokio::time::interval(STILL);
        let mut byte = [0];
        loop {
            tokio::select! {
                made = &mut work => {
                    let backup::Made { label, last_wal } = made?;
                    info!("copied to {name} by sync_command");
                    return Ok(Answer::Copied { label, last_wal });
                }
                _ = still.tick() => send(write, &Answer::Still).await.map_err(gone)?,
                // It has nothing more to say: it hangs up when it does not want the copy any more, or has ended.
                _ = read.read(&mut byte) => return Err(format!("{name} does not wait for it any more")),
                changed = standing.changed() => {
                    if changed.is_err() || standing.borrow_and_update().primary != Some(run) {
                        return Err("this member's database is not the primary any more".into());
                    }
                }
            }
        }
    }
}

async fn send(write: &mut OwnedWriteHalf, answer: &Answer) -> Result<(), CodecError> {
    Ok(write.write_all(&codec::frame(answer)?).await?)
}

async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, CodecError>>,
) -> Result<T, CodecError> {
    timeout(limit, work)
        .await
        .map_err(|_| std::io::Error::from(ErrorKind::TimedOut))?
}
