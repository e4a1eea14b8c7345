//! The picture at several sizes, and which keys there are in which state.

use super::draw::draw;
use super::keys::{Act, Means, act_of, keys};
use super::model::{Deed, Host, Lease, Life, Model, Parts, Reason, Writes};
use super::text::Line;
use crate::demo::node::Part;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::time::Duration;

const MS: fn(u64) -> Duration = Duration::from_millis;

fn reason(level: &str, text: &str) -> Reason {
    Reason {
        clock: "16:57:23".to_owned(),
        level: level.to_owned(),
        text: text.to_owned(),
    }
}

fn running(first: i32) -> Parts {
    Parts {
        daemon: Life::Runs(first),
        guard: Life::Runs(first + 1),
        postgres: Life::Runs(first + 2),
    }
}

fn whole() -> Model {
    let primary = Host {
        name: "data1".to_owned(),
        answers: true,
        role: "primary",
        database: "serves".to_owned(),
        in_sync: Some(true),
        lease: Lease::Left(MS(3_100), MS(3_250)),
        parts: running(4711),
        reasons: vec![
            reason("INFO", "elected: leads term 3"),
            reason(
                "INFO",
                "serves clients 0.412 s after its election; each commit waits for 1 other copies",
            ),
        ],
        ..Host::default()
    };
    let standby = Host {
        name: "data2".to_owned(),
        answers: true,
        role: "standby",
        database: "streams from data1".to_owned(),
        in_sync: Some(true),
        lag: Some("nothing behind".to_owned()),
        parts: running(4721),
        reasons: vec![reason("INFO", "follows data1, leader of term 3")],
        ..Host::default()
    };
    let monitor = Host {
        name: "monitor".to_owned(),
        answers: true,
        role: "witness",
        database: "votes".to_owned(),
        parts: Parts {
            daemon: Life::Runs(4731),
            ..Parts::default()
        },
        reasons: vec![reason("INFO", "follows data1, leader of term 3")],
        ..Host::default()
    };
    with_keys(Model {
        postgres: "PostgreSQL 15.18".to_owned(),
        clock: "16:57:30".to_owned(),
        leader: "data1 leads, term 3".to_owned(),
        summary: "A failover now would lose nothing: data2 is in sync.".to_owned(),
        safe: true,
        writes: Writes {
            seconds: (0..60).map(|s| if (40..43).contains(&s) { 0 } else { 70 + s % 23 }).collect(),
            gap: MS(12),
            longest: MS(229),
            fault: true,
            acknowledged: 5522,
            doubtful: 12,
        },
        hosts: vec![primary, standby, monitor],
        deeds: vec![
            Deed {
                clock: "16:56:00".to_owned(),
                what: "start".to_owned(),
                gap: MS(512),
                healthy: Some(MS(1_976)),
            },
            Deed {
                clock: "16:57:22".to_owned(),
                what: "data2: PostgreSQL killed".to_owned(),
                gap: MS(229),
                healthy: Some(MS(1_667)),
            },
        ],
        psql: "psql 'host=127.0.0.1,127.0.0.1 port=5431,5432 user=demo dbname=postgres target_session_attrs=read-write'".to_owned(),
        ..Model::default()
    })
}

/// The primary's daemon hangs, its lease is nearly over; the standby was killed whole.
fn broken() -> Model {
    let mut model = whole();
    model.leader = "nobody leads, term 3".to_owned();
    model.summary = "No leader: only 1 of 3 members answer, and a majority is 2.".to_owned();
    model.safe = false;
    model.writes.gap = MS(2_700);
    model.writes.longest = MS(2_700);
    let primary = &mut model.hosts[0];
    primary.answers = false;
    primary.role = "unknown";
    primary.database = "does not answer".to_owned();
    primary.lease = Lease::Left(MS(540), MS(3_250));
    primary.parts.daemon = Life::Frozen(4711);
    let standby = &mut model.hosts[1];
    standby.answers = false;
    standby.role = "unknown";
    standby.database = "does not answer".to_owned();
    standby.lag = None;
    standby.parts = Parts::default();
    standby.reasons.push(reason(
        "WARN",
        "cannot reach monitor:\x1b[2J no route to host",
    ));
    let monitor = &mut model.hosts[2];
    monitor.fault = Some("hears no leader".to_owned());
    monitor.cut = true;
    model.message = Some("data1's guard does not run".to_owned());
    model.deeds.push(Deed {
        clock: "16:57:27".to_owned(),
        what: "data1: daemon frozen".to_owned(),
        gap: MS(2_700),
        healthy: None,
    });
    with_keys(model)
}

fn with_keys(mut model: Model) -> Model {
    model.keys = keys(&model, Means::default());
    model
}

fn picture(model: &Model, columns: usize, rows: usize) -> String {
    let lines = draw(model, columns, rows);
    assert_eq!(lines.len(), rows);
    assert!(lines.iter().all(|l| l.width() <= columns));
    let lines: Vec<String> = lines.iter().map(Line::plain).collect();
    lines.join("\n")
}

