//! Orders in words, and what a test asks of a host.

use super::*;

pub fn name(step: &Step) -> &'static str {
    match step {
        Step::Inspect => "inspect",
        Step::Observe => "observe",
        Step::WriteStamp(_) => "stamp",
        Step::MarkRewriting => "mark",
        Step::ClearMark => "unmark",
        Step::SetAside(_) => "aside",
        Step::Clone { .. } => "clone",
        Step::Initdb => "initdb",
        Step::Rewind { .. } => "rewind",
        Step::WriteSettings(_) => "settings",
        Step::Start => "start",
        Step::Reload => "reload",
        Step::Promote => "promote",
        Step::Stop(_) => "stop",
        Step::EndSessions => "end sessions",
        Step::Canary => "canary",
        Step::Nudge => "nudge",
        Step::Checkpoint => "checkpoint",
        Step::BeginCheckpoint => "begin checkpoint",
        Step::Slots { .. } => "slots",
    }
}

pub(super) fn show(step: &Step) -> String {
    match step {
        Step::WriteSettings(s) => {
            let gate = match &s.gate {
                None => "closed".to_owned(),
                Some(names) => format!("{names:?}"),
            };
            let follow = s.follow.map_or("nobody".to_owned(), |m| m.to_string());
            format!(
                "settings #{} gate {gate}, follow {follow}, doors {:?}",
                s.generation, s.doors
            )
        }
        Step::WriteStamp(s) => format!(
            "stamp {} history {} ordered {:?}",
            s.copy, s.history, s.ordered
        ),
        Step::Stop(mode) => format!("stop {mode:?}"),
        Step::Clone { from } => format!("clone {from}"),
        Step::Rewind {
            from,
            timeline,
            drops,
        } => format!(
            "rewind to {from} once on {timeline}, drops {}..{} of {}",
            drops.from.unwrap(),
            drops.to,
            drops.timeline
        ),
        step => name(step).to_owned(),
    }
}

impl World {
    pub fn primary(&self) -> Option<&PrimaryStatus> {
        self.status.primary()
    }

    pub fn is_open(&self, names: &[Copy]) -> bool {
        self.primary().is_some_and(
            |p| matches!(&p.gate, GateStatus::Open { names: open, .. } if open == names),
        )
    }

    pub fn streams(&self) -> bool {
        matches!(
            self.status.state,
            PgState::Standby {
                streaming: true,
                ..
            }
        )
    }

    pub fn count(&self, what: &str) -> usize {
        self.steps.iter().filter(|s| name(s) == what).count()
    }

    pub fn place(&self, what: &str) -> usize {
        self.steps
            .iter()
            .position(|s| name(s) == what)
            .unwrap_or_else(|| panic!("no {what}"))
    }

    pub fn trace(&self) -> String {
        self.log.join("\n")
    }
}
