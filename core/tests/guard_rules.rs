//! The guard alone: permission and fence (R10), one order at a time (R16).
#![allow(clippy::unwrap_used)]

mod fake;

use fake::{A, config, stamp};
use yoke_core::guard::{Guard, GuardAction, GuardEvent, GuardReason};
use yoke_core::permission::{GuardView, Lasts, Permission};
use yoke_core::postgres::*;
use yoke_core::record::*;
use yoke_core::step::*;
use yoke_core::{Duration, Instant};

struct Bench {
    now: Instant,
    guard: Guard,
    number: u64,
    serial: u64,
    log: Vec<String>,
}

impl Bench {
    fn new() -> Bench {
        Bench {
            now: Instant(1_000_000),
            guard: Guard::new(config(A), 9),
            number: 0,
            serial: 0,
            log: Vec::new(),
        }
    }

    fn handle(&mut self, event: GuardEvent) -> Vec<GuardAction> {
        self.guard.handle(self.now, event);
        let actions: Vec<_> = std::iter::from_fn(|| self.guard.poll_action()).collect();
        for action in &actions {
            if let GuardAction::Explain(reason) = action {
                self.log.push(reason.to_string());
            }
        }
        actions
    }

    fn permit(&mut self, term: u64, lasts: Lasts) -> Vec<GuardAction> {
        self.serial += 1;
        self.handle(GuardEvent::Permission(Permission {
            term: Term(term),
            serial: self.serial,
            lasts,
        }))
    }

    fn order(&mut self, term: u64, step: Step) -> Vec<GuardAction> {
        self.number += 1;
        self.handle(GuardEvent::Order(Order {
            term: Term(term),
            number: self.number,
            step,
        }))
    }

    fn done(&mut self) -> Vec<GuardAction> {
        self.outcome(self.number, Outcome::Done)
    }

    fn outcome(&mut self, number: u64, outcome: Outcome) -> Vec<GuardAction> {
        self.handle(GuardEvent::Outcome { number, outcome })
    }

    fn gone(&mut self, run: RunId) -> Vec<GuardAction> {
        self.handle(GuardEvent::Gone { run })
    }

    fn carry_out(&mut self, term: u64, step: Step) {
        assert!(executes(&self.order(term, step)));
        let actions = self.done();
        assert!(actions.contains(&answer(self.number, Outcome::Done)));
    }

    fn view(&self) -> GuardView {
        self.guard.view()
    }

    /// A primary of term 5.
    fn serving(lasts: Lasts) -> (Bench, RunId) {
        let mut bench = Bench::new();
        bench.permit(5, lasts);
        bench.carry_out(5, Step::WriteSettings(settings(None, Doors::Closed)));
        bench.carry_out(5, Step::Start);
        bench.carry_out(5, Step::Promote);
        let run = bench.view().run.unwrap();
        assert_eq!(bench.view().serving, Some(Term(5)));
        (bench, run)
    }
}

fn settings(gate: Option<Vec<Copy>>, doors: Doors) -> Settings {
    Settings {
        generation: 1,
        gate,
        follow: None,
        copy: None,
        doors,
    }
}

fn leaving() -> Leaving {
    Leaving {
        copy: None,
        timeline: Timeline(1),
        from: None,
        to: Lsn(0),
        why: String::new(),
    }
}

fn aside() -> Step {
    Step::SetAside(leaving())
}

fn answer(number: u64, outcome: Outcome) -> GuardAction {
    GuardAction::Answer { number, outcome }
}

fn executes(actions: &[GuardAction]) -> bool {
    actions
        .iter()
        .any(|a| matches!(a, GuardAction::Execute { .. }))
}

fn kills(actions: &[GuardAction]) -> bool {
    actions
        .iter()
        .any(|a| matches!(a, GuardAction::Kill { .. }))
}

fn refuses(actions: &[GuardAction]) -> bool {
    actions.iter().any(|a| {
        matches!(
            a,
            GuardAction::Answer {
                outcome: Outcome::Refused,
                ..
            }
        )
    })
}

fn in_a_second(bench: &Bench) -> Lasts {
    Lasts::Until(bench.now + Duration::secs(1))
}

