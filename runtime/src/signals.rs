//! What the daemon is told by signals.

use crate::driver::Input;
use std::io;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::sleep;
use tracing::{info, warn};

/// How long an orderly end may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// SIGTERM and SIGINT: an orderly end; a second one, or 60 s without it: at once. SIGHUP: nothing yet, but said.
///
/// # Errors
/// The operating system refuses.
pub fn watch(inputs: mpsc::Sender<Input>) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            warn!(
                "SIGHUP: a configuration is read only at the start in this version; restart the daemon instead"
            );
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
        drop(inputs);
        let why = tokio::select! {
            _ = terminate.recv() => "a second signal",
            _ = interrupt.recv() => "a second signal",
            () = sleep(PATIENCE) => "no orderly end within 60 s",
        };
        warn!("{why}: the daemon ends as it is, and its guard ends the database");
        std::process::exit(1);
    });
    Ok(())
}
