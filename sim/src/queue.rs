//! What will happen, in the order in which it will: events, each once; and alarms, which are set anew all the time, so
//! that an old setting costs nothing.

use crate::event::Ev;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// When something happens; after how many others it was put in; and where it lies. One small number, because a heap
/// compares its entries and moves them about.
type When = u128;

const fn when(at: u64, seq: u64, slot: u32) -> When {
    (at as u128) << 64 | (seq << SLOT_BITS) as u128 | slot as u128
}

const fn at(when: When) -> u64 {
    (when >> 64) as u64
}

const fn seq(when: When) -> u64 {
    when as u64 >> SLOT_BITS
}

const fn slot(when: When) -> usize {
    (when as usize) & ((1 << SLOT_BITS) - 1)
}

/// More is never due at one time, and no run puts in more than the other bits can count.
const SLOT_BITS: u32 = 24;

/// Whose alarm it is. Each has one, and a new setting replaces the old one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub(crate) enum Alarm {
    /// The next deadline of a host's daemon.
    Daemon(usize),
    /// That of its guard.
    Guard(usize),
    /// When a client gives up its statement.
    Client(usize),
}

/// More than any cluster has hosts.
const HOSTS: usize = 8;
/// Not set.
const NEVER: When = When::MAX;

impl Alarm {
    fn slot(self) -> usize {
        match self {
            Alarm::Daemon(h) => h,
            Alarm::Guard(h) => HOSTS + h,
            Alarm::Client(client) => 2 * HOSTS + client,
        }
    }

    /// The host whose database it may change; none: any.
    pub(crate) fn place(self) -> Option<usize> {
        match self {
            Alarm::Daemon(h) | Alarm::Guard(h) => Some(h),
            Alarm::Client(_) => None,
        }
    }

    fn of(place: usize) -> Alarm {
        match place {
            0..HOSTS => Alarm::Daemon(place),
            HOSTS..16 => Alarm::Guard(place - HOSTS),
            _ => Alarm::Client(place - 2 * HOSTS),
        }
    }
}

/// What comes next.
#[derive(Debug)]
pub(crate) enum Next {
    Event(Ev),
    Alarm(Alarm),
}

/// What will happen.
pub(crate) struct Queue {
    /// Counts what was put in: of two things at one time the older one comes first.
    seq: u64,
    heap: BinaryHeap<Reverse<When>>,
    due: Vec<Option<Ev>>,
    free: Vec<u32>,
    /// When each alarm comes.
    alarms: Vec<When>,
    /// The place of the one that comes first.
    first: usize,
}

impl Queue {
    /// Nothing will happen.
    pub(crate) fn new(clients: usize) -> Self {
        Queue {
            seq: 0,
            heap: BinaryHeap::new(),
            due: vec![],
            free: vec![],
            alarms: vec![NEVER; 2 * HOSTS + clients],
            first: 0,
        }
    }

    /// Nothing will happen any more.
    #[cfg(test)]
    pub(crate) fn clear(&mut self) {
        *self = Queue::new(self.alarms.len() - 2 * HOSTS);
    }

    /// An event will happen at that time. Its number.
    pub(crate) fn put(&mut self, at: u64, ev: Ev) -> u64 {
        self.seq += 1;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.due.push(None);
            self.due.len() as u32 - 1
        });
        self.due[slot as usize] = Some(ev);
        self.heap.push(Reverse(when(at, self.seq, slot)));
        self.seq
    }

    /// The number of the newest thing put in.
    pub(crate) fn seq(&self) -> u64 {
        self.seq
    }

    /// When an alarm comes, if it is set.
    pub(crate) fn alarm_at(&self, alarm: Alarm) -> Option<u64> {
        let set = self.alarms[alarm.slot()];
        (set != NEVER).then_some(at(set))
    }

    /// Sets an alarm to a time, or off.
    pub(crate) fn set(&mut self, alarm: Alarm, due: Option<u64>) {
        let place = alarm.slot();
        if due == self.alarm_at(alarm) {
            return;
        }
        self.seq += 1;
        let new = due.map_or(NEVER, |due| when(due, self.seq, 0));
        let old = std::mem::replace(&mut self.alarms[place], new);
        if new < self.alarms[self.first] {
            self.first = place;
        } else if place == self.first && new > old {
            self.first = (0..self.alarms.len())
                .min_by_key(|place| self.alarms[*place])
                .unwrap_or(0);
        }
    }

    /// When the next thing happens.
    #[cfg(test)]
    pub(crate) fn next_at(&self) -> Option<u64> {
        let event = self.heap.peek().map_or(NEVER, |Reverse(next)| *next);
        let next = event.min(self.alarms[self.first]);
        (next != NEVER).then_some(at(next))
    }

    /// What happens next, when, and its number.
    pub(crate) fn pop(&mut self) -> Option<(u64, u64, Next)> {
        let alarm = self.alarms[self.first];
        let event = self.heap.peek().map_or(NEVER, |Reverse(next)| *next);
        if alarm < event {
            let which = Alarm::of(self.first);
            self.set(which, None);
            return Some((at(alarm), seq(alarm), Next::Alarm(which)));
        }
        let Reverse(next) = self.heap.pop()?;
        self.free.push(slot(next) as u32);
        let ev = self.due[slot(next)].take()?;
        Some((at(next), seq(next), Next::Event(ev)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_setting_of_an_alarm_is_the_only_one_and_the_older_of_two_comes_first() {
        let mut queue = Queue::new(2);
        queue.set(Alarm::Daemon(1), Some(50));
        queue.set(Alarm::Client(1), Some(20));
        queue.put(30, Ev::Probe);
        queue.set(Alarm::Guard(7), Some(30));
        queue.set(Alarm::Daemon(1), Some(10));
        queue.set(Alarm::Client(1), Some(40));
        queue.set(Alarm::Daemon(1), Some(35));
        queue.set(Alarm::Daemon(0), Some(1));
        queue.set(Alarm::Daemon(0), None);
        let order: Vec<String> = std::iter::from_fn(|| queue.pop())
            .map(|(at, _, next)| format!("{at} {next:?}"))
            .collect();
        assert_eq!(
            order,
            [
                "30 Event(Probe)",
                "30 Alarm(Guard(7))",
                "35 Alarm(Daemon(1))",
                "40 Alarm(Client(1))"
            ]
        );
    }
}
