use super::handshake::Purpose;
use super::link::Link;
use super::listen::Listen;
use super::{Directory, Hello, Mailbox, handshake};
use crate::codec;
use crate::driver::Input;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use yoke_core::Message;
use yoke_core::member::{Member, MemberId, MemberKind};
use yoke_core::message::Body;
use yoke_core::record::Term;

const PATIENCE: Duration = Duration::from_secs(10);

fn hello(from: u8, to: u8) -> Hello {
    let member = |name: &str| Member {
        name: name.to_owned(),
        kind: MemberKind::Data,
    };
    Hello {
        cluster: "yoke".to_owned(),
        members: vec![member("a"), member("b")],
        from: MemberId(from),
        to: MemberId(to),
        postgres_port: 5000 + u16::from(from),
    }
}

fn message(nonce: u64) -> Message {
    Message {
        term: Term(1),
        holds: None,
        presence: None,
        seen: None,
        body: Body::Ask { nonce },
    }
}

/// A listening member `b`, and what its driver receives.
async fn listening() -> (SocketAddr, Arc<Directory>, mpsc::Receiver<Input>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (inputs, received) = mpsc::channel(16);
    let directory = Arc::new(Directory::new(vec![address, address]));
    let listen = Listen::new(hello(1, 1), Arc::clone(&directory), inputs, PATIENCE, None);
    tokio::spawn(listen.run(listener));
    (address, directory, received)
}

async fn next_nonce(received: &mut mpsc::Receiver<Input>) -> u64 {
    match received.recv().await.unwrap() {
        Input::Received {
            from: MemberId(0),
            message,
        } => match message.body {
            Body::Ask { nonce } => nonce,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_is_put_into_a_mailbox_reaches_the_others_driver() {
    let (address, their_directory, mut received) = listening().await;
    let directory = Arc::new(Directory::new(vec![address, address]));
    let mailbox = Arc::new(Mailbox::default());
    let link = Link {
        hello: hello(0, 1),
        directory: Arc::clone(&directory),
        mailbox: Arc::clone(&mailbox),
        patience: PATIENCE,
    };
    let running = tokio::spawn(link.run());
    // What was put in before the connection came about is of no use any more: put in until one arrives.
    let first = loop {
        mailbox.put(message(1));
        tokio::select! {
            nonce = next_nonce(&mut received) => break nonce,
            () = tokio::time::sleep(Duration::from_millis(5)) => {}
        }
    };
    assert_eq!(first, 1);
    mailbox.put(message(2));
    while next_nonce(&mut received).await != 2 {}
    assert_eq!(directory.postgres(MemberId(1)).unwrap().port(), 5001);
    assert_eq!(their_directory.postgres(MemberId(0)).unwrap().port(), 5000);
    running.abort();
}

#[tokio::test]
async fn a_link_comes_back_after_its_connection_ended() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let link = Link {
        hello: hello(0, 1),
        directory: Arc::new(Directory::new(vec![address, address])),
        mailbox: Arc::new(Mailbox::default()),
        patience: PATIENCE,
    };
    let running = tokio::spawn(link.run());
    for _ in 0..3 {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert_eq!(
            handshake::read_prelude(&mut stream).await.unwrap(),
            Purpose::Peer
        );
        handshake::accept(&mut stream, &hello(1, 1)).await.unwrap();
    }
    running.abort();
}

#[tokio::test]
async fn a_members_new_connection_replaces_the_one_before() {
    let (address, _, mut received) = listening().await;
    let mut before = TcpStream::connect(address).await.unwrap();
    handshake::dial(&mut before, &hello(0, 1)).await.unwrap();
    let mut after = TcpStream::connect(address).await.unwrap();
    handshake::dial(&mut after, &hello(0, 1)).await.unwrap();
    // The old one is closed by the other side; the new one lives.
    assert_eq!(before.read(&mut [0; 1]).await.unwrap_or(0), 0);
    after
        .write_all(&codec::frame(&message(7)).unwrap())
        .await
        .unwrap();
    assert_eq!(next_nonce(&mut received).await, 7);
}

#[tokio::test]
async fn to_be_tried_out_leaves_the_members_connection_alone() {
    let (address, _, mut received) = listening().await;
    let mut link = TcpStream::connect(address).await.unwrap();
    handshake::dial(&mut link, &hello(0, 1)).await.unwrap();
    let mut other = hello(0, 1);
    for (cluster, fits) in [("yoke", true), ("prod", false)] {
        other.cluster = cluster.to_owned();
        let mut check = TcpStream::connect(address).await.unwrap();
        let verdict = handshake::try_out(&mut check, &other).await;
        assert_eq!(verdict.is_ok(), fits, "{verdict:?}");
        // It is over for the other side, too.
        let mut end = [0; 1];
        let closed = tokio::time::timeout(PATIENCE, check.read(&mut end)).await;
        assert_eq!(closed.unwrap().unwrap_or(0), 0);
    }
    link.write_all(&codec::frame(&message(7)).unwrap())
        .await
        .unwrap();
    let arrived = tokio::time::timeout(PATIENCE, next_nonce(&mut received));
    assert_eq!(arrived.await, Ok(7));
}

#[tokio::test]
async fn why_a_member_is_not_connected_is_known_until_it_is() {
    let (address, _, _received) = listening().await;
    let run = |cluster: &str| {
        let directory = Arc::new(Directory::new(vec![address, address]));
        let mut me = hello(0, 1);
        me.cluster = cluster.to_owned();
        let link = Link {
            hello: me,
            directory: Arc::clone(&directory),
            mailbox: Arc::new(Mailbox::default()),
            patience: PATIENCE,
        };
        (directory, tokio::spawn(link.run()))
    };
    let (directory, running) = run("prod");
    let why = loop {
        if let Some(why) = directory.trouble(MemberId(1)) {
            break why;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert!(why.contains("a belongs to the cluster `prod`"), "{why}");
    running.abort();
    let (directory, running) = run("yoke");
    directory.note_trouble(MemberId(1), Some(why));
    while directory.trouble(MemberId(1)).is_some() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    running.abort();
}

#[tokio::test]
async fn what_cannot_be_read_ends_the_connection() {
    let (address, _, _received) = listening().await;
    for junk in [&b"\xff\xff\xff\xff"[..], b"\0\0\0\x02zz"] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        handshake::dial(&mut stream, &hello(0, 1)).await.unwrap();
        stream.write_all(junk).await.unwrap();
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap_or(0), 0);
    }
}
