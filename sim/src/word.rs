//! Operators where nobody else can decide (R12, R15): they read what a member says of itself, and give their word where it
//! is true. What is true they know better than any member: which hosts have power, and what was acknowledged.

use crate::event::Ev;
use crate::host::Input;
use crate::oracle::lost_write::first_missing;
use crate::world::World;
use yoke_core::member::MemberId;
use yoke_core::operator::{Command, CommandOutcome, LEAST_STEP};
use yoke_core::record::Record;
use yoke_core::view::RoleView;

/// Words that operators gave.
#[derive(Debug, Default)]
pub(crate) struct Words {
    /// Those not answered yet.
    given: Vec<Word>,
    /// How many words it took after everything healed.
    after_healing: u64,
    /// When the last of those was given.
    pub(crate) last: u64,
    /// When operators say again that a pause is over.
    resume_at: u64,
    /// The word by which a copy becomes the database, until it is that.
    adopting: Option<Adopting>,
    /// The newest word to adopt was said knowing that this host's copy lacks something, and that nobody has it.
    gives_up_at: Option<usize>,
}

#[derive(Debug)]
struct Word {
    to: usize,
    request: u64,
    until: u64,
    /// The daemon's start to which it was said: if that one ends, nothing will be answered.
    run: u64,
    /// Hosts that stay without power until it is answered: that was vouched for.
    off: Vec<usize>,
}

#[derive(Debug)]
struct Adopting {
    to: usize,
    request: u64,
    /// Hosts that stay without power until the copy is the database.
    off: Vec<usize>,
}

impl Words {
    /// Everything heals.
    pub(crate) fn all_may_return(&mut self) {
        self.adopting = None;
    }

    /// Whether nobody said anything since everything healed.
    pub(crate) fn is_silent(&self) -> bool {
        self.after_healing == 0
    }
}

/// Nobody waits longer for the answer to a word: a member on the slowest clock gives it up before.
const PATIENCE: u64 = 60_000_000;

impl World {
    /// Whether an operator keeps this host without power, because that was vouched for.
    pub(crate) fn is_kept_off(&self, h: usize) -> bool {
        let now = self.now;
        let vouched = |w: &Word| w.off.contains(&h) && now < w.until && self.is_listened_to(w);
        let mut adopting = self.words.adopting.iter();
        self.words.given.iter().any(vouched) || adopting.any(|word| word.off.contains(&h))
    }

    /// A record is committed: is it the one that an operator's word made?
    pub(crate) fn note_adopted(&mut self) {
        let committed = self.oracles.newest_record.committed.as_ref();
        let forced = committed
            .filter(|record| record.forced)
            .map(|record| record.primary);
        let adopted = |word: &mut Adopting| forced.is_some_and(|p| usize::from(p.0) == word.to);
        self.words.adopting.take_if(adopted);
    }

    /// Whether the daemon to which it was said still runs: the operator sees the connection end with it.
    fn is_listened_to(&self, word: &Word) -> bool {
        let host = &self.hosts[word.to];
        host.daemon.is_some() && host.daemon_runs == word.run
    }

    /// A member answers an operator.
    pub(crate) fn on_reply(&mut self, h: usize, request: u64, outcome: &CommandOutcome) {
        self.say(h, || format!("operator {request}: {outcome:?}"));
        self.observe_reply(outcome);
        self.words.given.retain(|w| w.request != request);
        if matches!(outcome, CommandOutcome::Refused(_)) {
            let refused = |word: &mut Adopting| word.request == request;
            self.words.adopting.take_if(refused);
        }
        match outcome {
            CommandOutcome::Joined { .. } => {
                self.coverage.vouched += 1;
                self.word_has_effect();
            }
            CommandOutcome::Adopted { .. } => {
                self.coverage.adopted += 1;
                self.leaves_out(h);
                if self.words.gives_up_at == Some(h) {
                    self.forgives_losses(h);
                }
                self.word_has_effect();
            }
            CommandOutcome::Stands => self.word_has_effect(),
            CommandOutcome::Refused(why) if self.healed => self.stops_what_is_in_the_way(h, why),
            _ => {}
        }
    }

    /// An operator comes to a member that stays out, and vouches for those that it names, as far as that is true.
    pub(crate) fn operator_comes(&mut self, h: usize) -> bool {
        let Some(named) = self.is_told(h, "yokeadm vouch ") else {
            return false;
        };
        let named: Vec<usize> = named
            .split_whitespace()
            .filter_map(|name| name.strip_prefix('m')?.parse().ok())
            .collect();
        let vouched: Vec<usize> = named
            .into_iter()
            .filter(|v| self.cannot_answer(*v))
            .collect();
        if vouched.is_empty() || !self.is_known_besides(h, &vouched) {
            return false;
        }
        let off = vouched.iter().copied().filter(|v| !self.hosts[*v].up);
        let off: Vec<usize> = off.collect();
        let members = vouched.iter().map(|v| MemberId(*v as u8)).collect();
        let step = LEAST_STEP;
        self.give_word(h, off, Command::Vouch { members, step });
        true
    }

