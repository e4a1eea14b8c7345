//! What is to be done with the virtual address, and when. Plain values: the guard has the clock, the thread and the shell.
//!
//! The address is wanted from the moment that the primary admits clients until serving ends, by an order, a fence or by
//! itself. One command at a time; the newest wish wins: adding is killed when the address has to leave, removing comes to
//! its end. What was begun may have happened, so after any attempt to add comes a removal.

use super::run::Ran;
use serde::{Deserialize, Serialize};
use yoke_core::postgres::RunId;
use yoke_core::{Duration, Instant};

/// How long the end of serving is not told while the address is being removed.
const HOLD: Duration = Duration::secs(1);

/// The section `[vip]`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Vip {
    /// The address, as it is appended to both commands.
    pub ip: String,
    /// Puts it on this host.
    pub add_command: String,
    /// Takes it off; none: something else does that, when another host adds it.
    pub remove_command: Option<String>,
}

/// What operators see of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct VipView {
    /// The address.
    pub ip: String,
    /// Where it is, as far as the commands say.
    pub place: Place,
    /// Since when.
    pub since: Instant,
    /// What became of the last command, if it did not succeed.
    pub failed: Option<String>,
}

/// Whether the address is on this host.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Place {
    /// It is not.
    Away,
    /// It is being added.
    Coming,
    /// It is.
    Here,
    /// It is being removed.
    Leaving,
}

/// A command to run with the address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// `add_command`
    Add,
    /// `remove_command`
    Remove,
}

/// What is to be done now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Do {
    /// Begin a command. Its end is told by `ended`.
    Begin(Change, Vip),
    /// Kill the one under way. Its end is told all the same.
    End,
}

/// The address's keeper.
#[derive(Debug)]
pub struct Keeper {
    /// As configured now.
    configured: Option<Vip>,
    /// It is to be on this host.
    wanted: bool,
    /// What may be on this host: as it was configured when it was added.
    present: Option<Vip>,
    /// The command under way, and whether it was told to end.
    under_way: Option<(Change, bool)>,
    /// Serving has ended in this run.
    left: Option<RunId>,
    /// Until then the end of serving is not told; set once a removal.
    hold: Option<Instant>,
    /// The removal was waited for in vain.
    held: bool,
    place: (Place, Instant),
    failed: Option<String>,
}

impl Keeper {
    /// Nothing serves yet. What an earlier guard may have left on this host goes first.
    pub fn new(now: Instant, configured: Option<Vip>) -> Keeper {
        let mut keeper = Keeper {
            present: configured.clone(),
            configured,
            wanted: false,
            under_way: None,
            left: None,
            hold: None,
            held: false,
            place: (Place::Away, now),
            failed: None,
        };
        keeper.leave(now, None);
        keeper
    }

    /// The configuration of the daemon that is heard now. An address that could not be removed is tried again.
    pub fn configure(&mut self, configured: Option<Vip>) {
        if let (Some(present), Some(new)) = (&mut self.present, &configured)
            && present.ip == new.ip
        {
            *present = new.clone();
        }
        if !self.wanted && self.present.is_none() && self.failed.is_some() {
            self.present = configured.clone();
        }
        self.configured = configured;
    }

    /// The primary admits clients in this run.
    pub fn admit(&mut self, run: RunId) {
        if self.left != Some(run) {
            self.wanted = true;
        }
    }

    /// Serving ends, or has ended: `run` admits nobody any more.
    pub fn leave(&mut self, now: Instant, run: Option<RunId>) {
        self.left = run.or(self.left);
        self.wanted = false;
        if self.hold.is_none() && !self.held && !self.is_away() {
            self.hold = Some(now + HOLD);
        }
    }

    /// The command under way has ended.
    pub fn ended(&mut self, ran: &Ran) {
        let Some((change, unwanted)) = self.under_way.take() else {
            return;
        };
        if change == Change::Remove {
            // Whatever came of it: to do it again and again would not help.
            self.present = None;
            // This removal is over, though it may be added again at once; the next one is waited for anew.
            self.hold = None;
            self.held = false;
        }
        let name = change.name();
        self.failed = (!ran.succeeded() && !unwanted).then(|| format!("{name} {ran}"));
    }

