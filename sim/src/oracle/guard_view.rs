//! What a guard says of itself, against what it heard and did: which permission it holds, which terms it has seen, what
//! runs, and whether that serves (R10, R16). The nodes believe it.

use crate::world::World;
use std::collections::BTreeMap;
use yoke_core::Instant;
use yoke_core::guard::{GuardAction, GuardEvent};
use yoke_core::permission::{GuardView, Permission};
use yoke_core::postgres::RunId;
use yoke_core::record::Term;
use yoke_core::step::{Order, Outcome, Step};

/// One guard, as seen from outside.
#[derive(Clone, Debug)]
pub(crate) struct Book {
    /// What its view has to be, but for the order under way.
    view: GuardView,
    /// What it was last seen to say to its daemon.
    told: GuardView,
    /// The orders that it took, and has not answered.
    open: BTreeMap<u64, Kind>,
    heard: Option<(Instant, Heard)>,
    did: Did,
}

/// What is to be known of an event.
#[derive(Clone, Copy, Debug)]
enum Heard {
    Nothing,
    Permission(Permission),
    Order(u64, Term, Kind),
    Outcome(u64, bool),
    Gone(RunId),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Start,
    Promote,
    Stop,
    Other,
}

/// What it did at one event.
#[derive(Clone, Debug, Default)]
struct Did {
    kills: usize,
    begun: Option<Option<RunId>>,
    refused: Option<u64>,
    answered: Vec<(u64, bool)>,
    told: Option<GuardView>,
}

impl Default for Book {
    fn default() -> Self {
        Book {
            view: GuardView::NEW,
            told: GuardView::NEW,
            open: BTreeMap::new(),
            heard: None,
            did: Did::default(),
        }
    }
}

impl Kind {
    fn of(order: &Order) -> Kind {
        match order.step {
            Step::Start => Kind::Start,
            Step::Promote => Kind::Promote,
            Step::Stop(_) => Kind::Stop,
            _ => Kind::Other,
        }
    }
}

impl Book {
    /// It is about to take this in.
    pub(crate) fn hears(&mut self, now: Instant, event: &GuardEvent) {
        let heard = match event {
            GuardEvent::Timeout => Heard::Nothing,
            GuardEvent::Permission(permission) => Heard::Permission(*permission),
            GuardEvent::Order(order) => Heard::Order(order.number, order.term, Kind::of(order)),
            GuardEvent::Outcome { number, outcome } => {
                Heard::Outcome(*number, matches!(outcome, Outcome::Done))
            }
            GuardEvent::Gone { run } => Heard::Gone(*run),
        };
        self.heard = Some((now, heard));
        self.did = Did::default();
    }

    /// It does this.
    pub(crate) fn does(&mut self, action: &GuardAction) {
        match action {
            GuardAction::Execute { run, .. } => self.did.begun = Some(*run),
            GuardAction::Kill { .. } => self.did.kills += 1,
            GuardAction::Answer { number, outcome } => match outcome {
                Outcome::Refused => self.did.refused = Some(*number),
                outcome => {
                    let ended = matches!(outcome, Outcome::Ended);
                    self.did.answered.push((*number, ended));
                }
            },
            GuardAction::View(view) => self.did.told = Some(*view),
            GuardAction::EndOrder { .. } | GuardAction::Explain(_) => {}
        }
    }

