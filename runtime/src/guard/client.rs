//! The daemon's end of the connection to its guard.

use crate::guard::hello::{self, GREETING, Hello, PROTOCOL};
use crate::guard::wire::{Frames, GuardReply, GuardRequest, encode};
use crate::postgres::Context;
use crate::state_file::Lock;
use nix::unistd::Uid;
use std::io::{Error, ErrorKind, Result, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{sleep, timeout};
use yoke_core::permission::GuardView;

/// The word on the command line that makes `yoke` a guard; the status directory follows.
pub const ARGUMENT: &str = "guard";

/// How long a guard may take to listen and to say which language it speaks.
const PATIENCE: Duration = Duration::from_secs(15);
const LOOK: Duration = Duration::from_millis(5);
/// How often a long wait for its first view is complained of.
const COMPLAIN: Duration = Duration::from_secs(10);

/// A running guard. Dropping it leaves guard and database as they are, for the next daemon.
#[derive(Debug)]
pub struct GuardLink {
    requests: UnboundedSender<GuardRequest>,
    replies: UnboundedReceiver<GuardReply>,
    pid: u32,
}

impl GuardLink {
    /// Connects to the guard of the status directory, or starts one: this program once more. `lock`: the proof that this
    /// daemon is the one to be heard. Comes back once the guard has seen to what an earlier one left behind, and says
    /// what it holds; that may take as long as a hung disk keeps processes from ending.
    ///
    /// # Errors
    /// It cannot be started or understood, or does not hear this daemon.
    pub async fn connect(context: &Context, lock: &Lock) -> Result<(GuardLink, GuardView)> {
        // Names the very program that runs, even if an upgrade has replaced its file.
        GuardLink::connect_or_run(Path::new("/proc/self/exe"), context, lock).await
    }

    /// The same with another program's file, which has to call [`guard::main`](crate::guard::main) when its first argument
    /// is [`ARGUMENT`].
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn connect_or_run(
        program: &Path,
        context: &Context,
        lock: &Lock,
    ) -> Result<(GuardLink, GuardView)> {
        let context = context.absolute().map_err(Error::other)?;
        let deadline = Instant::now() + PATIENCE;
        let mut child: Option<Child> = None;
        loop {
            if let Some(mut link) = meet(&context, lock).await?
                && let Some(view) = link.first_view().await?
            {
                if let Some(mut child) = child {
                    // A thread of its own, because nothing waits for it: the guard may well outlive this process.
                    std::thread::spawn(move || child.wait());
                }
                return Ok((link, view));
            }
            if Instant::now() > deadline {
                return Err(Error::new(
                    ErrorKind::TimedOut,
                    format!(
                        "no guard listens at {} within {} s",
                        hello::socket_path(&context.status_dir).display(),
                        PATIENCE.as_secs()
                    ),
                ));
            }
            match &mut child {
                None => child = Some(start(program, &context)?),
                Some(child) => {
                    if let Some(status) = child.try_wait()? {
                        return Err(Error::new(
                            ErrorKind::BrokenPipe,
                            format!(
                                "the guard process ended as soon as it was started ({status}); it said why on standard error"
                            ),
                        ));
                    }
                }
            }
            sleep(LOOK).await;
        }
    }

    /// None: it was just ending.
    async fn first_view(&mut self) -> Result<Option<GuardView>> {
        loop {
            match timeout(COMPLAIN, self.recv()).await {
                Err(_) => tracing::warn!(
                    "the guard (process {}) still does not say what it holds: it waits for processes of an earlier PostgreSQL to end, or is stopped itself",
                    self.pid
                ),
                Ok(Some(GuardReply::View(view))) => return Ok(Some(view)),
                Ok(Some(GuardReply::Explain(text))) => tracing::warn!("guard: {text}"),
                Ok(Some(GuardReply::Refused(why))) => {
                    return Err(Error::other(format!(
                        "the guard (process {}) does not hear this daemon: {why}",
                        self.pid
                    )));
                }
                Ok(Some(_)) => {}
                Ok(None) => return Ok(None),
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

    /// Hangs up, as dropping it does: guard and database stay as they are.
    pub fn hang_up(&mut self) {
        self.requests = unbounded_channel().0;
        self.replies.close();
    }

    /// The guard's process.
    pub fn pid(&self) -> u32 {
        self.pid
    }
}

/// Starts a guard.
fn start(program: &Path, context: &Context) -> Result<Child> {
    let mut child = Command::new(program)
        .arg0("yoke")
        .arg(ARGUMENT)
        .arg(&context.status_dir)
        .env_remove(crate::upgrade::LOCK_VARIABLE)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // Fits into a pipe's buffer. An error means that it has ended, which is seen by its status.
        let _ = stdin.write_all(&encode(context).map_err(Error::other)?);
    }
    Ok(child)
}

/// Connects to a guard that listens; none: there is none, or it is just ending.
async fn meet(context: &Context, lock: &Lock) -> Result<Option<GuardLink>> {
    let path = hello::socket_path(&context.status_dir);
    let mut stream = match UnixStream::connect(&path).await {
        Ok(stream) => stream,
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(e) => {
            return Err(Error::new(
                e.kind(),
                format!("cannot connect to {}: {e}", path.display()),
            ));
        }
    };
    let guard = stream.peer_cred()?;
    if guard.uid() != Uid::effective().as_raw() {
        return Err(Error::new(
            ErrorKind::PermissionDenied,
            format!(
                "what listens at {} runs as another user (id {}) than this daemon: it is not its guard",
                path.display(),
                guard.uid()
            ),
        ));
    }
    let pid = guard.pid().unwrap_or_default();
    stream.writable().await?;
    stream.try_io(Interest::WRITABLE, || {
        Ok(hello::greet(stream.as_fd(), lock.as_fd())?)
    })?;
    let mut greeting = [0; GREETING];
    match timeout(PATIENCE, stream.read_exact(&mut greeting)).await {
        Ok(Ok(_)) => {}
        Ok(Err(_)) => return Ok(None),
        Err(_) => {
            return Err(Error::new(
                ErrorKind::TimedOut,
                format!(
                    "the guard (process {pid}) accepts a connection and says nothing: is it stopped?"
                ),
            ));
        }
    }
    match hello::protocol_of(&greeting).map_err(Error::other)? {
        PROTOCOL => {}
        other => {
            let lock = hello::lock_path(&context.status_dir);
            let who = std::fs::read_to_string(lock).unwrap_or_default();
            return Err(Error::other(format!(
                "the guard that runs ({}) speaks form {other} of its language, this yoke speaks form {PROTOCOL}. It goes on guarding its database. \
                 Start the version of yoke that it is of; to change to this one, stop that daemon in order (SIGTERM: the database stops, or is handed over), then start this one",
                who.trim()
            )));
        }
    }
    let hello = Hello {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        context: context.clone(),
    };
    let frame = encode(&hello).map_err(Error::other)?;
    // An error means that it hung up, and reading says why.
    let _ = stream.write_all(&frame).await;
    let (read, write) = stream.into_split();
    let (requests, to_send) = unbounded_channel();
    let (received, replies) = unbounded_channel();
    tokio::spawn(send_all(write, to_send));
    tokio::spawn(receive_all(read, received));
    Ok(Some(GuardLink {
        requests,
        replies,
        pid: pid.unsigned_abs(),
    }))
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

async fn receive_all(mut read: OwnedReadHalf, replies: UnboundedSender<GuardReply>) {
    let mut frames = Frames::default();
    let mut chunk = vec![0; 16 * 1024];
    while let Ok(n @ 1..) = read.read(&mut chunk).await {
        frames.push(&chunk[..n]);
        loop {
            match frames.take() {
                Ok(Some(reply)) => {
                    if replies.send(reply).is_err() {
                        return; // nobody listens any more
                    }
                }
                Ok(None) => break,
                Err(why) => return tracing::error!("the guard cannot be understood: {why}"),
            }
        }
    }
}
