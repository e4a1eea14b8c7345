//! Lost things: a state file, a data directory, a whole disk; gone, or brought back from an older copy.

mod spared;

use crate::choices::About;
use crate::event::Ev;
use crate::host::Host;
use crate::oracle::few_moves::Cause;
use crate::oracle::lost_write::first_missing;
use crate::postgres::directory::{DataDir, Storage};
use crate::postgres::wal::Kind;
use crate::scenario::{Kind as Clocks, Links, Target, What};
use crate::world::World;
use std::collections::BTreeMap;
use std::sync::Arc;
use yoke_core::HardState;
use yoke_core::postgres::SystemId;
use yoke_core::reason::Reason;
use yoke_core::view::RoleView;

/// What was on one host's disk.
#[derive(Clone, Debug)]
struct Image {
    state: Option<Arc<HardState>>,
    directory: Option<DataDir>,
    rewriting: bool,
}

/// What is remembered of losses.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    /// By fault: the disks of all hosts, taken when its scenario says.
    images: BTreeMap<usize, Vec<Image>>,
    /// By host: when a loss of state or data has met it.
    struck: BTreeMap<usize, u64>,
    /// Who lost its state and has not joined again since.
    forgetful: BTreeMap<usize, bool>,
    /// Who says that it has joined again, and does not have it on disk yet.
    rejoining: BTreeMap<usize, bool>,
    /// Who came back with an older state than another member has seen of it, and has not said so yet.
    unnoticed: Option<usize>,
    /// More was lost than the members can make good by themselves: an operator has to decide.
    pub(crate) beyond: bool,
}

impl Losses {
    /// Whether somebody lost its state and has not joined again since.
    pub(crate) fn is_any_forgetful(&self) -> bool {
        self.forgetful.values().any(|forgetful| *forgetful)
    }

    /// When something of the host's was last lost.
    pub(crate) fn struck_at(&self, h: usize) -> Option<u64> {
        self.struck.get(&h).copied()
    }

    /// A member that an operator helped begins anew, as at its first start.
    pub(crate) fn begins_anew(&mut self, h: usize) {
        self.forgetful.insert(h, false);
    }
}

impl World {
    /// The faults that bring something back need it taken first.
    pub(crate) fn plan_images(&mut self) {
        for (number, fault) in self.scenario.faults.clone().into_iter().enumerate() {
            if let Some(age) = fault.what.age()
                && !fault.early
            {
                self.after(fault.at.saturating_sub(age), Ev::Image(number));
            }
        }
    }

    /// An image of every host is taken.
    pub(crate) fn take_images(&mut self, number: usize) {
        if let What::Echo(from, to, _) = self.scenario.faults[number].what {
            let (from, to) = (self.meets(from), self.meets(to));
            self.keeps_for_echo(number, from, to);
            return;
        }
        let image = |host: &Host| Image {
            state: host.disk.durable.clone(),
            directory: host.storage.directory.clone(),
            rewriting: host.storage.rewriting,
        };
        let images = self.hosts.iter().map(image).collect();
        self.losses.images.insert(number, images);
    }