#[test]
fn r10_fences_at_the_end_of_the_permission() {
    let bench = Bench::new();
    let (mut bench, run) = Bench::serving(in_a_second(&bench));
    assert_eq!(
        bench.guard.next_timeout(),
        Some(bench.now + Duration::secs(1))
    );
    bench.now = bench.now + Duration::millis(999);
    assert!(!kills(&bench.handle(GuardEvent::Timeout)));
    bench.now = bench.now + Duration::millis(1);
    let actions = bench.handle(GuardEvent::Timeout);
    assert_eq!(actions[0], GuardAction::Kill { run }, "before all else");
    assert!(bench.view().fencing);
    assert_eq!(bench.guard.next_timeout(), None);
    assert!(!kills(&bench.handle(GuardEvent::Timeout)), "once");
    // Nothing starts before it is gone.
    assert!(refuses(&bench.order(5, Step::Start)));
    bench.gone(run);
    let view = bench.view();
    assert_eq!((view.run, view.serving, view.fencing), (None, None, false));
    assert!(executes(&bench.order(5, Step::Start)));
    assert_ne!(bench.view().run, Some(run));
    insta::assert_snapshot!(bench.log.join("\n"));
}

#[test]
fn r10_a_fence_ends_the_order_under_way_and_waits_for_nothing() {
    let bench = Bench::new();
    let (mut bench, run) = Bench::serving(in_a_second(&bench));
    bench.order(5, Step::WriteSettings(settings(None, Doors::Open)));
    let number = bench.number;
    bench.now = bench.now + Duration::secs(2);
    // Whatever the event: the end has come first. A late renewal is late.
    let actions = bench.permit(5, Lasts::Unbounded);
    assert!(kills(&actions));
    assert!(actions.contains(&GuardAction::EndOrder { number }));
    bench.gone(run);
    assert_eq!(bench.view().order, Some(number), "still under way");
    assert!(refuses(&bench.order(5, Step::Start)));
    assert!(
        bench
            .outcome(number, Outcome::Done)
            .contains(&answer(number, Outcome::Ended))
    );
    assert_eq!(bench.view().order, None);
}

#[test]
fn r10_a_shorter_or_ended_permission_takes_effect_at_once() {
    let (mut bench, _) = Bench::serving(Lasts::Unbounded);
    assert_eq!(bench.guard.next_timeout(), None);
    let lasts = in_a_second(&bench);
    bench.permit(5, lasts);
    assert!(bench.guard.next_timeout().is_some());
    assert!(kills(&bench.permit(5, Lasts::Ended)));
}

#[test]
fn r10_an_older_permission_is_ignored_and_confirmed() {
    let (mut bench, _) = Bench::serving(Lasts::Unbounded);
    let old = Permission {
        term: Term(4),
        serial: 99,
        lasts: Lasts::Ended,
    };
    let actions = bench.handle(GuardEvent::Permission(old));
    assert_eq!(actions, [GuardAction::View(bench.view())]);
    assert_eq!(bench.view().permission.term, Term(5));
    let same = Permission {
        lasts: Lasts::Ended,
        ..bench.view().permission
    };
    bench.handle(GuardEvent::Permission(same));
    assert_eq!(bench.view().permission.lasts, Lasts::Unbounded);
}

#[test]
fn r10_a_reelected_leader_takes_its_database_along() {
    let bench = Bench::new();
    let (mut bench, _) = Bench::serving(in_a_second(&bench));
    bench.permit(7, Lasts::Unbounded);
    assert_eq!(bench.view().serving, Some(Term(7)));
    bench.now = bench.now + Duration::secs(5);
    assert!(!kills(&bench.handle(GuardEvent::Timeout)));
    assert!(kills(&bench.permit(8, Lasts::Ended)));
}

