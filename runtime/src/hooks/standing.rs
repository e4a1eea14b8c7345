//! What of the node's view concerns the operator's commands and copies: decided nowhere but in the core, only read here.

use serde::{Deserialize, Serialize};
use std::fmt;
use yoke_core::postgres::{Doors, GateStatus, PgState, RunId};
use yoke_core::view::{ClusterView, RoleView};

/// A member with data, in the original's words.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Role {
    /// The primary, and another copy is in sync.
    Master,
    /// The primary, alone.
    Single,
    /// Another member leads.
    Slave,
}

/// Where a member with data stands.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Standing {
    /// What it is; none: not known, or on its way from one to another.
    pub role: Option<Role>,
    /// It leads, and this run of its database is the primary's.
    pub primary: Option<RunId>,
    /// That run lets clients in, and acknowledges what they write: gate and doors are open, and both is proven.
    pub admits: Option<RunId>,
}

impl Standing {
    /// Reads it off a view.
    pub fn of(view: &ClusterView) -> Standing {
        let leads = view.role == RoleView::Leader;
        let primary = view.postgres.primary().filter(|_| leads);
        let admits = primary
            .is_some_and(|p| p.doors == Doors::Open && matches!(p.gate, GateStatus::Open { .. }));
        let run = Some(view.postgres.run);
        let serves = matches!(
            view.postgres.state,
            PgState::Primary(_) | PgState::Promoting | PgState::Silent { primary: true, .. }
        );
        let role = match &view.record {
            Some(record) if admits && record.is_lone() => Some(Role::Single),
            Some(_) if admits => Some(Role::Master),
            _ if leads || serves => None,
            _ => view.leader.map(|_| Role::Slave),
        };
        Standing {
            role,
            primary: run.filter(|_| primary.is_some()),
            admits: run.filter(|_| admits),
        }
    }
}

/// As the role command is told.
impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Master => "master",
            Role::Single => "single",
            Role::Slave => "slave",
        })
    }
}
