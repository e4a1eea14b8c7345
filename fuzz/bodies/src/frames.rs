//! What comes over a connection: from a peer, from an operator's program, or from anybody who reached the port.

use crate::memory;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use yoke::admin::protocol::{Request, Response};
use yoke::codec;
use yoke::copying::wire::{Answer, Ask};
use yoke::peer::Hello;
use yoke::peer::handshake::{self, Purpose, Welcome};
use yoke_core::Message;
use yoke_core::member::{Member, MemberId, MemberKind};

/// A frame's buffer, and what serde takes beforehand for a list whose length it was told.
const AT_ONCE: usize = 4 << 20;
/// The largest element of a list for the fewest bytes, twice, because lists double.
const A_BYTE: usize = 512;

/// The first byte says who speaks or what is read; the rest is what came.
pub fn run(bytes: &[u8]) {
    let Some((&who, bytes)) = bytes.split_first() else {
        return;
    };
    let most = memory::most_of(|| match who % 10 {
        0 => listener(bytes),
        1 => dialler(bytes),
        2 => is_itself::<Message>(bytes),
        3 => is_itself::<Hello>(bytes),
        4 => is_itself::<Welcome>(bytes),
        5 => is_itself::<Request>(bytes),
        6 => is_itself::<Response>(bytes),
        7 => is_itself::<Ask>(bytes),
        8 => is_itself::<Answer>(bytes),
        _ => messages(&mut Wire(bytes)),
    });
    let bound = AT_ONCE + A_BYTE * bytes.len();
    assert!(
        most <= bound,
        "{} bytes that came took {most} bytes of memory, more than {bound}",
        bytes.len()
    );
}

/// What decodes encodes, and is the same value again.
fn is_itself<T: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) {
    let Ok(value) = codec::decode::<T>(bytes) else {
        return;
    };
    let again = codec::encode(&value).unwrap_or_else(|e| panic!("{value:?} does not encode: {e}"));
    assert!(
        again.len() <= bytes.len(),
        "{value:?} grew from {} to {} bytes",
        bytes.len(),
        again.len()
    );
    match codec::decode::<T>(&again) {
        Ok(twice) => assert_eq!(twice, value),
        Err(e) => panic!("{value:?} encodes to what does not decode: {e}"),
    }
}

/// A daemon's port: a prelude, then what it announces.
fn listener(bytes: &[u8]) {
    let wire = &mut Wire(bytes);
    let Some(Ok(purpose)) = now(handshake::read_prelude(wire)) else {
        return;
    };
    match purpose {
        Purpose::Admin => {
            now(codec::read_frame::<Request>(wire));
        }
        Purpose::Peer | Purpose::TryOut | Purpose::Copy => {
            let Some(Ok(hello)) = now(handshake::accept(wire, &me())) else {
                return;
            };
            let me = me();
            assert!(usize::from(hello.from.0) < me.members.len() && hello.from != me.from);
            if purpose == Purpose::Copy {
                now(codec::read_frame::<Ask>(wire));
            } else {
                messages(wire);
            }
        }
    }
}

/// Who dialled gets these bytes for an answer.
fn dialler(bytes: &[u8]) {
    now(handshake::dial(&mut Wire(bytes), &me()));
}

fn messages(wire: &mut Wire<'_>) {
    while let Some(Ok(message)) = now(codec::read_frame::<Message>(wire)) {
        let bytes = codec::encode(&message).unwrap_or_else(|e| panic!("{message:?}: {e}"));
        is_itself::<Message>(&bytes);
    }
}

fn me() -> Hello {
    let member = |name: &str, kind| Member {
        name: name.to_owned(),
        kind,
    };
    Hello {
        cluster: "yoke".to_owned(),
        members: vec![
            member("data1", MemberKind::Data),
            member("data2", MemberKind::Data),
            member("monitor", MemberKind::Witness),
        ],
        from: MemberId(1),
        to: MemberId(0),
        postgres_port: 5432,
    }
}

/// What a call answers that has nothing to wait for.
fn now<T>(call: impl Future<Output = T>) -> Option<T> {
    match pin!(call).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

/// A connection on which these bytes come, and that takes everything.
struct Wire<'a>(&'a [u8]);

impl AsyncRead for Wire<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, into)
    }
}

impl AsyncWrite for Wire<'_> {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
