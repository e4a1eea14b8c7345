//! R14, R15, as the specification judges them: whose a data directory is in truth, and what may be done with it and said of
//! it. Part of [`super::specification`] and [`super::orders`].

use crate::oracle::specification::{Judged, must};
use crate::postgres::directory::DataDir;
use crate::world::World;
use std::collections::BTreeMap;
use yoke_core::HardState;
use yoke_core::message::{Body, Message};
use yoke_core::record::{CopyId, Term};
use yoke_core::step::{Settings, Stamp};

/// Every name of a copy, and which directory of which host got it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names(BTreeMap<CopyId, (usize, u64)>);

/// R15: a directory with this copy's name is not below what the member's own state notes of that copy.
fn is_as_noted(dir: &DataDir, stamp: &Stamp, state: &HardState) -> Judged {
    let Some(noted) = state.noted.filter(|n| n.reached.copy == stamp.copy) else {
        return Ok(());
    };
    must!(
        dir.wal.end() >= noted.reached.end,
        "R15: its directory ends at {}, and it has noted of this copy that it had come to {}",
        dir.wal.end(),
        noted.reached.end
    );
    let old = noted.stamp.filter(|key| stamp.record < Some(*key));
    must!(
        old.is_none_or(|key| key.term <= state.adopted),
        "R15: its directory's stamp is older than the one that it has noted as written"
    );
    Ok(())
}

impl World {
    /// R12, R15: whoever takes part has a state that is not older than its directory's stamp; state is written first.
    pub(super) fn is_newer_than_stamp(&self, h: usize, state: &HardState) -> Judged {
        let storage = &self.hosts[h].storage;
        let directory = storage.directory.as_ref().filter(|_| !storage.rewriting);
        let Some(stamp) = directory.and_then(|dir| dir.stamp.as_ref()) else {
            return Ok(());
        };
        if stamp.member == self.hosts[h].config.name(self.hosts[h].config.me) {
            is_within(stamp, state)?;
        }
        Ok(())
    }

    /// R15: a base backup of another member is no copy of this one, whatever it is called.
    pub(super) fn judge_copy_named(&self, h: usize, m: &Message) -> Judged {
        let claimed = match &m.body {
            Body::PreVote(c) | Body::Vote(c) => Some(c.copy),
            Body::HeartbeatReply(r) => r.report.copy,
            Body::Answer { reached, .. } => reached.map(|r| r.copy),
            _ => None,
        };
        let host = &self.hosts[h];
        let directory = host.storage.directory.as_ref();
        let stamp = directory.and_then(|dir| dir.stamp.as_ref());
        if let (Some(copy), Some(stamp)) = (claimed, stamp) {
            must!(
                stamp.copy != copy || stamp.member == host.config.name(host.config.me),
                "R15: it calls a backup of the copy at {} its own",
                stamp.member
            );
        }
        Ok(())
    }

    /// R15: what it stands with, or follows with, is the copy that its name says.
    pub(super) fn judge_as_noted(&self, h: usize) -> Judged {
        let host = &self.hosts[h];
        let state = host.disk.durable.as_deref().filter(|s| !s.lost);
        if let (Some(dir), Some(state)) = (&host.storage.directory, state)
            && let Some(stamp) = &dir.stamp
        {
            is_as_noted(dir, stamp, state)?;
        }
        Ok(())
    }

    /// R14, R15: a directory that is started, promoted or named is of the cluster's database, and this member's.
    pub(super) fn judge_own(&self, h: usize) -> Judged {
        let host = &self.hosts[h];
        let Some(dir) = &host.storage.directory else {
            return Ok(());
        };
        self.judge_system(dir)?;
        if let Some(stamp) = &dir.stamp {
            must!(
                stamp.member == host.config.name(host.config.me),
                "R15: its directory is a backup of the copy at {}",
                stamp.member
            );
        }
        Ok(())
    }

    fn judge_system(&self, dir: &DataDir) -> Judged {
        let committed = self.oracles.newest_record.committed.as_ref();
        must!(
            committed.is_none_or(|record| record.system_id == dir.system_id),
            "R14: its directory is of another database"
        );
        Ok(())
    }

    /// R14: another database is never erased, unless nobody ever put anything in.
    pub(super) fn judge_foreign(&self, dir: &DataDir) -> Judged {
        match dir.never_used {
            true => Ok(()),
            false => self.judge_system(dir),
        }
    }

    /// A stamp is to be written.
    pub(super) fn judge_stamp(&mut self, h: usize, stamp: &Stamp) -> Judged {
        let host = &self.hosts[h];
        must!(
            stamp.member == host.config.name(host.config.me),
            "R15: the stamp names {}",
            stamp.member
        );
        let Some(dir) = &host.storage.directory else {
            return Ok(());
        };
        // What an earlier stamp said is only kept.
        let old = dir.stamp.as_ref();
        let kept = old.is_some_and(|s| s.record >= stamp.record && s.ordered >= stamp.ordered);
        // An order may come after its daemon, and that one's state, are gone.
        let state = host.disk.durable.as_ref();
        if let Some(state) = state.filter(|state| !kept && !state.lost) {
            is_within(stamp, state)?;
        }
        self.judge_system(dir)?;
        must!(
            stamp.system_id == dir.system_id,
            "R14: the stamp is of another database than the directory"
        );
        let uid = dir.uid;
        if dir.stamp.as_ref().is_none_or(|s| s.copy != stamp.copy) {
            let names = &mut self.oracles.specification.names.0;
            let whose = *names.entry(stamp.copy).or_insert((h, uid));
            must!(
                whose == (h, uid),
                "R11: what is new gets a new name, and {} is one of m{}",
                stamp.copy,
                whose.0
            );
        }
        Ok(())
    }

    /// A standby is told whom to follow, and under which name.
    pub(super) fn judge_follows(&self, h: usize, settings: &Settings) -> Judged {
        match settings.follow {
            Some(_) => self.judge_as_noted(h),
            None => Ok(()),
        }
    }
}

/// R15: the state is on disk before the stamp that rests on it. (After a loss, what a stamp names may never have reached
/// anybody.)
fn is_within(stamp: &Stamp, state: &HardState) -> Judged {
    let held = state.record.as_ref().map(|r| r.key);
    let known = |key| held >= Some(key) || key.term <= state.adopted;
    let ordered = stamp.ordered.map_or(Term(0), |(term, _)| term);
    must!(
        stamp.record.is_none_or(known) && ordered <= state.term,
        "R15: its state, of term {} with record {held:?}, is older than the stamp of record {:?}, ordered {:?}",
        state.term,
        stamp.record,
        stamp.ordered
    );
    Ok(())
}
