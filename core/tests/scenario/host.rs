//! One host: its disk, its daemon, its database.

use super::database::Database;
use std::collections::{BTreeSet, VecDeque};
use yoke_core::hard_state::HardState;
use yoke_core::member::MemberId;
use yoke_core::message::{Body, Message};
use yoke_core::operator::CommandOutcome;
use yoke_core::permission::{GuardView, Lasts, Permission};
use yoke_core::postgres::{Doors, Gate, PgTarget, Upstream, Want};
use yoke_core::view::RoleView;
use yoke_core::{Config, Instant, Node};

/// What the daemon tells guard and steward.
pub(crate) enum ToHost {
    Guard(Permission),
    Steward(PgTarget),
}

pub(crate) struct Host {
    pub(crate) powered: bool,
    pub(crate) node: Option<Node>,
    /// The state as it is on disk.
    pub(crate) disk: Option<HardState>,
    /// Writes of the state never come back.
    pub(crate) disk_hangs: bool,
    /// Nothing that the guard says reaches the daemon.
    pub(crate) guard_hangs: bool,
    pub(crate) database: Option<Database>,
    pub(crate) replies: Vec<CommandOutcome>,
    /// What the steward was told by the present daemon.
    pub(crate) targets: Vec<PgTarget>,
    /// The daemon said `Exit`.
    pub(crate) exited: bool,
    writing: VecDeque<(Instant, u64, HardState)>,
    orders: VecDeque<(Instant, ToHost)>,
    said_permission: Option<(u64, &'static str)>,
    said_target: String,
    sent: BTreeSet<String>,
}

impl Host {
    pub(crate) fn new(me: MemberId, config: &Config) -> Host {
        Host {
            powered: false,
            node: None,
            disk: None,
            disk_hangs: false,
            guard_hangs: false,
            database: config.is_data(me).then(|| Database::new(me)),
            replies: Vec::new(),
            targets: Vec::new(),
            exited: false,
            writing: VecDeque::new(),
            orders: VecDeque::new(),
            said_permission: None,
            said_target: String::new(),
            sent: BTreeSet::new(),
        }
    }

    pub(crate) fn leads(&self) -> bool {
        self.node
            .as_ref()
            .is_some_and(|n| n.view().role == RoleView::Leader)
    }

    /// The daemon is gone, guard and database are not; a write that was not done may be lost.
    pub(crate) fn daemon_gone(&mut self) {
        self.node = None;
        self.writing.clear();
        self.orders.clear();
        if let Some(database) = &mut self.database {
            database.steward_gone();
        }
    }

    pub(crate) fn begin_daemon(&mut self) -> GuardView {
        self.said_permission = None;
        self.said_target.clear();
        self.targets.clear();
        match &mut self.database {
            Some(database) => {
                database.steward_begins();
                database.guard
            }
            None => GuardView::NEW,
        }
    }

    pub(crate) fn write(&mut self, due: Instant, seq: u64, state: HardState) {
        self.writing.push_back((due, seq, state));
    }

    pub(crate) fn write_done(&mut self, now: Instant) -> Option<u64> {
        if self.disk_hangs || self.writing.front().is_none_or(|(due, ..)| *due > now) {
            return None;
        }
        let (_, seq, state) = self.writing.pop_front()?;
        self.disk = Some(state);
        Some(seq)
    }

    pub(crate) fn order(&mut self, due: Instant, order: ToHost) {
        self.orders.push_back((due, order));
    }

    pub(crate) fn order_due(&mut self, now: Instant) -> Option<ToHost> {
        if self.orders.front().is_none_or(|(due, _)| *due > now) {
            return None;
        }
        self.orders.pop_front().map(|(_, order)| order)
    }

    pub(crate) fn says_first_time(&mut self, line: &str) -> bool {
        self.sent.insert(line.to_owned())
    }

    /// A line for the trace when more than the record changes.
    pub(crate) fn target_line(&mut self, target: &PgTarget) -> Option<String> {
        let line = format!("wants {}", target_line(target));
        let new = line != self.said_target;
        self.said_target.clone_from(&line);
        new.then_some(line)
    }

    /// A line for the trace when the kind of permission changes.
    pub(crate) fn permission_line(&mut self, permission: &Permission) -> Option<String> {
        let kind = match permission.lasts {
            Lasts::Until(_) => "a lease",
            Lasts::Unbounded => "no end",
            Lasts::Ended => "ended",
        };
        let said = Some((permission.term.0, kind));
        if self.said_permission == said {
            return None;
        }
        self.said_permission = said;
        Some(format!("permission of term {}: {kind}", permission.term))
    }
}

fn target_line(target: &PgTarget) -> String {
    let term = target.term;
    match &target.want {
        Want::Nothing => format!("nothing (term {term})"),
        Want::Stopped(mode) => format!("stopped, {mode:?} (term {term})"),
        Want::Standby { of, may_discard } => {
            let of = match of {
                Upstream::AsFound => "as found".to_owned(),
                Upstream::Nobody => "of nobody".to_owned(),
                Upstream::Member(m) => format!("of {m}"),
            };
            let discard = if *may_discard { ", may discard" } else { "" };
            format!("standby {of}{discard} (term {term})")
        }
        Want::Primary { gate, doors } => {
            let gate = match gate {
                Gate::AsFound => "as found".to_owned(),
                Gate::Closed => "closed".to_owned(),
                Gate::Open(names) => {
                    let names: Vec<String> = names.iter().map(|c| c.member.to_string()).collect();
                    format!("open {{{}}}", names.join(", "))
                }
            };
            let doors = match doors {
                Doors::AsFound => "as found",
                Doors::Closed => "closed",
                Doors::Open => "open",
            };
            format!("primary, gate {gate}, doors {doors} (term {term})")
        }
        Want::Draining => format!("draining (term {term})"),
    }
}

/// What is worth a line of the trace.
pub(crate) fn message_line(message: &Message) -> Option<String> {
    let term = message.term;
    match &message.body {
        Body::Vote(_) => Some(format!("vote for me in term {term}")),
        Body::VoteReply(r) if !r.pre => Some(match &r.refusal {
            None => format!("vote in term {term}"),
            Some(refusal) => format!("no vote in term {term}: {:?}", refusal.why),
        }),
        Body::Release { term, .. } => Some(format!("releases term {term}")),
        _ => None,
    }
}
