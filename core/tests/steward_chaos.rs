//! Whatever the node wants, whatever fails, whenever the daemon or the postmaster dies: no rule's assertion fires, and
//! once all is quiet the target is reached.
#![allow(clippy::unwrap_used)]

mod fake;

use fake::*;
use yoke_core::permission::Lasts;
use yoke_core::postgres::*;
use yoke_core::record::*;
use yoke_core::{Duration, Instant};

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.0 >> 33) % sides
    }
}

#[test]
fn chaos_then_the_target() {
    let mut counts = [0; 5];
    for seed in 0..400 {
        let mut dice = Dice(seed);
        let mut world = World::new(B);
        world.rewinding = match seed % 3 {
            0 => Rewinding::Works,
            1 => Rewinding::Nothing,
            _ => Rewinding::Tears,
        };
        let mut remote = stamped(A, 1);
        remote.timelines.push((Timeline(2), Lsn(1000)));
        remote.end = Lsn(5000);
        world.primaries.insert(A, remote);
        world.dir = (dice.roll(4) > 0).then(|| stamped(B, 2));
        let theirs = |own: Option<CopyId>, named: bool| {
            let mut in_sync = vec![copy(A, 1)];
            in_sync.extend(own.filter(|_| named).map(|id| copy(B, id.0)));
            record(5, A, &in_sync, vec![promotion(2, 1000, 5, 1)])
        };
        let steps = [
            "stamp",
            "settings",
            "start",
            "reload",
            "promote",
            "stop",
            "clone",
            "rewind",
            "mark",
            "aside",
            "canary",
            "end sessions",
            "observe",
            "nudge",
            "inspect",
            "checkpoint",
            "begin checkpoint",
            "unmark",
        ];
        let mut term = 5;
        for _ in 0..30 {
            let own = world.status.copy;
            match dice.roll(12) {
                0 => world.restart_daemon(),
                1 if world.pg.is_some() => world.postmaster_dies(),
                2 => {
                    let step = steps[dice.roll(steps.len() as u64) as usize];
                    world.failing.insert(step, dice.roll(4) as u32);
                }
                3 => world.want(
                    term,
                    Some(&theirs(own, true)),
                    Want::Stopped(StopMode::Clean),
                ),
                4 => world.want(
                    term,
                    Some(&theirs(own, false)),
                    Want::Stopped(StopMode::Now),
                ),
                5 => world.want(
                    term,
                    Some(&theirs(own, true)),
                    standby(Upstream::AsFound, false),
                ),
                6 => world.want(
                    term,
                    Some(&theirs(own, true)),
                    standby(Upstream::Nobody, false),
                ),
                7 => world.want(
                    term,
                    Some(&theirs(own, false)),
                    standby(Upstream::Member(A), dice.roll(2) > 0),
                ),
                8 => world.want(term, Some(&theirs(own, true)), Want::Draining),
                9 | 10 => {
                    term += 1;
                    let lasts = match dice.roll(3) {
                        0 => Lasts::Unbounded,
                        1 => Lasts::Until(Instant(world.now.0 + 300_000)),
                        _ => Lasts::Ended,
                    };
                    world.permit(term, lasts);
                    let gate = match dice.roll(3) {
                        0 => Gate::AsFound,
                        1 => Gate::Closed,
                        _ => Gate::Open(vec![]),
                    };
                    let mine = own.map_or(vec![copy(A, 1)], |id| vec![copy(B, id.0)]);
                    let history = world.status.history.promotions().to_vec();
                    let record = record(term, B, &mine, history);
                    world.want(term, Some(&record), primary(gate, Doors::Open));
                }
                _ => {}
            }
            world.run_for(Duration::millis(dice.roll(200)));
        }
        world.failing.clear();
        let ordered = world.ordered;
        let start = world.now;
        term += 1;
        if seed % 2 == 0 {
            world.want(
                term,
                Some(&theirs(None, false)),
                standby(Upstream::Member(A), true),
            );
            world.until("streams", World::streams);
            assert!(!world.mark);
        } else if let Some(id) = world.status.copy {
            world.permit(term, Lasts::Unbounded);
            let record = record(term, B, &[copy(B, id.0)], vec![]);
            let serve = || primary(Gate::Open(vec![]), Doors::Open);
            world.want(term, Some(&record), serve());
            world.run_for(Duration::secs(10));
            if world.status.state == PgState::Promoting {
                // R19: a promotion that failed, and of which the daemon that ordered it did not live to hear.
                world.want(term, Some(&record), Want::Stopped(StopMode::Now));
                world.run_for(Duration::secs(1));
                world.want(term, Some(&record), serve());
            }
            world.until("open", |w| {
                w.is_open(&[]) && w.primary().is_some_and(|p| p.doors == Doors::Open)
            });
            let dir = world.dir.as_ref().unwrap();
            assert_eq!(
                dir.newest().0,
                world.status.history.last().unwrap().timeline
            );
        }
        for (sum, step) in counts
            .iter_mut()
            .zip(["promote", "clone", "stop", "start", "rewind"])
        {
            *sum += world.count(step);
        }
        // No busy loop: an order a millisecond would be one.
        let ordered = (world.ordered - ordered) as u64;
        let took = world.now.since(start).as_millis();
        assert!(
            ordered < 60 + took / 8,
            "seed {seed}: {ordered} in {took} ms"
        );
    }
    // It did come to something.
    assert!(counts.iter().all(|n| *n > 150), "{counts:?}");
    println!("{counts:?}");
}