    /// What is to be done now. Call it until there is nothing.
    pub fn poll(&mut self, now: Instant) -> Option<Do> {
        let wish = self.configured.as_ref().filter(|_| self.wanted);
        let todo = match (&mut self.under_way, &self.present, wish) {
            (Some((Change::Add, told @ false)), present, wish) if present.as_ref() != wish => {
                *told = true;
                Some(Do::End)
            }
            (Some(_), ..) => None,
            (None, Some(present), wish) if wish != Some(present) => match present.remove_command {
                Some(_) => Some(Do::Begin(Change::Remove, present.clone())),
                None => {
                    self.present = None;
                    return self.poll(now);
                }
            },
            (None, None, Some(wish)) => Some(Do::Begin(Change::Add, wish.clone())),
            (None, ..) => None,
        };
        if let Some(Do::Begin(change, vip)) = &todo {
            self.under_way = Some((*change, false));
            self.present = Some(vip.clone());
        }
        if self.is_away() {
            self.hold = None;
            self.held = false;
        }
        let place = match (self.under_way, &self.present) {
            (Some((Change::Add, false)), _) => Place::Coming,
            (Some(_), _) => Place::Leaving,
            (None, Some(_)) => match &self.failed {
                Some(_) => Place::Away,
                None => Place::Here,
            },
            (None, None) => Place::Away,
        };
        if place != self.place.0 {
            self.place = (place, now);
        }
        todo
    }

    /// Until when the end of serving is not to be told: the removal is under way, and its time not over.
    pub fn holds_until(&self, now: Instant) -> Option<Instant> {
        self.hold.filter(|until| now < *until)
    }

    /// The removal was waited for in vain: true once.
    pub fn gives_up_waiting(&mut self, now: Instant) -> bool {
        let over = self.hold.take_if(|until| now >= *until).is_some();
        self.held |= over;
        over
    }

    /// Nothing is under way and nothing to be done.
    pub fn is_idle(&self) -> bool {
        self.under_way.is_none() && (self.wanted || self.present.is_none())
    }

    /// For operators.
    pub fn view(&self) -> Option<VipView> {
        let vip = self.present.as_ref().or(self.configured.as_ref())?;
        Some(VipView {
            ip: vip.ip.clone(),
            place: self.place.0,
            since: self.place.1,
            failed: self.failed.clone(),
        })
    }

    fn is_away(&self) -> bool {
        self.present.is_none() && self.under_way.is_none()
    }
}

impl Change {
    /// Its key in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Change::Add => "add_command",
            Change::Remove => "remove_command",
        }
    }
}