    /// It has no power, or no state.
    fn cannot_answer(&self, h: usize) -> bool {
        let host = &self.hosts[h];
        let daemon = host.daemon.as_ref();
        !host.up || daemon.is_some_and(|d| d.node.view().role == RoleView::WithoutState)
    }

    /// Nothing that was committed is known to those vouched for alone.
    fn is_known_besides(&mut self, h: usize, vouched: &[usize]) -> bool {
        let known = (0..self.hosts.len())
            .filter(|other| *other != h && !vouched.contains(other))
            .filter_map(|other| Some(self.hosts[other].daemon.as_ref()?.node.view()))
            .filter(|view| view.role != RoleView::WithoutState)
            .filter_map(|view| view.record)
            .max_by_key(|record| record.key);
        let committed = self.oracles.newest_record.committed.as_ref();
        let newest = known.as_ref().map(|r| r.key) >= committed.map(|r| r.key);
        // An older record does no harm where each copy that it names, and that is left, holds everything.
        newest || known.is_some_and(|record| self.are_whole(&record))
    }

    fn are_whole(&mut self, record: &Record) -> bool {
        record.in_sync.iter().all(|copy| {
            let dir = &mut self.hosts[usize::from(copy.member.0)].storage.directory;
            dir.as_mut().is_none_or(|dir| {
                !dir.is(copy.id) || first_missing(&self.oracles.lost_write.acked, dir).is_none()
            })
        })
    }

    /// What comes after these words in the command that a member's own text names.
    fn is_told(&self, h: usize, words: &str) -> Option<String> {
        let daemon = self.hosts[h].daemon.as_ref()?;
        let text = daemon.node.view().stays_out?;
        let (_, command) = text.split_once(&format!("`{words}"))?;
        Some(command.split('`').next()?.to_owned())
    }

    fn give_word(&mut self, to: usize, off: Vec<usize>, command: Command) {
        let request = self.fresh_uid();
        self.say_word(to, request, off, command);
    }

    fn say_word(&mut self, to: usize, request: u64, off: Vec<usize>, command: Command) {
        if self.healed {
            self.words.after_healing += 1;
            self.words.last = self.now;
        }
        if self.words.after_healing > 30 {
            let what = "an operator's words do not bring the cluster back";
            self.violated("liveness", what.into());
        }
        self.say(to, || format!("OPERATOR {request}: {command:?}"));
        self.words.given.push(Word {
            to,
            request,
            until: self.now + PATIENCE,
            run: self.hosts[to].daemon_runs,
            off,
        });
        self.daemon_gets(to, Input::Operator(request, command));
    }

    /// After everything healed: whatever members cannot decide an operator does, as they say. Whether there was something
    /// to do; none: there is nothing that could become the cluster's database.
    pub(crate) fn operators_decide(&mut self) -> Option<bool> {
        if self.removes_torn_files() {
            return Some(true);
        }
        let all = 0..self.hosts.len();
        let vouched = all.clone().filter(|h| self.operator_comes(*h)).count();
        if vouched > 0 || self.is_led() {
            return Some(vouched > 0);
        }
        // Before the first promotion nothing can be lost, and nothing adopted: what is left is thrown away, and all begins anew.
        let mut stamps = self.hosts.iter().filter_map(|host| host.storage.stamp());
        if self.is_unpromoted() && stamps.next().is_none() {
            return None;
        }
        // Nobody to vouch for: a copy is made the cluster's database, one that holds everything; where none does, any: what
        // it lacks is lost, and every member said so.
        let whole: Vec<usize> = all.clone().filter(|h| self.is_whole(*h)).collect();
        let told = |h: &usize| self.is_told(*h, "yokeadm adopt").is_some();
        let gives_up = whole.is_empty();
        let left = match gives_up {
            true => all.filter(told).collect(),
            false => whole,
        };
        // Of several the one that goes furthest: the others would refuse.
        let reached = |h: &usize| {
            let daemon = self.hosts[*h].daemon.as_ref();
            daemon.map(|d| {
                let pg = d.node.glance().postgres;
                (pg.history.newest(), pg.end)
            })
        };
        let furthest = left.iter().copied().filter(told).max_by_key(reached);
        if let Some(h) = furthest {
            self.words.gives_up_at = gives_up.then_some(h);
            self.give_word(h, vec![], Command::Adopt { step: LEAST_STEP });
        }
        (!left.is_empty()).then_some(furthest.is_some())
    }