    /// It has done what it does at this event: what is wrong with what it says, if anything is.
    fn judge(&mut self, says: GuardView) -> Result<(), String> {
        let Some((now, heard)) = self.heard.take() else {
            return Ok(());
        };
        let did = std::mem::take(&mut self.did);
        let mut kills = self.fences(now);
        match heard {
            Heard::Nothing => {}
            Heard::Permission(permission) => self.holds(permission, now),
            Heard::Order(number, term, kind) => {
                self.view.last_order = self.view.last_order.max(number);
                if did.refused != Some(number) {
                    self.takes(number, term, kind, did.begun);
                }
            }
            Heard::Outcome(number, done) => {
                let ended = did.answered.contains(&(number, true));
                match self.open.get(&number).filter(|_| !ended) {
                    Some(Kind::Stop) if done => self.ends(),
                    Some(Kind::Start) if !done => self.ends(),
                    _ => {}
                }
            }
            Heard::Gone(run) if self.view.run == Some(run) => self.ends(),
            Heard::Gone(_) => {}
        }
        kills += self.fences(now);
        for (number, _) in &did.answered {
            if self.open.remove(number).is_none() {
                return Err(format!("it answers order {number}, which is not open"));
            }
        }
        if did.kills != kills {
            return Err(format!(
                "R10: {kills} fences are due, and {} are carried out",
                did.kills
            ));
        }
        let expected = GuardView {
            order: says.order,
            ..self.view
        };
        if says != expected {
            return Err(format!("it says {says:?}; it heard and did {expected:?}"));
        }
        let busy = says
            .order
            .is_some_and(|number| self.open.contains_key(&number));
        if busy != says.order.is_some() || busy == self.open.is_empty() {
            let open: Vec<_> = self.open.keys().collect();
            return Err(format!(
                "R16: it says order {:?}; open are {open:?}",
                says.order
            ));
        }
        let owes = says != self.told || matches!(heard, Heard::Permission(_));
        if owes && did.told != Some(says) {
            return Err("its daemon is not told what it holds now".to_owned());
        }
        self.told = says;
        Ok(())
    }

    /// R10: the newest permission is held; what serves goes on in its term.
    fn holds(&mut self, new: Permission, now: Instant) {
        let view = &mut self.view;
        if new.order() <= view.permission.order() {
            return;
        }
        view.permission = new;
        view.term = view.term.max(new.term);
        if view.serving.is_some() && !view.fencing && !new.is_over(now) {
            view.serving = Some(new.term);
        }
    }

    fn takes(&mut self, number: u64, term: Term, kind: Kind, begun: Option<Option<RunId>>) {
        let view = &mut self.view;
        view.term = view.term.max(term);
        match kind {
            Kind::Start => {
                // Whichever name it gives the run.
                view.run = begun.flatten();
                view.serving = None;
            }
            Kind::Promote => view.serving = Some(term),
            Kind::Stop | Kind::Other => {}
        }
        self.open.insert(number, kind);
    }

    /// R10: what serves without a permission is killed, once; how often that is due now.
    fn fences(&mut self, now: Instant) -> usize {
        let view = &mut self.view;
        let due = view.run.is_some()
            && view.serving.is_some()
            && !view.fencing
            && view.permission.is_over(now);
        view.fencing |= due;
        usize::from(due)
    }

    /// Nothing is left of the run.
    fn ends(&mut self) {
        (self.view.run, self.view.serving, self.view.fencing) = (None, None, false);
    }
}

impl World {
    /// A guard has taken something in, and done what it does.
    pub(crate) fn check_guard_view(&mut self, h: usize) {
        let Some(guard) = &self.hosts[h].guard else {
            return;
        };
        let says = guard.view();
        if let Err(why) = self.oracles.guards[h].judge(says) {
            self.violated("guard_view", format!("the guard of m{h}: {why}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use yoke_core::permission::Lasts;

    fn permission(serial: u64) -> Permission {
        Permission {
            term: Term(1),
            serial,
            lasts: Lasts::Unbounded,
        }
    }

    /// What a guard that has heard this permission may say.
    fn judged(book: &mut Book, heard: u64, says: GuardView) -> Result<(), String> {
        book.hears(Instant(1), &GuardEvent::Permission(permission(heard)));
        book.does(&GuardAction::View(says));
        book.judge(says)
    }

    #[test]
    fn a_guard_that_takes_an_older_permission_is_seen() {
        let mut book = Book::default();
        let holds = |serial| GuardView {
            permission: permission(serial),
            term: Term(1),
            ..GuardView::NEW
        };
        assert_eq!(judged(&mut book, 2, holds(2)), Ok(()));
        assert_eq!(judged(&mut book, 1, holds(2)), Ok(()));
        let older = judged(&mut book, 1, holds(1));
        assert!(older.is_err_and(|why| why.contains("it says")));
    }

    #[test]
    fn a_guard_that_keeps_its_view_to_itself_is_seen() {
        let mut book = Book::default();
        let says = GuardView {
            permission: permission(1),
            term: Term(1),
            ..GuardView::NEW
        };
        book.hears(Instant(1), &GuardEvent::Permission(permission(1)));
        assert!(book.judge(says).is_err_and(|why| why.contains("not told")));
    }
}