#[test]
fn eighty_columns() {
    insta::assert_snapshot!("whole_80x24", picture(&whole(), 80, 24));
    insta::assert_snapshot!("broken_80x24", picture(&broken(), 80, 24));
}

#[test]
fn sixty_columns() {
    insta::assert_snapshot!("whole_60x30", picture(&whole(), 60, 30));
    insta::assert_snapshot!("broken_60x30", picture(&broken(), 60, 30));
}

#[test]
fn a_hundred_and_twenty_columns() {
    insta::assert_snapshot!("whole_120x36", picture(&whole(), 120, 36));
    insta::assert_snapshot!("broken_120x36", picture(&broken(), 120, 36));
}

#[test]
fn few_rows() {
    insta::assert_snapshot!("whole_80x16", picture(&whole(), 80, 16));
    insta::assert_snapshot!("whole_80x8", picture(&whole(), 80, 8));
}

#[test]
fn any_size_is_filled_and_not_exceeded() {
    for columns in (0..140).step_by(7) {
        for rows in (0..50).step_by(3) {
            for model in [whole(), broken(), Model::default()] {
                picture(&model, columns, rows);
            }
        }
    }
}

/// Every key that the list names does what it says, and no other does anything.
#[test]
fn what_the_help_line_says_is_what_keys_do() {
    for model in [whole(), broken()] {
        let shown = picture(&model, 80, 24);
        for code in (' '..='~').chain(['↕']) {
            let press = KeyEvent::new(KeyCode::Char(code), KeyModifiers::NONE);
            let act = act_of(press, &model);
            let key = model.keys.iter().find(|k| k.key == code);
            assert_eq!(act, key.map(|k| k.act));
            if let Some(key) = key {
                assert!(shown.contains(&format!("{code} {}", key.label)), "{key:?}");
            }
        }
    }
    let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(act_of(interrupt, &whole()), Some(Act::Quit));
}

#[test]
fn arrows_go_around() {
    let chosen = |chosen: usize, code: KeyCode| {
        let model = Model { chosen, ..whole() };
        act_of(KeyEvent::new(code, KeyModifiers::NONE), &model)
    };
    assert_eq!(chosen(2, KeyCode::Down), Some(Act::Choose(0)));
    assert_eq!(chosen(0, KeyCode::Up), Some(Act::Choose(2)));
    let none = KeyEvent::new(KeyCode::Up, KeyModifiers::NONE);
    assert_eq!(act_of(none, &Model::default()), Some(Act::Choose(0)));
}

/// The letters of the chosen host, in order.
fn letters(model: &Model, means: Means) -> String {
    let keys = keys(model, means);
    keys.iter()
        .map(|k| k.key)
        .filter(char::is_ascii_lowercase)
        .collect()
}

#[test]
fn only_keys_that_do_something() {
    let network = Means {
        network: true,
        ..Means::default()
    };
    let link_cut = Means {
        network: true,
        link_cut: true,
        ..Means::default()
    };
    let handing_over = Means {
        handing_over: true,
        ..Means::default()
    };
    let choose = |chosen| Model { chosen, ..whole() };
    assert_eq!(letters(&choose(0), Means::default()), "pdghfcoq");
    assert_eq!(letters(&choose(0), handing_over), "pdghfcq");
    assert_eq!(letters(&choose(1), Means::default()), "pdghfcq");
    assert_eq!(letters(&choose(2), Means::default()), "dfq");
    assert_eq!(letters(&choose(0), network), "pdghfcloq");
    assert_eq!(letters(&choose(2), network), "dfcq");
    assert_eq!(letters(&choose(0), link_cut), "pdghflroq");
    assert_eq!(letters(&choose(2), link_cut), "dfq");
    // Frozen daemon; all gone; the monitor cut off.
    let broken = |chosen| Model { chosen, ..broken() };
    assert_eq!(letters(&broken(0), Means::default()), "pdghfcrq");
    assert_eq!(letters(&broken(1), Means::default()), "rq");
    assert_eq!(letters(&broken(2), network), "dfcrq");
}

#[test]
fn a_frozen_host_is_thawed_as_a_whole() {
    let mut model = whole();
    let frozen = Life::Frozen;
    model.hosts[0].parts = Parts {
        daemon: frozen(1),
        guard: frozen(2),
        postgres: frozen(3),
    };
    let all = keys(&model, Means::default());
    let act = |c| all.iter().find(|k| k.key == c).map(|k| k.act);
    assert_eq!((act('c'), act('f')), (Some(Act::ThawHost), None));
    assert_eq!(act('p'), Some(Act::Kill(Part::Postgres)));
    model.hosts[0].parts.guard = Life::Runs(2);
    let all = keys(&model, Means::default());
    let act = |c| all.iter().find(|k| k.key == c).map(|k| k.act);
    assert_eq!(
        (act('c'), act('f')),
        (Some(Act::FreezeHost), Some(Act::ThawDaemon))
    );
}
