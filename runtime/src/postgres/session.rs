//! Connections to our own server, over the private socket.

use crate::postgres::names::{DATABASES, ROLE};
use crate::postgres::user::PgUser;
use crate::postgres::{Context, Said};
use std::future::Future;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, Error, NoTls, SimpleQueryMessage};

/// Marks our sessions where they have to come in under another role.
pub(crate) const APPLICATION: &str = "yoke";

/// The protocol's SSLRequest: its length, and its code.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// One connection. Dropping it closes it.
pub(crate) struct Session {
    client: Client,
    connection: JoinHandle<()>,
    /// The server's process that serves it.
    pub(crate) pid: i32,
}

/// The rows of one statement's answer.
pub(crate) type Rows = Vec<Vec<Option<String>>>;

/// Why there is no session.
#[derive(Debug)]
pub(crate) struct NoSession {
    /// A sentence.
    pub(crate) why: String,
    /// The server answers that it takes nobody now: it recovers, or it stops.
    pub(crate) not_now: bool,
}

impl From<String> for NoSession {
    fn from(why: String) -> NoSession {
        NoSession {
            why,
            not_now: false,
        }
    }
}

impl From<&str> for NoSession {
    fn from(why: &str) -> NoSession {
        NoSession::from(why.to_owned())
    }
}

impl From<NoSession> for String {
    fn from(none: NoSession) -> String {
        none.why
    }
}

impl Session {
    /// Connects as our role; while that does not exist, as the first superuser.
    pub(crate) async fn open(context: &Context, user: &PgUser) -> Result<Session, NoSession> {
        match Session::open_as(context, ROLE).await {
            Ok(session) => Ok(session),
            Err(e) if e.code() == Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION) => {
                Session::open_as(context, &user.name).await.map_err(|e| {
                    NoSession::from(format!(
                        "cannot connect to the database as `{ROLE}` or as `{}`: {}; on the primary, as a superuser: CREATE ROLE {ROLE} LOGIN SUPERUSER",
                        user.name,
                        words(&e)
                    ))
                })
            }
            Err(e) => Err(NoSession {
                not_now: e.code() == Some(&SqlState::CANNOT_CONNECT_NOW),
                why: format!("cannot connect to the database: {}", words(&e)),
            }),
        }
    }

    async fn open_as(context: &Context, role: &str) -> Result<Session, Error> {
        match Session::connect(context, role, DATABASES[0]).await {
            Err(e) if e.code() == Some(&SqlState::INVALID_CATALOG_NAME) => {
                Session::connect(context, role, DATABASES[1]).await
            }
            other => other,
        }
    }

    async fn connect(context: &Context, role: &str, database: &str) -> Result<Session, Error> {
        let patience = context.health_timeout.as_millis().max(1_000) * 2;
        let (client, connection) = Config::new()
            .host_path(context.socket_dir())
            .port(context.pg_port)
            .user(role)
            .dbname(database)
            .application_name(APPLICATION)
            // From the session's first moment on: our own work waits for no standby, and depends on nobody's defaults.
            .options(format!("-c synchronous_commit=local -c default_transaction_read_only=off -c search_path=pg_catalog -c lock_timeout=0 -c statement_timeout={patience} -c client_min_messages=warning"))
            .connect(NoTls)
            .await?;
        let connection = tokio::spawn(async move {
            // What ends it shows in the client's next call.
            let _ = connection.await;
        });
        let mut session = Session {
            client,
            connection,
            pid: 0,
        };
        for message in session
            .client
            .simple_query("SELECT pg_backend_pid()")
            .await?
        {
            if let SimpleQueryMessage::Row(row) = message {
                session.pid = row.get(0).and_then(|p| p.parse().ok()).unwrap_or(0);
            }
        }
        Ok(session)
    }

    /// Whether it still can be used, as far as known.
    pub(crate) fn is_open(&self) -> bool {
        !self.client.is_closed()
    }

    /// Runs a statement that answers one row: its columns, empty where null.
    pub(crate) async fn row(&self, sql: &str) -> Said<Vec<String>> {
        let answers = self.query(sql).await?;
        let row = answers.into_iter().flatten().next();
        let row = row.ok_or_else(|| format!("the database answered nothing to `{sql}`"))?;
        Ok(row.into_iter().map(Option::unwrap_or_default).collect())
    }

    /// Runs one or more statements; the rows of each.
    pub(crate) async fn query(&self, sql: &str) -> Said<Vec<Rows>> {
        let messages = self
            .client
            .simple_query(sql)
            .await
            .map_err(|e| format!("the database answered: {}", words(&e)))?;
        let mut answers = vec![Rows::new()];
        for message in messages {
            match message {
                SimpleQueryMessage::Row(row) => {
                    let columns = (0..row.len())
                        .map(|i| row.get(i).map(str::to_owned))
                        .collect();
                    if let Some(rows) = answers.last_mut() {
                        rows.push(columns);
                    }
                }
                SimpleQueryMessage::CommandComplete(_) => answers.push(Rows::new()),
                _ => {}
            }
        }
        Ok(answers)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Closes the socket at once, even in the middle of a query that hangs.
        self.connection.abort();
    }
}

/// Asks a new server process whether it speaks TLS, which it does not at this socket: the shortest question there is.
/// Leaves no trace in the server's log, unless that notes every connection.
pub(crate) async fn knock(context: &Context) -> Said<()> {
    let path = context
        .socket_dir()
        .join(format!(".s.PGSQL.{}", context.pg_port));
    let knock = async {
        let mut socket = UnixStream::connect(path).await?;
        socket.write_all(&SSL_REQUEST).await?;
        socket.read_u8().await
    };
    let answer = knock.await;
    answer
        .map(|_| ())
        .map_err(|e| format!("the database does not answer a new connection: {e}"))
}

/// What went wrong, in the server's words if it said any.
pub(crate) fn words(error: &Error) -> String {
    use std::error::Error as _;
    match (error.as_db_error(), error.source()) {
        (Some(said), _) => said.message().to_owned(),
        (None, Some(source)) => format!("{error}: {source}"),
        (None, None) => error.to_string(),
    }
}

/// `work`, but not longer than `limit`.
pub(crate) async fn within<T>(
    limit: Duration,
    what: &str,
    work: impl Future<Output = Said<T>>,
) -> Said<T> {
    tokio::time::timeout(limit, work)
        .await
        .unwrap_or_else(|_| Err(format!("{what} took longer than {limit:?}")))
}
