//! The gate's proof: what was seen of `synchronous_standby_names` in force, step by step (R7, R9).
//!
//! `SHOW`, a reload or a fresh session prove nothing: the checkpointer owns the flag that makes commits wait, and each
//! walsender counts by its own reading (research/postgres.md 3a). So: close it, see a canary commit wait, see every
//! walsender count for nothing; then name the copies, see each counted; then take a position. The checkpointer may read that
//! nobody is waited for, and say so only later: no closing is written before that was seen.

use crate::config::Config;
use crate::mutant;
use crate::postgres::{GateStatus, Lsn};
use crate::record::Copy;
use crate::step::{Canary, Server, Settings};

/// How far the proof is, in the present run.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) enum Proof {
    /// Nothing is known.
    #[default]
    Unproven,
    /// The settings of this generation, written by who knows whom, open it for nobody. That is seen to its end, as an
    /// opening of one's own is.
    Found {
        generation: u64,
        /// A canary was begun since they were seen in force.
        canary: bool,
    },
    /// The settings of this generation close it.
    Closing {
        generation: u64,
        /// A canary was begun since they were seen in force.
        canary: bool,
        /// The last health write before (for the mutant).
        before: Option<Lsn>,
    },
    /// Closed, and seen so.
    Closed {
        generation: u64,
        before: Option<Lsn>,
    },
    /// The settings of this generation name these copies, written while it was proven closed.
    Opening {
        generation: u64,
        names: Vec<Copy>,
        /// The observation that showed it in force.
        seen: Option<u64>,
        before: Option<Lsn>,
    },
    /// Open with these names, and seen so before `since`.
    Open {
        generation: u64,
        names: Vec<Copy>,
        since: Lsn,
    },
}

/// What a step of the proof has come to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Proven {
    Closed,
    Open {
        names: Vec<Copy>,
        since: Lsn,
    },
    /// It was proven, and is not any more.
    Lost,
}

impl Proof {
    /// What was proven counts no more.
    pub(super) fn void(&mut self) -> bool {
        let was = !matches!(self, Proof::Unproven);
        *self = Proof::Unproven;
        was
    }

    /// Settings were written. With the same gate and other doors, the gate stays what it is.
    pub(super) fn written(&mut self, config: &Config, settings: &Settings, wrote: Option<Lsn>) {
        let new = settings.generation;
        *self = match (std::mem::take(self), &settings.gate) {
            (Proof::Closed { before, .. }, None) => Proof::Closed {
                generation: new,
                before,
            },
            (_, None) => Proof::Closing {
                generation: new,
                canary: false,
                before: wrote,
            },
            (Proof::Closed { before, .. }, Some(names)) => Proof::Opening {
                generation: new,
                names: names.clone(),
                seen: None,
                before,
            },
            (
                Proof::Opening {
                    names,
                    seen,
                    before,
                    ..
                },
                Some(now),
            ) if names == *now => Proof::Opening {
                generation: new,
                names,
                seen,
                before,
            },
            (Proof::Open { names, since, .. }, Some(now)) if names == *now => Proof::Open {
                generation: new,
                names,
                since,
            },
            (Proof::Open { since, .. }, Some(now)) if mutant!(config, R9ProofOutlivesGate) => {
                Proof::Open {
                    generation: new,
                    names: now.clone(),
                    since,
                }
            }
            (Proof::Open { .. }, Some(now)) if mutant!(config, R9OpensFromOpen) => Proof::Opening {
                generation: new,
                names: now.clone(),
                seen: None,
                before: wrote,
            },
            _ => Proof::Unproven,
        };
    }

    /// A canary was begun.
    pub(super) fn canary_begun(&mut self) {
        if let Proof::Closing { canary, .. } | Proof::Found { canary, .. } = self {
            *canary = true;
        }
    }

    /// The server was observed by the order of this number.
    pub(super) fn observed(
        &mut self,
        config: &Config,
        number: u64,
        server: &Server,
        in_force: Option<&Settings>,
        wrote: Option<Lsn>,
    ) -> Option<Proven> {
        if server.in_recovery {
            return None;
        }
        if !server.gate_is_ours {
            return self.void().then_some(Proven::Lost);
        }
        match self {
            Proof::Unproven => {
                let (canary, found) = (false, in_force.map(|s| (s.generation, &s.gate)));
                match found {
                    // Closed from the start on: it only has to be seen.
                    Some((generation, None)) => {
                        *self = Proof::Closing {
                            generation,
                            canary,
                            before: wrote,
                        };
                    }
                    Some((generation, Some(names))) if names.is_empty() => {
                        *self = Proof::Found { generation, canary };
                    }
                    _ => {}
                }
                None
            }
            Proof::Found {
                generation,
                canary: true,
            } if server.settings == *generation && is_in_force(&[], server) => {
                *self = Proof::Opening {
                    generation: *generation,
                    names: Vec::new(),
                    seen: Some(number),
                    before: wrote,
                };
                None
            }
            Proof::Closing {
                generation,
                canary: true,
                before,
            } if server.settings == *generation
                && ((server.canary == Canary::Waiting || mutant!(config, R7NoCanary))
                    && (server.strangers_in_gate == 0
                        && server.walsenders.iter().all(|w| w.priority == 0)
                        || mutant!(config, R7CanaryAlone))
                    || mutant!(config, R7ClosesUnseen)) =>
            {
                *self = Proof::Closed {
                    generation: *generation,
                    before: before.or(wrote),
                };
                Some(Proven::Closed)
            }
            Proof::Opening {
                generation,
                names,
                seen: seen @ None,
                ..
            } if server.settings == *generation
                && (is_in_force(names, server) || mutant!(config, R9OpensUnseen)) =>
            {
                *seen = Some(number);
                None
            }
            _ => None,
        }
    }

    /// A position was taken by the order of this number. R9: it counts only if taken after the proof.
    pub(super) fn wrote(&mut self, number: u64, at: Lsn, too_early: bool) -> Option<Proven> {
        match self {
            Proof::Opening {
                generation,
                names,
                seen: Some(seen),
                before,
            } if *seen < number => {
                let names = std::mem::take(names);
                let since = before.filter(|_| too_early).unwrap_or(at);
                *self = Proof::Open {
                    generation: *generation,
                    names: names.clone(),
                    since,
                };
                Some(Proven::Open { names, since })
            }
            _ => None,
        }
    }

    /// For the node: nothing but what is proven.
    pub(super) fn status(&self) -> GateStatus {
        match self {
            Proof::Closed { .. } => GateStatus::Closed,
            Proof::Open { names, since, .. } => GateStatus::Open {
                names: names.clone(),
                since: *since,
            },
            _ => GateStatus::Unproven,
        }
    }
}

/// Whether the gate just opened is seen to name exactly these: each by exactly one walsender that counts, nobody else.
/// They counted for nothing before, so each has read the new names.
fn is_in_force(names: &[Copy], server: &Server) -> bool {
    // Nor does a canary return because one that still counts has flushed it.
    (!names.is_empty() || server.canary == Canary::Returned)
        && server.strangers_in_gate == 0
        && server
            .walsenders
            .iter()
            .all(|w| (w.priority > 0) == names.contains(&w.copy))
        && names.iter().all(|name| {
            let mut own = server.walsenders.iter().filter(|w| w.copy == *name);
            own.next().is_some() && own.next().is_none()
        })
}