    /// An operator makes a copy the cluster's database where nothing is lost by that: it holds everything, and no database
    /// serves, nor is about to, that it may not hear of (R17).
    pub(crate) fn operator_adopts(&mut self, h: usize) {
        let serves = |host: &crate::host::Host| host.server.as_ref().is_some_and(|s| s.serving);
        let now = self.now;
        // Long enough to have answered.
        let settled = now.saturating_sub(self.scenario.decision_timeout / 5);
        let runs = |o: usize| {
            let daemon = self.hosts[o].daemon.as_ref();
            !self.hosts[o].paused(now)
                && daemon.is_some_and(|d| d.started_at <= settled && d.paused_until <= settled)
        };
        // Whoever has power answers: what it knows the word is judged by.
        let asked = |o: usize| o == h || (self.passes(h, o) && self.passes(o, h));
        let mut on = (0..self.hosts.len()).filter(|o| self.hosts[*o].up);
        let all = on.all(|o| runs(o) && asked(o));
        let idle = !self.hosts.iter().any(serves) && !self.is_led();
        if self.words.adopting.is_some() || !(all && idle && self.is_whole(h)) {
            return;
        }
        let off = (0..self.hosts.len()).filter(|o| !self.hosts[*o].up);
        let off = off.collect();
        self.words.gives_up_at = None;
        let request = self.fresh_uid();
        self.words.adopting = Some(Adopting {
            to: h,
            request,
            off,
        });
        self.say_word(h, request, vec![], Command::Adopt { step: LEAST_STEP });
    }

    /// After everything healed operators end a pause, wherever that can be done. Whether it lasts still.
    pub(crate) fn operators_resume(&mut self) -> bool {
        let known = self.hosts.iter().filter_map(|host| {
            let daemon = host.daemon.as_ref()?;
            daemon.node.glance().record
        });
        if !known.max_by_key(|r| r.key).is_some_and(|r| r.paused) {
            return false;
        }
        if self.now >= self.words.resume_at {
            self.words.resume_at = self.now + 1_000_000;
            for h in 0..self.hosts.len() {
                let request = self.fresh_uid();
                self.daemon_gets(h, Input::Operator(request, Command::Resume));
            }
        }
        true
    }

    /// Its copy holds everything that was acknowledged; it is no other member's, and not about to be replaced.
    fn is_whole(&mut self, h: usize) -> bool {
        let host = &mut self.hosts[h];
        let me = host.config.name(host.config.me);
        let stamp = host.storage.stamp();
        let own = stamp.is_none_or(|stamp| stamp.member == me) && !host.storage.rewriting;
        let dir = host.storage.directory.as_mut().filter(|_| own);
        dir.is_some_and(|d| first_missing(&self.oracles.lost_write.acked, d).is_none())
    }

    /// Before the first record a torn state file keeps everybody waiting: it is removed, as the member says.
    fn removes_torn_files(&mut self) -> bool {
        if !self.is_beginning() {
            return false;
        }
        let words = "If there never was a cluster, remove the set-aside state file";
        let says = |h: &usize| {
            let daemon = self.hosts[*h].daemon.as_ref();
            let text = daemon.and_then(|d| d.node.view().stays_out);
            text.is_some_and(|text| text.contains(words)) && self.hosts[*h].disk.durable.is_some()
        };
        let torn: Vec<usize> = (0..self.hosts.len()).filter(says).collect();
        for h in &torn {
            self.say(*h, || "OPERATOR: removes the torn state file".into());
            self.daemon_dies(*h);
            self.hosts[*h].disk.durable = None;
            self.losses.begins_anew(*h);
            self.after(100_000, Ev::StartDaemon { h: *h });
        }
        !torn.is_empty()
    }

    /// Whether no record was ever committed that knows of a promotion.
    fn is_unpromoted(&self) -> bool {
        let committed = self.oracles.newest_record.committed.as_ref();
        committed.is_none_or(|record| record.promotions.promotions().is_empty())
    }

    /// Whether no record was ever committed.
    pub(crate) fn is_beginning(&self) -> bool {
        self.oracles.newest_record.committed.is_none()
    }

    /// Another copy is in the way of the one that holds everything: its host is stopped, as the answer says, and the word
    /// is given again later.
    fn stops_what_is_in_the_way(&mut self, h: usize, why: &str) {
        let named = |word: &str| {
            word.trim_matches(',')
                .strip_prefix('m')?
                .parse::<usize>()
                .ok()
        };
        let others: Vec<usize> = why.split_whitespace().filter_map(named).collect();
        let other = others.into_iter().find(|o| *o != h);
        if let Some(other) = other.filter(|_| why.contains("stop yoke there first")) {
            // "Adopt that one": it is told to, and has all that was acknowledged.
            if self.is_told(other, "yokeadm adopt").is_some() && self.is_whole(other) {
                return self.give_word(other, vec![], Command::Adopt { step: LEAST_STEP });
            }
            self.host_dies(other);
            self.after(
                8 * self.longest_timeout + 20_000_000,
                Ev::BootHost { h: other },
            );
        }
    }

    fn is_led(&self) -> bool {
        self.hosts.iter().any(|host| {
            let daemon = host.daemon.as_ref();
            daemon.is_some_and(|d| d.node.view().role == RoleView::Leader)
        })
    }
}
