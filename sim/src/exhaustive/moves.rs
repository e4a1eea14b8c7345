//! Everything that may happen next.

use super::database::Order;
use super::world::{LAG, LONG, STEADY, World};
use yoke_core::message::Body;
use yoke_core::time::Duration;
use yoke_core::{Event, member::MemberId};

/// One thing that happens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Move {
    /// The message at this place arrives, and may come again. `answered`: its answer arrives at once.
    Deliver { at: usize, answered: bool },
    /// A leader's clock jumps to its timeout.
    Tick(usize, Duration),
    /// A clock jumps beyond all deadlines, and its member asks for votes.
    Campaign(usize),
    /// A clock jumps beyond all deadlines, and its member asks what the others hold.
    Ask(usize),
    /// The steward's next order begins.
    Order(usize),
    /// The order under way takes effect.
    Effect(usize),
    /// The guard fences.
    Fence(usize),
    /// A client commits.
    Write(usize),
    /// A standby flushes what its primary has.
    Flush(usize),
    /// A primary hears what its standby has flushed.
    Confirm(usize),
    /// A daemon restarts; its guard and database go on.
    Restart(usize),
    /// A host loses power and returns.
    Power(usize),
    /// A daemon restarts without its state file.
    Lose(usize),
}

/// All that may happen, in a fixed order.
pub(super) fn moves(world: &World) -> Vec<Move> {
    let scope = world.scope();
    let mut all = vec![];
    for (at, packet) in world.net.iter().enumerate() {
        all.push(Move::Deliver { at, answered: true });
        if !packet.is_answer() {
            all.push(Move::Deliver {
                at,
                answered: false,
            });
        }
    }
    for (h, host) in world.hosts.iter().enumerate() {
        let data = host.database.is_some();
        if host.leads {
            all.extend([STEADY, LAG, LONG].map(|jump| Move::Tick(h, jump)));
        } else if data {
            all.push(Move::Campaign(h));
        }
        if scope.asks && !host.leads {
            all.push(Move::Ask(h));
        }
        if data {
            if world.next_order(h).is_some() {
                all.push(Move::Order(h));
            }
            if world.has_order_under_way(h) {
                all.push(Move::Effect(h));
            }
            if world.may_fence(h) {
                all.push(Move::Fence(h));
            }
            if world.may_write(h) {
                all.push(Move::Write(h));
            }
            if world.can_flush(h) {
                all.push(Move::Flush(h));
            }
        }
        if world.crashes < scope.crashes {
            all.push(Move::Restart(h));
            if data {
                all.push(Move::Power(h));
            }
        }
        if world.losses < scope.losses {
            all.push(Move::Lose(h));
        }
    }
    all.extend((0..world.confirmations.len()).map(Move::Confirm));
    all
}

/// The world after it; none: it changes nothing.
pub(super) fn after(world: &World, what: Move) -> Option<World> {
    let mut next = world.clone();
    match what {
        Move::Deliver { at, answered } => {
            let packet = next.net[at].clone();
            // Whoever is asked for its vote may have kept its promise long enough.
            let jump = match packet.message.body {
                Body::Vote(_) => LONG,
                _ => Duration::ZERO,
            };
            next.receive(packet, jump, answered);
        }
        Move::Tick(h, jump) => next.event(h, jump, Event::Timeout),
        Move::Campaign(h) => {
            let host = &next.hosts[h];
            let term = host.disk.as_ref().map_or(0, |s| s.term.0);
            if term >= next.scope().terms || !next.campaign(h) {
                return None;
            }
        }
        Move::Ask(h) => next.event(h, LONG, Event::Timeout),
        Move::Order(h) => {
            let order = next.next_order(h)?;
            next.order(h, order);
        }
        Move::Effect(h) => next.take_effect(h),
        Move::Fence(h) => next.fence(h),
        Move::Write(h) => next.write(h),
        Move::Flush(h) => next.flush(h),
        Move::Confirm(at) => {
            let (to, copy, flushed) = next.confirmations.remove(at);
            next.confirm(to, copy, flushed);
        }
        Move::Restart(h) => {
            next.crashes += 1;
            next.restart(h, false, false);
        }
        Move::Power(h) => {
            next.crashes += 1;
            next.restart(h, true, false);
        }
        Move::Lose(h) => {
            next.losses += 1;
            next.restart(h, false, true);
        }
    }
    next.settle();
    Some(next)
}

/// What happens, in words.
pub(super) fn words(world: &World, what: Move) -> String {
    let third = if world.scope().third_data { 'C' } else { 'M' };
    let name = |m: MemberId| ['A', 'B', third][usize::from(m.0)];
    let host = |h: usize| ['A', 'B', third][h];
    match what {
        Move::Deliver { at, answered } => {
            let packet = &world.net[at];
            let fate = match (packet.is_answer(), answered) {
                (true, _) => "",
                (false, true) => ", is answered",
                (false, false) if world.scope().late => ", its answer is under way",
                (false, false) => ", its answer is lost",
            };
            format!("{} reaches {}{fate}", packet.words(name), name(packet.to))
        }
        Move::Tick(h, LONG) => format!(
            "{} waits until its lease and all promises are over",
            host(h)
        ),
        Move::Tick(h, LAG) => format!("{} waits for longer than sync_timeout", host(h)),
        Move::Tick(h, _) => format!("{} waits for a while", host(h)),
        Move::Campaign(h) => format!(
            "{} waits for no promise any more and asks for votes",
            host(h)
        ),
        Move::Ask(h) => format!("{} asks what the others hold", host(h)),
        Move::Order(h) => {
            let what = match world.next_order(h) {
                Some(Order::Start) => "starts its database".to_owned(),
                Some(Order::Stop) => "stops its database".to_owned(),
                Some(Order::Follow(Some(m))) => format!("lets its standby follow {}", name(m)),
                Some(Order::Follow(None)) => "lets its standby follow nobody".to_owned(),
                Some(Order::Promote(term)) => format!("orders a promotion in term {term}"),
                Some(Order::Gate(_, None)) => "closes its gate".to_owned(),
                Some(Order::Gate(_, Some(names))) => {
                    let names: String = names.iter().map(|c| name(c.member)).collect();
                    format!("orders its gate to be {{{names}}}")
                }
                Some(Order::GiveUp) => "gives its copy up".to_owned(),
                Some(Order::Clone(m)) => format!("clones {}", name(m)),
                None => "does nothing".to_owned(),
            };
            format!("{} {what}", host(h))
        }
        Move::Effect(h) => format!("{}'s order takes effect", host(h)),
        Move::Fence(h) => format!("{}'s guard fences", host(h)),
        Move::Write(h) => format!("a client writes w{} at {}", world.writes + 1, host(h)),
        Move::Flush(h) => format!("{} flushes what its primary has", host(h)),
        Move::Confirm(at) => {
            let (to, copy, flushed) = world.confirmations[at];
            format!(
                "{} hears that {} has flushed {} writes",
                name(to),
                name(copy.member),
                flushed - 100
            )
        }
        Move::Restart(h) => format!("{}'s daemon restarts", host(h)),
        Move::Power(h) => format!("{} loses power and returns", host(h)),
        Move::Lose(h) => format!("{} loses its state file; its daemon restarts", host(h)),
    }
}
