//! What the daemon is told by signals.

use crate::driver::Input;
use crate::upgrade::Successor;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::sleep;
use tracing::{error, info, warn};

/// How long an orderly end may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// And an end without order.
const ABORT: Duration = Duration::from_secs(10);

/// SIGTERM and SIGINT: an orderly end; a second one, or 60 s without it: at once. SIGUSR2: the daemon replaces itself by
/// its program's newest file. SIGHUP: the user's PostgreSQL configuration is taken in at once.
///
/// # Errors
/// The operating system refuses.
pub fn watch(
    inputs: mpsc::Sender<Input>,
    successor: Successor,
    reload: Arc<AtomicBool>,
) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            info!(
                "SIGHUP: takes in PostgreSQL's configuration again; its own is read at the daemon's start (SIGUSR2 replaces the daemon)"
            );
            reload.store(true, Ordering::SeqCst);
        }
    });
    let mut upgrade = signal(SignalKind::user_defined2())?;
    let to_driver = inputs.clone();
    tokio::spawn(async move {
        while upgrade.recv().await.is_some() {
            match successor.try_out().await {
                Ok(version) => {
                    info!("SIGUSR2: the daemon becomes {version}");
                    if to_driver.send(Input::Replace).await.is_err() {
                        return; // it ends already
                    }
                }
                Err(why) => error!("SIGUSR2: the daemon stays as it is: {why}"),
            }
        }
    });
    tokio::spawn(async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        info!("{name}: the daemon stops; a second signal ends it at once");
        if inputs.send(Input::Stop).await.is_err() {
            return; // it ends already
        }
        let why = tokio::select! {
            _ = terminate.recv() => "a second signal",
            _ = interrupt.recv() => "a second signal",
            () = sleep(PATIENCE) => "no orderly end within 60 s",
        };
        warn!("{why}: the daemon ends as it is, and its guard ends the database");
        // Fails only if it has just ended.
        let _ = inputs.send(Input::Abort).await;
        drop(inputs);
        sleep(ABORT).await;
        error!(
            "the daemon hangs and is given up; its guard keeps the database until its permission ends"
        );
        std::process::exit(1);
    });
    Ok(())
}
