//! Records, stamps and targets, in few words.

use super::*;

pub fn copy(member: MemberId, id: u64) -> Copy {
    Copy {
        member,
        id: CopyId(id),
    }
}

pub fn promotion(timeline: u32, start: u64, term: u64, n: u32) -> Promotion {
    Promotion {
        timeline: Timeline(timeline),
        start: Lsn(start),
        term: Term(term),
        n,
    }
}

pub fn record(
    term: u64,
    primary: MemberId,
    in_sync: &[Copy],
    promotions: Vec<Promotion>,
) -> Record {
    Record {
        forced: false,
        paused: false,
        key: RecordKey {
            term: Term(term),
            version: term,
        },
        primary,
        in_sync: in_sync.to_vec(),
        promotions: History::from(promotions),
        system_id: SYSTEM,
    }
}

pub fn stamp(me: MemberId, id: u64, history: Vec<Promotion>) -> Stamp {
    Stamp {
        cluster: "c".to_owned(),
        member: config(me).name(me).to_owned(),
        system_id: SYSTEM,
        copy: CopyId(id),
        record: None,
        history: History::from(history),
        ordered: None,
        ordered_on: Timeline(0),
        follows: None,
        rewritten: false,
    }
}

pub fn stamped(me: MemberId, id: u64) -> Dir {
    Dir {
        stamp: Some(stamp(me, id, vec![])),
        ..Dir::fresh()
    }
}

pub fn standby(of: Upstream, may_discard: bool) -> Want {
    Want::Standby { of, may_discard }
}

pub fn standby_of(member: MemberId, may_discard: bool) -> Want {
    standby(Upstream::Member(member), may_discard)
}

pub fn primary(gate: Gate, doors: Doors) -> Want {
    Want::Primary { gate, doors }
}

/// Here is B; A was promoted in term 5, at 1000, and is at 5000.
pub fn promoted_elsewhere() -> (World, Record) {
    let mut world = World::new(B);
    let mut primary = stamped(A, 1);
    primary.timelines.push((Timeline(2), Lsn(1000)));
    primary.end = Lsn(5000);
    world.primaries.insert(A, primary);
    (
        world,
        record(5, A, &[copy(A, 1)], vec![promotion(2, 1000, 5, 1)]),
    )
}
