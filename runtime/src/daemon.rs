//! `yoke CONFIG`: puts the parts together and runs them.

use crate::admin::{desk::Desk, protocol::MemberEntry};
use crate::check::{self, Findings, Level};
use crate::config::{ConfigError, Configuration};
use crate::copying::Copies;
use crate::driver::{Driver, Input, Parts};
use crate::guard::GuardLink;
use crate::hands::{Hands, HandsError};
use crate::hooks::{Announcer, Roles, Standing};
use crate::peer::listen::Listen;
use crate::peer::{Directory, Mailbox, link::Link};
use crate::persister::Persister;
use crate::postgres::data_lock::{DataLock, Refused};
use crate::postgres::{Context, Sessions};
use crate::state_file::{Lock, StateError, StatusDir};
use crate::upgrade::Successor;
use crate::{clock, log, signals};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::{info, warn};
use yoke_core::event::Boot;
use yoke_core::member::MemberId;
use yoke_core::permission::GuardView;

/// How many inputs may wait for the driver before whoever has another one waits too.
const INPUTS: usize = 256;

/// How long another member may at most take to acknowledge what is sent.
const PATIENCE: yoke_core::Duration = yoke_core::Duration::secs(2);
/// How long the last messages may take to leave.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// Why the daemon does not start, or ends.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The state cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The host is not fit for it: what was found, and what to do.
    #[error("{0}")]
    Unfit(String),
    /// There is no guard.
    #[error("there is no guard: {0}")]
    Guard(io::Error),
    /// The guard is gone.
    #[error(transparent)]
    Hands(#[from] HandsError),
    /// The operating system refuses something basic.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
}

/// Runs a daemon until it is told to stop.
///
/// # Errors
/// Why it does not start, or ended.
pub fn run(path: &Path) -> Result<(), DaemonError> {
    let config = Configuration::load(path)?;
    log::begin(config.log_level);
    for warning in &config.warnings {
        warn!("{}: {warning}", path.display());
    }
    end_on_panic();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(system("no threads can be started"))?;
    let result = runtime.block_on(serve(config));
    // A step or a connection that still hangs must not hold back the end.
    runtime.shutdown_background();
    result
}

async fn serve(config: Configuration) -> Result<(), DaemonError> {
    let core = &config.core;
    let me = core.me;
    let mut found = Findings::default();
    check::host::judge(&config, &mut found);
    say(&found, Level::Warning);
    found.refuse(&config.file).map_err(DaemonError::Unfit)?;
    let status_dir = StatusDir::lock(&config.status_dir)?;
    let lock = status_dir.held();
    let successor = Successor::of_this(lock.clone())
        .map_err(system("the path of this program cannot be told"))?;
    let names: Vec<String> = core.members.iter().map(|m| m.name.clone()).collect();
    let state = status_dir.load(&names)?;
    let _data_lock = lock_data(&config, state.is_some())?;
    judge_database(&config, state.is_some())?;
    let listeners = listen(&config).await?;

    let (inputs, to_driver) = mpsc::channel(INPUTS);
    let reload = Arc::new(AtomicBool::new(false));
    signals::watch(inputs.clone(), successor.clone(), Arc::clone(&reload))
        .map_err(system("signals cannot be watched"))?;
    let durable = inputs.clone();
    let persister = Persister::start(status_dir, move |seq| {
        // Fails only when the daemon ends: then nobody waits for it.
        let _ = durable.blocking_send(Input::Persisted { seq });
    })
    .map_err(system("no thread can be started"))?;

    let directory = Arc::new(Directory::new(config.addresses.clone()));
    let (hands, view) = database(&config, &lock, &directory, &inputs, reload).await?;
    info!(
        "yoke {}: {} ({}) starts at {}, {}",
        env!("CARGO_PKG_VERSION"),
        core.name(me),
        crate::show::kind(core.members[usize::from(me.0)].kind),
        config.address(me),
        match &state {
            Some(state) => format!("with its state of term {}", state.term),
            None => "without state".to_owned(),
        },
    );
    let boot = Boot {
        now: clock::now(),
        nonce: rand::random(),
        guard: view,
    };
    let (standing, watched) = watch::channel(Standing::default());
    let copies = config
        .context()
        .map(|context| Copies::new(context, config.sync_command.clone(), watched));
    let (mailboxes, links) = peers(&config, &directory, &inputs, listeners, copies);
    drop(inputs);
    let driver = Driver::new(Parts {
        config: core.clone(),
        desk: Desk::new(core.cluster.clone(), entries(&config), directory),
        state,
        boot,
        hands,
        mailboxes: mailboxes.clone(),
        persister,
        successor,
        hooks: Announcer::new(
            standing,
            roles(&config).map_err(system("no thread can be started"))?,
        ),
    });
    driver.run(to_driver).await?;
    // The last word may be a release: with it the others need not wait out their promises.
    mailboxes.values().for_each(|mailbox| mailbox.finish());
    let _ = tokio::time::timeout(LAST_WORDS, links.join_all()).await;
    info!("{} ends", core.name(me));
    Ok(())
}