#[test]
fn r10_refuses_to_promote_or_open_without_permission() {
    let mut bench = Bench::new();
    bench.carry_out(5, Step::WriteSettings(settings(None, Doors::Closed)));
    bench.carry_out(5, Step::Start);
    assert!(refuses(&bench.order(5, Step::Promote)));
    bench.permit(4, Lasts::Unbounded);
    assert!(refuses(&bench.order(5, Step::Promote)), "of another term");
    // A standby's doors are open without permission.
    bench.carry_out(5, Step::WriteSettings(settings(None, Doors::Open)));
    bench.carry_out(5, Step::Reload);
    bench.carry_out(5, Step::WriteSettings(settings(None, Doors::Closed)));
    bench.permit(5, Lasts::Unbounded);
    bench.carry_out(5, Step::Promote);
    // Serving in term 5; a new term gives no permission to open in the old one, nor before its own.
    let open = Step::WriteSettings(settings(Some(vec![]), Doors::Closed));
    assert!(refuses(&bench.order(6, open.clone())));
    let doors = Step::WriteSettings(settings(None, Doors::Open));
    assert!(refuses(&bench.order(6, doors)));
    bench.carry_out(6, Step::WriteSettings(settings(None, Doors::Closed)));
    bench.carry_out(6, Step::Reload);
    bench.permit(6, Lasts::Unbounded);
    bench.carry_out(6, open);
    bench.permit(7, Lasts::Unbounded);
    assert!(refuses(&bench.order(6, Step::Reload)), "an old term");
    bench.carry_out(7, Step::Reload);
}

#[test]
fn r10_a_reload_of_open_settings_needs_permission_too() {
    let (mut bench, _) = Bench::serving(Lasts::Unbounded);
    bench.carry_out(5, Step::WriteSettings(settings(Some(vec![]), Doors::Open)));
    assert!(refuses(&bench.order(6, Step::Reload)));
    // A failed write of closed ones leaves the open ones possible.
    bench.order(6, Step::WriteSettings(settings(None, Doors::Closed)));
    bench.outcome(bench.number, Outcome::Failed("disk full".to_owned()));
    assert!(refuses(&bench.order(6, Step::Reload)));
    bench.carry_out(6, Step::WriteSettings(settings(None, Doors::Closed)));
    bench.carry_out(6, Step::Reload);
}

#[test]
fn r7_refuses_to_promote_with_an_open_gate() {
    let mut bench = Bench::new();
    bench.permit(5, Lasts::Unbounded);
    bench.carry_out(
        5,
        Step::WriteSettings(settings(Some(vec![]), Doors::Closed)),
    );
    bench.carry_out(5, Step::Start);
    assert!(refuses(&bench.order(5, Step::Promote)));
}

#[test]
fn r16_one_order_at_a_time_of_a_term_not_older() {
    let mut bench = Bench::new();
    bench.order(5, Step::WriteStamp(stamp(A, 1, vec![])));
    let first = bench.number;
    assert_eq!(bench.view().order, Some(first));
    assert!(refuses(&bench.order(5, aside())));
    bench.outcome(first, Outcome::Done);
    assert!(refuses(&bench.order(4, aside())), "an older term");
    bench.permit(6, Lasts::Unbounded);
    assert!(refuses(&bench.order(5, aside())), "a newer permission");
    bench.number = 1;
    assert!(refuses(&bench.order(6, aside())), "a number seen before");
    assert_eq!(bench.view().last_order, 4);
    bench.number = 10;
    assert!(executes(&bench.order(6, aside())));
    insta::assert_snapshot!(bench.log.join("\n"));
}

#[test]
fn r16_a_stop_ends_what_is_under_way() {
    let (mut bench, run) = Bench::serving(Lasts::Unbounded);
    bench.order(5, Step::Reload);
    let reload = bench.number;
    let actions = bench.order(5, Step::Stop(StopMode::Clean));
    let clean = bench.number;
    assert!(actions.contains(&GuardAction::EndOrder { number: reload }));
    assert!(executes(&actions));
    assert!(refuses(&bench.order(5, Step::Stop(StopMode::Clean))));
    // Now supersedes Clean.
    let actions = bench.order(5, Step::Stop(StopMode::Now));
    let now = bench.number;
    assert!(actions.contains(&GuardAction::EndOrder { number: clean }));
    let actions = bench.gone(run);
    assert!(actions.contains(&answer(now, Outcome::Done)));
    assert!(actions.contains(&answer(clean, Outcome::Ended)));
    let view_at = |v: &[GuardAction]| v.iter().position(|a| matches!(a, GuardAction::View(_)));
    assert_eq!(view_at(&actions), Some(0), "the view before the answer");
    assert_eq!(bench.view().order, Some(reload));
    bench.outcome(reload, Outcome::Failed("killed".to_owned()));
    assert_eq!(bench.view().order, None);
    assert!(bench.outcome(now, Outcome::Done).is_empty(), "answered");
}