impl Vip {
    /// What a shell is given for it.
    pub fn line(&self, change: Change) -> String {
        let command = match change {
            Change::Add => &self.add_command,
            Change::Remove => self.remove_command.as_ref().unwrap_or(&self.add_command),
        };
        format!("{command} {}", self.ip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hooks::run::End;

    const RUN: RunId = RunId(7);

    fn at(millis: u64) -> Instant {
        Instant(millis * 1_000)
    }

    fn vip(ip: &str) -> Vip {
        Vip {
            ip: ip.to_owned(),
            add_command: "add".to_owned(),
            remove_command: Some("remove".to_owned()),
        }
    }

    fn ran(end: End) -> Ran {
        Ran {
            end,
            took: std::time::Duration::from_millis(3),
            last_line: None,
        }
    }

    fn begun(keeper: &mut Keeper, now: Instant) -> Option<(Change, String)> {
        match keeper.poll(now) {
            Some(Do::Begin(change, vip)) => {
                assert_eq!(keeper.poll(now), None, "one at a time");
                Some((change, vip.ip))
            }
            Some(Do::End) => panic!("something is under way"),
            None => None,
        }
    }

    /// One that has removed what was left over.
    fn clean() -> Keeper {
        let mut keeper = Keeper::new(at(0), Some(vip("a")));
        assert_eq!(
            begun(&mut keeper, at(0)),
            Some((Change::Remove, "a".into()))
        );
        keeper.ended(&ran(End::Exit(0)));
        assert_eq!(keeper.poll(at(1)), None);
        assert_eq!(keeper.holds_until(at(1)), None);
        keeper
    }

    fn with_address() -> Keeper {
        let mut keeper = clean();
        keeper.admit(RUN);
        assert_eq!(begun(&mut keeper, at(10)), Some((Change::Add, "a".into())));
        assert_eq!(keeper.view().unwrap().place, Place::Coming);
        keeper.ended(&ran(End::Exit(0)));
        assert_eq!(keeper.poll(at(20)), None);
        let view = keeper.view().unwrap();
        assert_eq!((view.place, view.since), (Place::Here, at(20)));
        keeper
    }

    #[test]
    fn what_an_earlier_guard_left_goes_first_and_is_waited_for() {
        let mut keeper = Keeper::new(at(0), Some(vip("a")));
        assert_eq!(
            begun(&mut keeper, at(0)),
            Some((Change::Remove, "a".into()))
        );
        assert_eq!(keeper.holds_until(at(999)), Some(at(1_000)));
        assert_eq!(keeper.holds_until(at(1_000)), None);
        assert!(!keeper.gives_up_waiting(at(999)));
        assert!(keeper.gives_up_waiting(at(1_000)) && !keeper.gives_up_waiting(at(1_000)));
        // Nor is it waited for a second time.
        keeper.leave(at(1_100), None);
        assert_eq!(
            (keeper.poll(at(1_100)), keeper.holds_until(at(1_100))),
            (None, None)
        );
        assert!(!keeper.is_idle());
        keeper.ended(&ran(End::TimedOut));
        assert_eq!(keeper.poll(at(9_000)), None);
        assert!(keeper.is_idle());
        assert!(keeper.view().unwrap().failed.is_some());
    }

    #[test]
    fn it_is_added_once_however_often_clients_are_admitted() {
        let mut keeper = with_address();
        keeper.admit(RUN);
        assert_eq!(keeper.poll(at(30)), None);
    }

    #[test]
    fn the_end_of_serving_is_held_back_until_it_is_removed() {
        let mut keeper = with_address();
        keeper.leave(at(100), Some(RUN));
        assert_eq!(
            begun(&mut keeper, at(100)),
            Some((Change::Remove, "a".into()))
        );
        assert_eq!(keeper.holds_until(at(110)), Some(at(1_100)));
        // Told again, the time does not begin anew.
        keeper.leave(at(500), Some(RUN));
        assert_eq!(keeper.holds_until(at(510)), Some(at(1_100)));
        keeper.ended(&ran(End::Exit(2)));
        assert_eq!(keeper.poll(at(600)), None);
        assert_eq!(keeper.holds_until(at(600)), None);
        assert_eq!(keeper.view().unwrap().place, Place::Away);
        // A word about the old run that comes late changes nothing; a new run is another matter.
        keeper.admit(RUN);
        assert_eq!(keeper.poll(at(700)), None);
        keeper.admit(RunId(8));
        assert_eq!(begun(&mut keeper, at(800)), Some((Change::Add, "a".into())));
    }

    #[test]
    fn adding_is_killed_when_it_has_to_leave_and_removed_all_the_same() {
        let mut keeper = clean();
        keeper.admit(RUN);
        assert_eq!(begun(&mut keeper, at(10)), Some((Change::Add, "a".into())));
        keeper.leave(at(20), Some(RUN));
        assert_eq!(keeper.poll(at(20)), Some(Do::End));
        assert_eq!(keeper.poll(at(20)), None);
        assert!(keeper.holds_until(at(20)).is_some());
        keeper.ended(&ran(End::Unwanted));
        assert_eq!(
            begun(&mut keeper, at(30)),
            Some((Change::Remove, "a".into()))
        );
        assert_eq!(keeper.view().unwrap().failed, None);
    }

    #[test]
    fn removing_comes_to_its_end_before_it_is_added_again() {
        let mut keeper = with_address();
        keeper.leave(at(100), Some(RUN));
        assert_eq!(
            begun(&mut keeper, at(100)),
            Some((Change::Remove, "a".into()))
        );
        keeper.admit(RunId(8));
        assert_eq!(keeper.poll(at(200)), None);
        keeper.ended(&ran(End::Exit(0)));
        assert_eq!(begun(&mut keeper, at(300)), Some((Change::Add, "a".into())));
    }

    #[test]
    fn each_removal_is_waited_for_anew() {
        let mut keeper = Keeper::new(at(0), Some(vip("a")));
        assert!(begun(&mut keeper, at(0)).is_some());
        assert!(keeper.gives_up_waiting(at(1_000)));
        keeper.admit(RUN);
        keeper.ended(&ran(End::TimedOut));
        assert_eq!(
            begun(&mut keeper, at(9_000)),
            Some((Change::Add, "a".into()))
        );
        keeper.leave(at(9_010), Some(RUN));
        assert_eq!(keeper.holds_until(at(9_020)), Some(at(10_010)));
    }

    #[test]
    fn adding_that_failed_is_told_and_undone() {
        let mut keeper = clean();
        keeper.admit(RUN);
        assert_eq!(begun(&mut keeper, at(10)), Some((Change::Add, "a".into())));
        keeper.ended(&ran(End::Exit(1)));
        assert_eq!(keeper.poll(at(20)), None);
        let view = keeper.view().unwrap();
        assert_eq!(view.place, Place::Away);
        assert_eq!(
            view.failed.as_deref(),
            Some("add_command failed (exit 1) after 0.003 s")
        );
        keeper.leave(at(30), Some(RUN));
        assert_eq!(
            begun(&mut keeper, at(30)),
            Some((Change::Remove, "a".into()))
        );
    }

    #[test]
    fn another_address_takes_the_first_ones_place() {
        let mut keeper = with_address();
        let mut same = vip("a");
        same.add_command = "add better".to_owned();
        keeper.configure(Some(same));
        assert_eq!(keeper.poll(at(30)), None, "it is here already");
        keeper.configure(Some(vip("b")));
        assert_eq!(
            begun(&mut keeper, at(30)),
            Some((Change::Remove, "a".into()))
        );
        keeper.ended(&ran(End::Exit(0)));
        assert_eq!(begun(&mut keeper, at(30)), Some((Change::Add, "b".into())));
        keeper.ended(&ran(End::Exit(0)));
        keeper.configure(None);
        assert_eq!(
            begun(&mut keeper, at(40)),
            Some((Change::Remove, "b".into()))
        );
        keeper.ended(&ran(End::Exit(0)));
        assert_eq!(keeper.view(), None);
    }

    #[test]
    fn what_could_not_be_removed_is_tried_again_by_the_next_daemon() {
        let mut keeper = Keeper::new(at(0), Some(vip("a")));
        assert!(begun(&mut keeper, at(0)).is_some());
        keeper.ended(&ran(End::Exit(1)));
        assert_eq!(keeper.poll(at(1)), None);
        keeper.configure(Some(vip("a")));
        assert_eq!(
            begun(&mut keeper, at(2)),
            Some((Change::Remove, "a".into()))
        );
        keeper.ended(&ran(End::Exit(0)));
        keeper.configure(Some(vip("a")));
        assert_eq!(keeper.poll(at(3)), None);
    }

    #[test]
    fn without_a_command_to_remove_it_nothing_is_waited_for() {
        let mut vip = vip("a");
        vip.remove_command = None;
        let mut keeper = Keeper::new(at(0), Some(vip));
        assert_eq!(keeper.poll(at(0)), None);
        assert_eq!(keeper.holds_until(at(0)), None);
        keeper.admit(RUN);
        assert_eq!(begun(&mut keeper, at(10)), Some((Change::Add, "a".into())));
        keeper.ended(&ran(End::Exit(0)));
        keeper.leave(at(20), Some(RUN));
        assert_eq!(keeper.poll(at(20)), None);
        assert_eq!(keeper.holds_until(at(20)), None);
        assert!(keeper.is_idle());
    }

    #[test]
    fn without_an_address_there_is_nothing_to_do() {
        let mut keeper = Keeper::new(at(0), None);
        keeper.admit(RUN);
        assert_eq!(keeper.poll(at(0)), None);
        keeper.leave(at(1), Some(RUN));
        assert_eq!(
            (keeper.poll(at(1)), keeper.holds_until(at(1))),
            (None, None)
        );
        assert_eq!(keeper.view(), None);
    }
}