/// The advertised address; besides it, where possible, the same port at 127.0.0.1, so that `yokeadm` needs no `-H`.
async fn listen(config: &Configuration) -> Result<Vec<TcpListener>, DaemonError> {
    let address = config.address(config.core.me);
    let refused = |e| {
        let why = check::host::cannot_listen(address, &e);
        DaemonError::Unfit(format!("{}: {why}", config.place("advertise_port")))
    };
    let mut listeners = vec![TcpListener::bind(address).await.map_err(refused)?];
    if !address.ip().is_loopback() {
        let local = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port());
        match TcpListener::bind(local).await {
            Ok(listener) => listeners.push(listener),
            Err(e) => warn!(
                "{local} cannot be had ({e}): on this host, yokeadm needs -H {}",
                address.ip()
            ),
        }
    }
    Ok(listeners)
}

/// Starts what connects the members. Answers where their messages are put, and what sends them.
fn peers(
    config: &Configuration,
    directory: &Arc<Directory>,
    inputs: &mpsc::Sender<Input>,
    listeners: Vec<TcpListener>,
    copies: Option<Copies>,
) -> (HashMap<MemberId, Arc<Mailbox>>, JoinSet<()>) {
    let core = &config.core;
    // Dead connections are given up well before a promise runs out.
    let patience = clock::std_duration(core.decision_timeout.part(1, 5).min(PATIENCE));
    let mut mailboxes = HashMap::new();
    let mut links = JoinSet::new();
    for peer in core.peers() {
        let mailbox = Arc::new(Mailbox::default());
        let link = Link {
            hello: config.hello(peer),
            directory: Arc::clone(directory),
            mailbox: Arc::clone(&mailbox),
            patience,
        };
        links.spawn(link.run());
        mailboxes.insert(peer, mailbox);
    }
    let listen = Listen::new(
        config.hello(core.me),
        Arc::clone(directory),
        inputs.clone(),
        patience,
        copies,
    );
    for listener in listeners {
        tokio::spawn(Arc::clone(&listen).run(listener));
    }
    (mailboxes, links)
}

/// Two daemons never share a data directory. Who takes part in a cluster already goes on where there is no place for the
/// lock: then there is none for data either.
fn lock_data(config: &Configuration, takes_part: bool) -> Result<Option<DataLock>, DaemonError> {
    let Some(context) = config.context() else {
        return Ok(None);
    };
    match DataLock::take(&context.real_data_dir(), &config.status_dir) {
        Ok(lock) => Ok(Some(lock)),
        Err(Refused::Failed(why)) if takes_part => {
            warn!("{why}");
            Ok(None)
        }
        Err(Refused::Failed(why) | Refused::Held(why)) => Err(DaemonError::Unfit(format!(
            "{}: {why}",
            config.place("data_dir")
        ))),
    }
}

/// A first start is refused: said now, to whoever starts the daemon, and not at the first failover. Who takes part in a
/// cluster already goes on, as a voter at least, and tries; nothing waits for its disk then.
fn judge_database(config: &Configuration, takes_part: bool) -> Result<(), DaemonError> {
    let mut found = Findings::default();
    if takes_part {
        let config = config.clone();
        std::thread::spawn(move || {
            check::database::judge(&config, &mut found);
            say(&found, Level::Error);
            say(&found, Level::Warning);
        });
        return Ok(());
    }
    check::database::judge(config, &mut found);
    say(&found, Level::Warning);
    found.refuse(&config.file).map_err(DaemonError::Unfit)
}

fn say(found: &Findings, level: Level) {
    found.of(level).for_each(|finding| warn!("{finding}"));
}

/// The guard and the sessions of a member with data, and what the guard holds.
async fn database(
    config: &Configuration,
    lock: &Lock,
    directory: &Arc<Directory>,
    inputs: &mpsc::Sender<Input>,
    reload: Arc<AtomicBool>,
) -> Result<(Option<(Hands, Context)>, GuardView), DaemonError> {
    let Some(context) = config.context() else {
        return Ok((None, GuardView::NEW));
    };
    let (guard, view) = GuardLink::connect(&context, lock)
        .await
        .map_err(DaemonError::Guard)?;
    if let Some(run) = view.run {
        info!(
            "the guard (process {}) has kept the database (run {run}), {}",
            guard.pid(),
            match view.serving {
                Some(term) => format!("which serves in term {term}"),
                None => "a standby".to_owned(),
            }
        );
    }
    let sessions = Sessions::new(context.clone()).told_by(reload);
    let hands = Hands::new(guard, view, sessions, Arc::clone(directory), inputs.clone());
    Ok((Some((hands, context)), view))
}

/// The role command's thread; none without a command, or without a role.
fn roles(config: &Configuration) -> io::Result<Option<Roles>> {
    match (&config.role_command, config.context()) {
        (Some(command), Some(context)) => {
            Roles::start(command.clone(), context.hook_environment()).map(Some)
        }
        _ => Ok(None),
    }
}

fn entries(config: &Configuration) -> Vec<MemberEntry> {
    let members = config.core.members.iter().zip(&config.addresses);
    members
        .map(|(member, address)| MemberEntry {
            name: member.name.clone(),
            kind: member.kind,
            address: *address,
        })
        .collect()
}

/// A daemon that goes on with a part of it missing would be trusted for what it no longer does. To end is safe: the guard
/// keeps the database for the next daemon, and stops a primary when the permission ends.
fn end_on_panic() {
    let say = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        say(panic);
        std::process::exit(101);
    }));
}

fn system(what: &'static str) -> impl FnOnce(io::Error) -> DaemonError {
    move |source| DaemonError::System { what, source }
}
