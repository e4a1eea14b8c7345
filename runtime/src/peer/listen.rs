//! What comes in on the advertised port: other members' messages, and operators' questions.

use super::handshake::{self, HandshakeError, Purpose};
use super::{Directory, Hello, socket};
use crate::admin::server;
use crate::codec;
use crate::copying::Copies;
use crate::driver::Input;
use crate::log::Repeated;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tracing::{debug, info, warn};
use yoke_core::Message;

/// How long somebody who connected may take to say who it is.
const INTRODUCTION: Duration = Duration::from_secs(3);
/// How many connections there may be at once; more wait to be accepted.
const CONNECTIONS: usize = 128;

/// What every incoming connection needs.
#[derive(Debug)]
pub struct Listen {
    /// How this member introduces itself.
    pub hello: Hello,
    /// Where the members are.
    pub directory: Arc<Directory>,
    /// To the driver.
    pub inputs: mpsc::Sender<Input>,
    /// How long the other may take to acknowledge anything.
    pub patience: Duration,
    /// By which other members have copies made; none on a witness.
    pub copies: Option<Copies>,
    /// The newest connection of each member: it replaces the one before, which may be dead without having noticed.
    newest: Mutex<Vec<Option<AbortHandle>>>,
    said: Mutex<Repeated>,
    room: Arc<Semaphore>,
}

impl Listen {
    /// Nobody has connected yet.
    pub fn new(
        hello: Hello,
        directory: Arc<Directory>,
        inputs: mpsc::Sender<Input>,
        patience: Duration,
        copies: Option<Copies>,
    ) -> Arc<Self> {
        let newest = Mutex::new(hello.members.iter().map(|_| None).collect());
        Arc::new(Listen {
            hello,
            directory,
            inputs,
            patience,
            copies,
            newest,
            said: Mutex::default(),
            room: Arc::new(Semaphore::new(CONNECTIONS)),
        })
    }

    /// Accepts until its task ends.
    pub async fn run(self: Arc<Self>, listener: TcpListener) {
        loop {
            let Ok(place) = Arc::clone(&self.room).acquire_owned().await else {
                return; // never closed
            };
            match listener.accept().await {
                Ok((stream, from)) => {
                    let this = Arc::clone(&self);
                    tokio::spawn(async move {
                        this.serve(stream, from).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    // Out of file descriptors, most likely: it passes, and spinning does not help.
                    self.complain(&format!("no connection can be accepted: {error}"));
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    async fn serve(self: &Arc<Self>, mut stream: TcpStream, from: SocketAddr) {
        if let Err(error) = socket::prepare(&stream, self.patience) {
            debug!("{}: {error}", handshake::stranger(from));
            return;
        }
        let purpose = timeout(INTRODUCTION, handshake::read_prelude(&mut stream)).await;
        match purpose {
            Ok(Ok(Purpose::Peer)) => self.serve_peer(stream, from).await,
            Ok(Ok(Purpose::TryOut)) => {
                // Who asked is told; here it is nobody's trouble.
                let asked = handshake::accept(&mut stream, &self.hello);
                let verdict = timeout(INTRODUCTION, asked).await;
                debug!("tried out from {from}: {verdict:?}");
            }
            Ok(Ok(Purpose::Admin)) => {
                if let Err(error) = server::serve(&mut stream, &self.inputs).await {
                    debug!("an operator's connection from {from} ended: {error}");
                }
            }
            Ok(Ok(Purpose::Copy)) => self.serve_copy(stream, from).await,
            Ok(Err(error)) => {
                handshake::answer_version(&mut stream).await;
                // A port that is probed (a load balancer's check) says nothing at all: not worth a line.
                if !matches!(error, HandshakeError::Io(_)) {
                    self.complain(&format!("refused {}: {error}", handshake::stranger(from)));
                }
            }
            Err(_) => debug!("{} said nothing", handshake::stranger(from)),
        }
    }

    /// Who is there: a member of this cluster, or nobody.
    async fn introduced(&self, stream: &mut TcpStream, from: SocketAddr) -> Option<Hello> {
        match timeout(INTRODUCTION, handshake::accept(stream, &self.hello)).await {
            Ok(Ok(hello)) => Some(hello),
            Ok(Err(error)) => {
                self.complain(&format!("refused {}: {error}", handshake::stranger(from)));
                None
            }
            Err(_) => None,
        }
    }

    async fn serve_copy(&self, mut stream: TcpStream, from: SocketAddr) {
        let Some(hello) = self.introduced(&mut stream, from).await else {
            return;
        };
        if let Some(copies) = &self.copies
            && let Err(error) = copies.serve(stream, &hello, from.ip().to_canonical()).await
        {
            debug!("a copy's connection from {from} ended: {error}");
        }
    }

    async fn serve_peer(self: &Arc<Self>, mut stream: TcpStream, from: SocketAddr) {
        let Some(hello) = self.introduced(&mut stream, from).await else {
            return;
        };
        self.directory
            .note_postgres(hello.from, hello.postgres_port);
        let this = Arc::clone(self);
        let place = usize::from(hello.from.0);
        let reading = tokio::spawn(async move { this.read_messages(stream, &hello).await });
        if let Some(before) = self.replace_newest(place, reading.abort_handle()) {
            before.abort();
        }
        // Ends by itself, or is aborted by the member's next connection: neither is an error.
        let _ = reading.await;
    }

    fn replace_newest(&self, place: usize, handle: AbortHandle) -> Option<AbortHandle> {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        newest.get_mut(place)?.replace(handle)
    }

    /// Hands messages to the driver until the connection ends. A driver that is behind slows the sender down.
    async fn read_messages(&self, mut stream: TcpStream, hello: &Hello) {
        let name = &self.hello.members[usize::from(hello.from.0)].name;
        info!("{name} is connected");
        loop {
            match codec::read_frame::<Message>(&mut stream).await {
                Ok(message) => {
                    let input = Input::Received {
                        from: hello.from,
                        message: Box::new(message),
                    };
                    if self.inputs.send(input).await.is_err() {
                        return; // the daemon ends
                    }
                }
                Err(codec::CodecError::Io(e)) if e.kind() == ErrorKind::UnexpectedEof => {
                    info!("{name} closed its connection");
                    return;
                }
                Err(codec::CodecError::Io(error)) => {
                    info!("{name} is no longer connected: {error}");
                    return;
                }
                Err(error) => {
                    warn!("{name} sent what cannot be read, its connection is closed: {error}");
                    return;
                }
            }
        }
    }

    fn complain(&self, what: &str) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.say(what, |what, again| warn!("{what}{again}"));
    }
}
