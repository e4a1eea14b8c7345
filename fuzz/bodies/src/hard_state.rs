//! The state file's bytes (R1, R12): whatever they are, they are never a fresh start, and never end the daemon by a panic.

use std::path::PathBuf;
use yoke::codec;
use yoke::state_file::{Found, StateError, StatusDir, seal};
use yoke_core::event::{Boot, Event};
use yoke_core::member::{Member, MemberId, MemberKind};
use yoke_core::permission::GuardView;
use yoke_core::{Config, Duration, HardState, Instant, Node};

/// The first byte says whether the rest is the file, or an encoded state to be put into a whole file.
pub fn run(bytes: &[u8]) {
    match bytes.split_first() {
        Some((kind, payload)) if kind % 2 == 1 => judge(&seal(payload)),
        Some((_, file)) => judge(file),
        None => judge(&[]),
    }
}

fn judge(bytes: &[u8]) {
    let path = PathBuf::from("/yoke.state");
    let names = ["data1", "data2", "monitor"].map(str::to_owned);
    let begin = &bytes[..bytes.len().min(8)];
    let ours = begin == &b"YOKESTAT"[..begin.len()];
    let zeros = begin.iter().all(|byte| *byte == 0);
    match StatusDir::judge(path, bytes, &names) {
        Ok(Found::Nothing | Found::WasTorn) => panic!("a file that is there counts as absent"),
        Ok(Found::Torn(_)) => assert!(ours || zeros, "a foreign file counts as torn"),
        Ok(Found::State(state)) => {
            assert!(
                ours && bytes.len() > 20,
                "no header, and a state all the same"
            );
            starts(*state);
        }
        Err(StateError::Foreign { .. }) => assert!(!ours && !zeros, "ours counts as foreign"),
        Err(StateError::Version { found, .. }) => {
            assert_eq!(
                bytes[8..12],
                found.to_le_bytes(),
                "another form than was found"
            );
        }
        Err(StateError::Members { written, .. }) => assert_ne!(written, names),
        Err(error) => panic!("no file was touched: {error}"),
    }
}

/// A node begins with it, and writes nothing that would not be read again.
fn starts(state: HardState) {
    let again = codec::encode(&state).and_then(|bytes| codec::decode::<HardState>(&bytes));
    assert_eq!(again.ok().as_ref(), Some(&state));
    for me in 0..3 {
        let boot = Boot {
            now: Instant(1_000_000),
            nonce: 7,
            guard: GuardView::NEW,
        };
        let term = state.term;
        let mut node = Node::new(config(me), Some(state.clone()), boot);
        for _ in 0..4 {
            while node.poll_action().is_some() {}
            let Some(due) = node.next_timeout() else {
                break;
            };
            node.handle(due, Event::Timeout);
        }
        let view = node.view();
        assert!(
            view.term >= term || state.lost,
            "the term fell to {}",
            view.term
        );
    }
}

fn config(me: u8) -> Config {
    let member = |name: &str, kind| Member {
        name: name.to_owned(),
        kind,
    };
    Config {
        cluster: "yoke".to_owned(),
        members: [
            member("data1", MemberKind::Data),
            member("data2", MemberKind::Data),
            member("monitor", MemberKind::Witness),
        ]
        .into(),
        me: MemberId(me),
        configured_primary: MemberId(0),
        decision_timeout: Duration::secs(5),
        sync_timeout: Duration::secs(2),
        health_timeout: Duration::secs(3),
        #[cfg(feature = "mutants")]
        mutant: None,
    }
}