#[test]
fn r16_a_stop_answered_before_the_end_is_seen() {
    let (mut bench, run) = Bench::serving(Lasts::Unbounded);
    bench.order(5, Step::Stop(StopMode::Clean));
    let actions = bench.done();
    assert!(actions.contains(&answer(bench.number, Outcome::Done)));
    assert_eq!(bench.view().run, None);
    assert!(bench.gone(run).is_empty());
}

#[test]
fn r16_a_stop_of_nothing_waits_for_what_it_ended() {
    let mut bench = Bench::new();
    bench.order(5, Step::Clone { from: A });
    let clone = bench.number;
    let actions = bench.order(5, Step::Stop(StopMode::Now));
    let stop = bench.number;
    assert!(actions.contains(&GuardAction::EndOrder { number: clone }));
    assert!(!executes(&actions));
    let actions = bench.outcome(clone, Outcome::Ended);
    assert!(actions.contains(&answer(clone, Outcome::Ended)));
    assert!(actions.contains(&answer(stop, Outcome::Done)));
    assert_eq!(bench.view().order, None);
}

/// The first stop has nothing to do but wait, and was never begun: nobody would answer that it has ended.
#[test]
fn r16_a_second_stop_of_nothing_does_not_wait_for_the_first() {
    let mut bench = Bench::new();
    bench.order(5, Step::Clone { from: A });
    let clone = bench.number;
    bench.order(5, Step::Stop(StopMode::Clean));
    let clean = bench.number;
    let actions = bench.order(5, Step::Stop(StopMode::Now));
    let now = bench.number;
    assert!(actions.contains(&answer(clean, Outcome::Ended)));
    let actions = bench.outcome(clone, Outcome::Ended);
    assert!(actions.contains(&answer(now, Outcome::Done)));
    assert_eq!(bench.view().order, None);
}

#[test]
fn a_stop_is_safe_in_any_term() {
    let (mut bench, run) = Bench::serving(Lasts::Unbounded);
    assert!(executes(&bench.order(0, Step::Stop(StopMode::Now))));
    bench.gone(run);
    assert!(refuses(&bench.order(0, Step::Start)));
}

#[test]
fn directory_steps_need_the_database_down() {
    let (mut bench, run) = Bench::serving(Lasts::Unbounded);
    for step in [
        Step::Start,
        aside(),
        Step::Clone { from: A },
        Step::Rewind {
            from: A,
            timeline: Timeline(2),
            drops: leaving(),
        },
        Step::MarkRewriting,
        Step::ClearMark,
    ] {
        assert!(refuses(&bench.order(5, step)));
    }
    bench.carry_out(5, Step::WriteStamp(stamp(A, 1, vec![])));
    bench.gone(run);
    bench.carry_out(5, Step::MarkRewriting);
}

#[test]
fn a_postmaster_that_dies_is_told() {
    let (mut bench, run) = Bench::serving(Lasts::Unbounded);
    let actions = bench.gone(run);
    assert!(matches!(actions[0], GuardAction::View(v) if v.run.is_none() && v.serving.is_none()));
    assert!(
        actions.contains(&GuardAction::Explain(GuardReason::GoneUnasked {
            run,
            serving: Some(Term(5))
        }))
    );
    // One that dies while it is started.
    bench.order(5, Step::Start);
    let started = bench.view().run.unwrap();
    bench.gone(started);
    let actions = bench.done();
    assert!(actions.iter().any(|a| matches!(
        a,
        GuardAction::Answer {
            outcome: Outcome::Failed(_),
            ..
        }
    )));
}
