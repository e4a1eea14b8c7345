//! The daemon's end of the connection to its guard.

use crate::guard::wire::{Frames, GuardReply, GuardRequest, encode};
use crate::postgres::Context;
use std::io::{Error, ErrorKind, Result};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use yoke_core::permission::GuardView;

/// The word on the command line that makes `yoke` a guard.
pub const ARGUMENT: &str = "guard";

/// A running guard. Dropping it makes the guard fence and end.
#[derive(Debug)]
pub struct GuardLink {
    requests: UnboundedSender<GuardRequest>,
    replies: UnboundedReceiver<GuardReply>,
    pid: u32,
}

impl GuardLink {
    /// Starts a guard: this program once more. Comes back once the guard has seen to what an earlier one left behind, and
    /// says what it holds; that may take as long as a hung disk keeps processes from ending.
    ///
    /// # Errors
    /// It cannot be started, or ended at once (it has said why on standard error).
    pub async fn spawn(context: &Context) -> Result<(GuardLink, GuardView)> {
        // Names the very program that runs, even if an upgrade has replaced its file.
        GuardLink::spawn_program(Path::new("/proc/self/exe"), context).await
    }

    /// The same with another program's file, which has to call [`guard::main`](crate::guard::main) when its first argument
    /// is [`ARGUMENT`].
    ///
    /// # Errors
    /// As [`spawn`](Self::spawn).
    pub async fn spawn_program(
        program: &Path,
        context: &Context,
    ) -> Result<(GuardLink, GuardView)> {
        let context = context.absolute().map_err(Error::other)?;
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let child = Command::new(program)
            .arg0("yoke")
            .arg(ARGUMENT)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .spawn()?;
        let pid = child.id();
        let (read, mut write) = UnixStream::from_std(ours)?.into_split();
        write
            .write_all(&encode(&context).map_err(Error::other)?)
            .await?;
        let (requests, to_send) = unbounded_channel();
        let (received, replies) = unbounded_channel();
        tokio::spawn(send_all(write, to_send));
        tokio::spawn(receive_all(read, received, child));
        let mut link = GuardLink {
            requests,
            replies,
            pid,
        };
        let view = link.first_view().await?;
        Ok((link, view))
    }

    async fn first_view(&mut self) -> Result<GuardView> {
        loop {
            match self.recv().await {
                Some(GuardReply::View(view)) => return Ok(view),
                Some(GuardReply::Explain(text)) => tracing::warn!("guard: {text}"),
                Some(_) => {}
                None => {
                    return Err(Error::new(
                        ErrorKind::BrokenPipe,
                        "the guard process ended as soon as it was started; it said why on standard error",
                    ));
                }
            }
        }
    }

    /// Tells the guard something. Never waits; if the guard is gone, `recv` says so.
    pub fn send(&self, request: GuardRequest) {
        // An error means that the guard is gone.
        let _ = self.requests.send(request);
    }

    /// What the guard says next; none: it is gone, and with it soon the database. May be dropped without loss.
    pub async fn recv(&mut self) -> Option<GuardReply> {
        self.replies.recv().await
    }

    /// The guard's process.
    pub fn pid(&self) -> u32 {
        self.pid
    }
}

async fn send_all(mut write: OwnedWriteHalf, mut requests: UnboundedReceiver<GuardRequest>) {
    while let Some(request) = requests.recv().await {
        match encode(&request) {
            Ok(frame) if write.write_all(&frame).await.is_ok() => {}
            Ok(_) => return,
            Err(why) => tracing::error!("not sent to the guard: {why}"),
        }
    }
    // Nobody speaks to it any more: the end of the stream tells it so.
}

async fn receive_all(
    mut read: OwnedReadHalf,
    replies: UnboundedSender<GuardReply>,
    mut child: Child,
) {
    let mut frames = Frames::default();
    let mut chunk = vec![0; 16 * 1024];
    'connected: while let Ok(n @ 1..) = read.read(&mut chunk).await {
        frames.push(&chunk[..n]);
        loop {
            match frames.take() {
                Ok(Some(reply)) => {
                    // Nobody listens any more: the guard is ending, and has to be reaped all the same.
                    let _ = replies.send(reply);
                }
                Ok(None) => break,
                Err(why) => {
                    tracing::error!("the guard cannot be understood: {why}");
                    break 'connected;
                }
            }
        }
    }
    drop(replies);
    drop(read);
    // An error means that somebody else reaped it.
    let _ = tokio::task::spawn_blocking(move || child.wait()).await;
}
