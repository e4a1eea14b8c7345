//! Validated settings of one member's core.

use crate::member::{Member, MemberId, MemberKind};
use crate::time::Duration;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// No cluster has more.
pub const MOST_MEMBERS: usize = 7;

/// No `sync_timeout` or `health_timeout` is shorter. A commit that waits for a standby takes as long as the network's way
/// there and back, now and then several times that: with less patience a healthy primary gives way, and a standby that keeps
/// up leaves `in_sync`.
pub const LEAST_TIMEOUT: Duration = Duration::millis(500);

/// What one member's node, steward and guard are told once, at start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// The cluster's name (R13).
    pub cluster: String,
    /// Every member, in the same order on all hosts.
    pub members: Arc<[Member]>,
    /// Which of them this is.
    pub me: MemberId,
    /// The one whose database the cluster begins with.
    pub configured_primary: MemberId,
    /// D: how long a promise lasts. 5 s by default, not below 1 s.
    pub decision_timeout: Duration,
    /// A copy that lags or is silent for longer leaves `in_sync`. 2 s by default.
    pub sync_timeout: Duration,
    /// A primary whose health write takes longer gives way. 3 s by default.
    pub health_timeout: Duration,
    /// The deliberate bug of this run.
    #[cfg(feature = "mutants")]
    pub mutant: Option<crate::mutant::Mutant>,
}

/// A configuration never changes: in the hash of a machine's state, which the simulator takes at each step, its owner
/// stands for all of it.
impl Hash for Config {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.me.hash(hasher);
    }
}

/// What is wrong with a `Config`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConfigError {
    /// Fewer than three members or more than seven.
    MemberCount(usize),
    /// No member holds data.
    NoData,
    /// `configured_primary` or `me` is not a member, or the former is a witness.
    NotAMember,
    /// `decision_timeout` is below 1 s.
    DecisionTimeout(Duration),
}

impl Config {
    /// Checks what the protocol needs.
    ///
    /// # Errors
    /// The first thing that does not hold.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let count = self.members.len();
        if !(3..=MOST_MEMBERS).contains(&count) {
            return Err(ConfigError::MemberCount(count));
        }
        if !self.members.iter().any(|m| m.kind == MemberKind::Data) {
            return Err(ConfigError::NoData);
        }
        if usize::from(self.me.0) >= count
            || usize::from(self.configured_primary.0) >= count
            || !self.is_data(self.configured_primary)
        {
            return Err(ConfigError::NotAMember);
        }
        if self.decision_timeout < Duration::secs(1) {
            return Err(ConfigError::DecisionTimeout(self.decision_timeout));
        }
        // S2 rests on this: every promise outlasts the lease it gave and the fence, on clocks 10 % apart:
        // L/(1-ρ) + F < D/(1+ρ) (research/model2.md A).
        assert!(
            self.lease().part(10, 9) + self.fencing() < self.decision_timeout.part(10, 11),
            "S2: lease and fencing do not fit into the promise"
        );
        Ok(())
    }

    /// Every member's id.
    pub fn ids(&self) -> impl Iterator<Item = MemberId> + use<> {
        (0..self.members.len() as u8).map(MemberId)
    }

    /// Every other member's id.
    pub fn peers(&self) -> impl Iterator<Item = MemberId> + use<> {
        let me = self.me;
        self.ids().filter(move |m| *m != me)
    }

    /// More than half of all members.
    pub fn majority(&self) -> usize {
        self.members.len() / 2 + 1
    }

    /// Whether the member holds data.
    pub fn is_data(&self, member: MemberId) -> bool {
        self.members[usize::from(member.0)].kind == MemberKind::Data
    }

    /// The member's name.
    pub fn name(&self, member: MemberId) -> &str {
        &self.members[usize::from(member.0)].name
    }

    /// D/20.
    pub fn heartbeat(&self) -> Duration {
        self.decision_timeout.part(1, 20)
    }

    /// L = 0.65 D.
    pub fn lease(&self) -> Duration {
        self.decision_timeout.part(13, 20)
    }

    /// F = 0.15 D: the guard has fenced within this of the permission's end.
    pub fn fencing(&self) -> Duration {
        self.decision_timeout.part(3, 20)
    }

    /// D/50: how often pre-votes and questions repeat.
    pub fn retry(&self) -> Duration {
        self.decision_timeout.part(1, 50)
    }
}
