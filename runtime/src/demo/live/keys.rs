//! Which keys do something now. The help line shows this list, and a key is looked up in it: it never says too much.

use super::model::{Host, Life, Model};
use crate::demo::node::Part;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What a key does, to the chosen host where it is for one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Act {
    /// Another host is chosen.
    Choose(usize),
    /// SIGKILL to one part.
    Kill(Part),
    /// SIGKILL to all of the host.
    KillHost,
    /// SIGSTOP to the daemon.
    FreezeDaemon,
    /// SIGCONT to the daemon.
    ThawDaemon,
    /// SIGSTOP to all of the host.
    FreezeHost,
    /// SIGCONT to all of the host.
    ThawHost,
    /// Nothing reaches the host any more.
    Cut,
    /// The hosts with data do not reach each other any more.
    CutLink,
    /// What was cut passes again.
    Mend,
    /// Everything that is frozen, cut or ended is brought back.
    Revive,
    /// The primary's role goes to the other host.
    HandOver,
    /// The end.
    Quit,
}

/// One key that does something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Key {
    /// Which.
    pub(super) key: char,
    /// What it does.
    pub(super) act: Act,
    /// The same for people.
    pub(super) label: String,
}

/// What can be done to the network.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Means {
    /// The hosts have a network of their own.
    pub(super) network: bool,
    /// The link between the hosts with data is cut.
    pub(super) link_cut: bool,
    /// A hand-over is under way.
    pub(super) handing_over: bool,
}

/// The keys that do something now.
pub(super) fn keys(model: &Model, means: Means) -> Vec<Key> {
    let mut keys = Vec::new();
    let mut add = |key: char, act: Act, label: &str| {
        let label = label.to_owned();
        keys.push(Key { key, act, label });
    };
    let Some(host) = model.hosts.get(model.chosen) else {
        return Vec::new();
    };
    for other in (0..model.hosts.len()).filter(|i| *i != model.chosen) {
        let digit = char::from(b'1' + other as u8);
        add(digit, Act::Choose(other), &model.hosts[other].name);
    }
    add('↕', Act::Choose(model.beside(1)), "next");
    let parts = &host.parts;
    let lives = |life: Life| life != Life::Gone;
    if lives(parts.postgres) {
        add('p', Act::Kill(Part::Postgres), "kill PostgreSQL");
    }
    if lives(parts.daemon) {
        add('d', Act::Kill(Part::Daemon), "kill daemon");
    }
    if lives(parts.guard) {
        add('g', Act::Kill(Part::Guard), "kill guard");
    }
    if parts.all().into_iter().filter(|l| lives(*l)).count() > 1 {
        add('h', Act::KillHost, "kill the host");
    }
    match parts.daemon {
        Life::Runs(_) => add('f', Act::FreezeDaemon, "freeze daemon"),
        Life::Frozen(_) if !parts.are_frozen() => add('f', Act::ThawDaemon, "thaw daemon"),
        _ => {}
    }
    network_keys(host, means, &mut add);
    if needs_revival(host, means) {
        add('r', Act::Revive, "revive");
    }
    let may_hand_over = host.role == "primary" && host.answers && !means.handing_over;
    if may_hand_over
        && model
            .hosts
            .iter()
            .any(|h| h.name != host.name && h.in_sync == Some(true))
    {
        add('o', Act::HandOver, "hand over");
    }
    add('q', Act::Quit, "quit");
    keys
}

fn network_keys(host: &Host, means: Means, add: &mut impl FnMut(char, Act, &str)) {
    match (means.network, host.cut) {
        (true, true) => add('c', Act::Mend, "mend its network"),
        (true, false) if !means.link_cut => add('c', Act::Cut, "cut its network"),
        (true, false) => {}
        (false, _) if host.parts.are_frozen() => add('c', Act::ThawHost, "thaw the host"),
        (false, _) if host.parts.all().contains(&Life::Gone) => {}
        (false, _) => add(
            'c',
            Act::FreezeHost,
            "freeze the host (cutting needs --cuts)",
        ),
    }
    if means.network && host.holds_data() {
        match (means.link_cut, host.cut) {
            (true, _) => add('l', Act::Mend, "mend the link"),
            (false, false) => add('l', Act::CutLink, "cut the data hosts' link"),
            (false, true) => {}
        }
    }
}

fn needs_revival(host: &Host, means: Means) -> bool {
    let frozen = |life: &Life| matches!(life, Life::Frozen(_));
    host.cut
        || (means.link_cut && host.holds_data())
        || host.parts.daemon == Life::Gone
        || host.parts.all().iter().any(frozen)
}

/// What this key does, if it is one of those that do something.
pub(super) fn act_of(event: KeyEvent, model: &Model) -> Option<Act> {
    match event.code {
        // In raw mode the terminal makes no signal of it.
        KeyCode::Char('c') if event.modifiers.contains(KeyModifiers::CONTROL) => Some(Act::Quit),
        KeyCode::Char(c) => model.keys.iter().find(|k| k.key == c).map(|k| k.act),
        KeyCode::Down | KeyCode::Right => Some(Act::Choose(model.beside(1))),
        KeyCode::Up | KeyCode::Left => Some(Act::Choose(model.beside(-1))),
        _ => None,
    }
}