    /// Something of the host is lost while it has no power.
    pub(crate) fn loses(&mut self, number: usize, target: Target, what: What, down: u64) {
        let h = self.meets(target);
        let (state, data) = match what {
            What::LoseState(..) | What::ForgetState(..) | What::RestoreState(..) => (true, false),
            What::LoseData(..)
            | What::LoseLast(..)
            | What::RestoreData(..)
            | What::BaseBackup(..)
            | What::ForeignData(..) => (false, true),
            _ => (true, true),
        };
        let data = data && self.scenario.members[h];
        let last = data && !self.is_spare(h);
        if last && matches!(what, What::LoseLast(..)) {
            self.losses.beyond = true;
        } else if last {
            self.say(h, || {
                "its data is the last that there is, and is left to it".into()
            });
            return;
        }
        let image = self.losses.images.get(&number).map(|all| all[h].clone());
        let restored = image.as_ref().and_then(|image| {
            let dir = if data {
                &image.directory
            } else {
                &self.hosts[h].storage.directory
            };
            Some((image.state.as_deref()?, dir.as_ref()))
        });
        if state && !self.may_forget(h, restored) {
            self.say(h, || {
                "what it knows the others have forgotten, and it is left to it".into()
            });
            return;
        }
        if what.age().is_some() && image.is_none() {
            return;
        }
        if let Some(image) = image.as_ref().filter(|_| data)
            && !self.is_gap_seen(h, image, state)
            && !self.is_gap_streamed(number, h, image)
        {
            self.say(h, || {
                "what it wrote since then nobody has seen, and it is left to it".into()
            });
            return;
        }
        match what {
            What::ForgetState(..) => self.daemon_dies(h),
            _ => self.host_dies(h),
        }
        // Another loss may take away those who know.
        self.losses.unnoticed = None;
        self.losses.struck.insert(h, self.now);
        self.coverage.losses += 1;
        if state {
            self.oracles.specification.forgets(h);
            self.forgets(h);
            // Of a torn file it is known that there was one.
            let was = self.hosts[h].disk.durable.is_some() && image.is_none();
            let torn = was && self.choices.chance(About::StateLands, h, 1, 300);
            let names = self.hosts[h].config.members.iter();
            let names: Arc<[String]> = names.map(|m| m.name.clone()).collect();
            let restored = image.as_ref().and_then(|i| i.state.as_ref());
            if let Some(state) = restored.filter(|s| !s.lost)
                && self.is_seen_beyond(h, state.writes)
            {
                self.losses.unnoticed = Some(h);
            }
            self.hosts[h].disk.durable = match torn {
                true => Some(Arc::new(HardState::lost(names))),
                false => image.as_ref().and_then(|i| i.state.clone()),
            };
        }
        if data {
            self.check_left_out();
            let uid = self.fresh_uid();
            let directory = match (&image, what) {
                (Some(image), _) => image.directory.clone(),
                (None, What::BaseBackup(..)) => self.backup_of_another(h),
                (None, What::ForeignData(..)) => Some(self.foreign(h)),
                _ => None,
            };
            let storage = &mut self.hosts[h].storage;
            storage.directory = directory.map(|dir| DataDir {
                uid,
                went_back: dir.stamp.as_ref().map(|s| s.copy),
                verified: 0,
                ..dir
            });
            match image {
                Some(image) => storage.rewriting = image.rewriting,
                None if matches!(what, What::LoseAll(..)) => *storage = Storage::default(),
                None => {}
            }
            self.excuses_left_out();
        }
        self.check_vanished();
        let back = match what {
            What::ForgetState(..) => Ev::StartDaemon { h },
            _ => Ev::BootHost { h },
        };
        self.after(down, back);
        if matches!(what, What::RestoreUnheard(..)) {
            self.starts_twice_unheard(h, down);
        }
    }

    /// The host dies in the middle of a write, and finds a torn state file: of that it is known that there was one.
    pub(crate) fn tears(&mut self, h: usize, down: u64) {
        self.host_dies(h);
        self.after(down, Ev::BootHost { h });
        if self.hosts[h].disk.durable.is_none() || !self.may_forget(h, None) {
            return;
        }
        self.losses.unnoticed = None;
        self.losses.struck.insert(h, self.now);
        self.coverage.losses += 1;
        self.oracles.specification.forgets(h);
        self.forgets(h);
        let names = self.hosts[h].config.members.iter();
        let names: Arc<[String]> = names.map(|m| m.name.clone()).collect();
        self.hosts[h].disk.durable = Some(Arc::new(HardState::lost(names)));
    }

    /// At a run's end, long after everybody heard everybody.
    pub(crate) fn check_noticed(&mut self) {
        if let Some(h) = self.losses.unnoticed {
            self.violated(
                "unnoticed",
                format!("m{h} came back with an older state than others had seen of it, and does not know it"),
            );
        }
    }

    /// Nobody hears it before its second start: by then it has written for a while.
    fn starts_twice_unheard(&mut self, h: usize, down: u64) {
        let unheard = down + 3 * self.scenario.decision_timeout;
        for other in (0..self.hosts.len()).filter(|other| *other != h) {
            let until = self.now + unheard;
            self.net.cut(h, other, Links::All, until);
            self.net.cut(other, h, Links::All, until);
        }
        self.after(unheard, Ev::Restart { h });
    }

    /// Where another has a backup of this member's copy, that would be its own of some time ago.
    fn backup_of_another(&self, h: usize) -> Option<DataDir> {
        let config = &self.hosts[h].config;
        let me = config.name(config.me);
        let is_anothers = |dir: &&DataDir| dir.stamp.as_ref().is_none_or(|s| s.member != me);
        let others = self.hosts.iter().enumerate().filter(|(o, _)| *o != h);
        others
            .map(|(_, host)| &host.storage)
            .filter(|storage| !storage.rewriting)
            .filter_map(|storage| storage.directory.as_ref())
            .find(is_anothers)
            .cloned()
    }

    /// A database of somebody else, in use.
    fn foreign(&mut self, h: usize) -> DataDir {
        let system = SystemId(self.choices.bits(About::Nonce, h, 4));
        let mut dir = DataDir::fresh(0, system);
        dir.never_used = false;
        dir.wal.append(Kind::Checkpoint, 120);
        dir
    }

