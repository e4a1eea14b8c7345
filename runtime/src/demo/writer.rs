//! Clients: each writes row after row to whichever node lets it, and notes what it was told.

use super::cluster::CLIENT;
use super::ledger::{Ack, Ledger, Reign};
use std::future::poll_fn;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres::{AsyncMessage, Client, Config, NoTls, Statement};

/// How long one node may take to let a client in before the next is tried.
const CONNECT: Duration = Duration::from_millis(500);
/// How long an INSERT may take. Longer than `sync_timeout`: a write that waits for a lost standby is worth waiting for.
const WRITE: Duration = Duration::from_secs(4);
/// Between two rounds in which no node took the client.
const AGAIN: Duration = Duration::from_millis(20);

/// Where a node's PostgreSQL listens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Database {
    /// Address.
    pub ip: IpAddr,
    /// Port.
    pub port: u16,
}

/// Several clients that write at the same time.
#[derive(Debug)]
pub struct Writers {
    ledger: Arc<Ledger>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Writers {
    /// Begins with so many clients; each rests for `pause` after a write.
    pub fn begin(databases: &[Database], clients: usize, pause: Duration) -> Writers {
        let ledger = Arc::new(Ledger::default());
        let (stop, stopped) = watch::channel(false);
        let tasks = (0..clients)
            .map(|turn| {
                let writer = Writer {
                    databases: databases.to_vec(),
                    ledger: Arc::clone(&ledger),
                    stopped: stopped.clone(),
                    turn,
                };
                tokio::spawn(writer.run(pause))
            })
            .collect();
        Writers {
            ledger,
            stop,
            tasks,
        }
    }

    /// What they were told.
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// No more writes; those under way are waited for. Each has its own deadline.
    pub async fn stop(self) -> Arc<Ledger> {
        // Fails only when no client is left.
        let _ = self.stop.send(true);
        for task in self.tasks {
            // A client that panicked has noted what it knew.
            let _ = task.await;
        }
        self.ledger
    }
}

struct Writer {
    databases: Vec<Database>,
    ledger: Arc<Ledger>,
    stopped: watch::Receiver<bool>,
    turn: usize,
}

impl Writer {
    async fn run(mut self, pause: Duration) {
        let mut session: Option<Session> = None;
        while !*self.stopped.borrow() {
            match session.take() {
                None => session = self.connect().await,
                Some(mut open) => {
                    if self.write(&mut open).await {
                        session = Some(open);
                        sleep(pause).await;
                    }
                }
            }
        }
    }

    /// Tries every node once.
    async fn connect(&mut self) -> Option<Session> {
        for _ in 0..self.databases.len() {
            let node = self.turn % self.databases.len();
            let begun = timeout(CONNECT, Session::open(node, self.databases[node])).await;
            if let Ok(Ok(session)) = begun {
                return Some(session);
            }
            self.turn += 1;
        }
        sleep(AGAIN).await;
        None
    }

    /// One row, under an id of its own. Whether the session is still good.
    async fn write(&self, session: &mut Session) -> bool {
        let id = self.ledger.next_id();
        let sent = Instant::now();
        let result = timeout(WRITE, session.insert(id)).await;
        let why = match result {
            Ok(Ok(())) => {
                self.ledger.acknowledged(Ack {
                    id,
                    reign: session.reign,
                    sent,
                    acked: Instant::now(),
                });
                return true;
            }
            Ok(Err(why)) => why,
            Err(_) => format!("no answer within {} s", WRITE.as_secs()),
        };
        // It may be there or not, so it is never sent again.
        self.ledger.doubtful(id, why);
        false
    }
}

/// A connection to a primary.
pub struct Session {
    client: Client,
    insert: Statement,
    reign: Reign,
    /// How many warnings came: a COMMIT with one is no acknowledgement.
    warnings: Arc<AtomicU64>,
}

impl Session {
    /// Connects to this node if it takes writes.
    ///
    /// # Errors
    /// It does not.
    pub async fn open(node: usize, database: Database) -> Result<Session, tokio_postgres::Error> {
        let warnings = Arc::new(AtomicU64::new(0));
        let client = connect(database, TargetSessionAttrs::ReadWrite, &warnings).await?;
        // The control file tells a promotion's timeline late, the insert position at once.
        let row = client
            .query_one(
                "SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)",
                &[],
            )
            .await?;
        let insert = client
            .prepare("INSERT INTO writes (id) VALUES ($1)")
            .await?;
        // Eight digits of base 16; a server that answers something else is no reign of its own.
        let timeline = u32::from_str_radix(row.get(0), 16).unwrap_or(0);
        Ok(Session {
            client,
            insert,
            reign: Reign { timeline, node },
            warnings,
        })
    }

    async fn insert(&mut self, id: i64) -> Result<(), String> {
        let before = self.warnings.load(Ordering::Relaxed);
        match self.client.execute(&self.insert, &[&id]).await {
            Ok(1) if self.warnings.load(Ordering::Relaxed) == before => Ok(()),
            Ok(1) => Err("acknowledged with a warning".to_owned()),
            Ok(n) => Err(format!("{n} rows instead of one")),
            Err(e) => Err(in_words(&e)),
        }
    }
}

/// The ids of all rows that this node has.
///
/// # Errors
/// It cannot be asked.
pub async fn ids(database: Database, patience: Duration) -> Result<Vec<i64>, String> {
    let read = async {
        let client = connect(database, TargetSessionAttrs::Any, &Arc::default()).await?;
        let rows = client.query("SELECT id FROM writes", &[]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    };
    match timeout(patience, read).await {
        Ok(result) => result.map_err(|e: tokio_postgres::Error| in_words(&e)),
        Err(_) => Err(format!("no answer within {} s", patience.as_secs())),
    }
}

/// Connects, and counts warnings.
///
/// # Errors
/// The node does not let us in.
async fn connect(
    database: Database,
    wanted: TargetSessionAttrs,
    warnings: &Arc<AtomicU64>,
) -> Result<Client, tokio_postgres::Error> {
    let (client, mut connection) = Config::new()
        .host(database.ip.to_string())
        .port(database.port)
        .user(CLIENT)
        .dbname("postgres")
        .application_name("yoke demo")
        .connect_timeout(CONNECT)
        .target_session_attrs(wanted)
        .connect(NoTls)
        .await?;
    let warnings = Arc::clone(warnings);
    tokio::spawn(async move {
        // Messages come in order: a warning is counted before the answer that it belongs to is handed out.
        while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
            if let AsyncMessage::Notice(notice) = message
                && notice.severity() == "WARNING"
            {
                warnings.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    Ok(client)
}

/// What the server said, or why it could not.
fn in_words(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(said) => format!("{} ({})", said.message(), said.code().code()),
        None => error.to_string(),
    }
}