    /// Whether what lies on a host's disk is of somebody else, and used.
    pub(crate) fn holds_foreign(&self, h: usize) -> bool {
        let record = self.oracles.newest_record.committed.as_ref();
        let storage = &self.hosts[h].storage;
        let directory = storage.directory.as_ref().filter(|_| !storage.rewriting);
        directory
            .zip(record)
            .is_some_and(|(dir, record)| !dir.never_used && dir.system_id != record.system_id)
    }

    /// Whoever put it there takes it away.
    pub(crate) fn takes_foreign_away(&mut self, h: usize) {
        if self.hosts[h].server.is_none() && self.holds_foreign(h) {
            self.hosts[h].storage.directory = None;
        }
    }

    /// It is said that a member lost something. Where nothing was lost, that is wrong; but how old another's word is nobody
    /// can tell whose clock is out of bounds.
    pub(crate) fn check_lost_something(&mut self, h: usize, what: &Reason) {
        let by_time = matches!(what, Reason::ShrinksFellBack { .. });
        let may_err = by_time && self.scenario.kind == Clocks::Unbounded;
        if !may_err && !self.losses.struck.contains_key(&h) {
            self.violated("false_alarm", format!("m{h} lost nothing, but: {what}"));
        }
    }

    /// A node says that it lost something.
    pub(crate) fn on_loss_noticed(&mut self, h: usize, what: &Reason) {
        self.coverage.losses_noticed += 1;
        self.losses.unnoticed.take_if(|who| *who == h);
        self.check_lost_something(h, what);
        // A leader that hears of it gives way.
        self.is_in_trouble(h, Cause::Disk);
    }

    /// It has no state now, or takes what it has for an old one.
    pub(crate) fn forgets(&mut self, h: usize) {
        self.losses.forgetful.insert(h, true);
        // Members that know the cluster are needed to tell the others.
        self.losses.beyond |= self.losses.forgetful.values().filter(|f| **f).count() > 1;
    }

    /// A node has joined again.
    pub(crate) fn on_rejoined(&mut self, h: usize) {
        self.coverage.rejoined += 1;
        self.losses.rejoining.insert(h, true);
        // Where only an operator could decide, an answer from before the other loss may have come first.
        if self.healed && self.losses.beyond {
            self.words.last = self.now;
        }
    }

    /// A state is durable: that of a member that joined again makes good its loss.
    pub(crate) fn on_state_durable(&mut self, h: usize) {
        let durable = self.hosts[h].disk.durable.as_ref();
        if durable.is_some_and(|state| !state.lost) && self.losses.rejoining.remove(&h).is_some() {
            self.losses.forgetful.insert(h, false);
        }
    }

    /// The daemon ends: what it did not have on disk it forgets.
    pub(crate) fn on_forgotten(&mut self, h: usize) {
        self.losses.rejoining.remove(&h);
    }

    /// Every member takes part.
    pub(crate) fn all_have_state(&self) -> bool {
        self.hosts.iter().all(|host| {
            let daemon = host.daemon.as_ref();
            daemon.is_some_and(|d| d.glance().role != RoleView::WithoutState)
        })
    }

    /// L's condition, whatever the others lost: a majority that never lost anything, and one of them has a copy that the
    /// newest record among them names.
    pub(crate) fn is_majority_unstruck(&self) -> bool {
        let all = 0..self.hosts.len();
        let unstruck: Vec<usize> = all
            .filter(|h| self.hosts[*h].daemon.is_some() && !self.losses.struck.contains_key(h))
            .collect();
        let newest = unstruck
            .iter()
            .filter_map(|h| self.hosts[*h].disk.durable.as_ref()?.record.as_ref())
            .max_by_key(|record| record.key);
        let named = newest.is_some_and(|record| {
            record.in_sync.iter().any(|copy| {
                let h = usize::from(copy.member.0);
                let storage = &self.hosts[h].storage;
                let directory = storage.directory.as_ref().filter(|_| !storage.rewriting);
                unstruck.contains(&h) && directory.is_some_and(|dir| dir.is(copy.id))
            })
        });
        unstruck.len() >= self.majority() && named
    }

    /// L's condition on what is left: a copy that the newest record among the members names is whole.
    pub(crate) fn is_copy_left(&mut self) -> bool {
        let newest = self
            .hosts
            .iter()
            .filter_map(|host| {
                let state = host.disk.durable.as_ref().filter(|s| !s.lost)?;
                state.record.clone()
            })
            .max_by_key(|record| record.key);
        let Some(record) = newest else { return true };
        record.in_sync.iter().any(|copy| {
            let dir = &mut self.hosts[usize::from(copy.member.0)].storage.directory;
            dir.as_mut().is_some_and(|dir| {
                let named = dir.stamp.as_ref().is_none_or(|s| s.copy == copy.id);
                let whole = first_missing(&self.oracles.lost_write.acked, dir).is_none();
                dir.is(copy.id) || (named && whole)
            })
        })
    }
}
