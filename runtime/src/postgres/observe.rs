//! The step `Observe`: everything that a running server says of itself, in one question.

use crate::postgres::control::{self, parse_lsn};
use crate::postgres::session::Rows;
use crate::postgres::settings::Written;
use crate::postgres::{Context, Said, names, roles};
use std::time::{Duration, Instant};
use yoke_core::member::MemberId;
use yoke_core::postgres::{Lsn, Timeline};
use yoke_core::step::{Slot, Walsender};

/// The three statements of the question. `canary`: the process whose wait is asked for.
pub(crate) fn sql(canary: Option<i32>) -> String {
    // In the order of the columns: the startup process's wait is looked at before the position, so that a drained one's
    // position is the end. Whether it is a standby is asked once, in a subquery that is not folded into the rest.
    format!(
        "SELECT s.recovering,
           n.sourcefile,
           n.setting,
           (SELECT wait_event FROM pg_stat_activity WHERE backend_type = 'startup' LIMIT 1),
           CASE WHEN s.recovering THEN pg_is_wal_replay_paused() END,
           CASE WHEN s.recovering THEN coalesce(pg_last_wal_replay_lsn(),
             (SELECT greatest(c.redo_lsn, r.min_recovery_end_lsn) FROM pg_control_checkpoint() c, pg_control_recovery() r))
             ELSE pg_current_wal_flush_lsn() END,
           CASE WHEN NOT s.recovering THEN pg_walfile_name(pg_current_wal_insert_lsn()) END,
           r.status, r.sender_host, r.sender_port,
           (SELECT wait_event FROM pg_stat_activity WHERE pid = {}),
           ({}),
           CASE WHEN NOT s.recovering THEN (SELECT timeline_id FROM pg_control_checkpoint()) END,
           r.last_msg_receipt_time < clock_timestamp() - interval '10 s',
           r.flushed_lsn
         FROM (SELECT pg_is_in_recovery() AS recovering OFFSET 0) s
           LEFT JOIN pg_settings n ON n.name = 'synchronous_standby_names'
           LEFT JOIN pg_stat_wal_receiver r ON true;
         SELECT application_name, state, flush_lsn, sync_priority FROM pg_stat_replication;
         SELECT slot_name, active FROM pg_replication_slots
           WHERE slot_type = 'physical' AND NOT temporary AND wal_status IS DISTINCT FROM 'lost'",
        canary.unwrap_or(0),
        roles::count_sql(),
    )
}

/// The questions of a fresh session: which settings the postmaster has read; what of the access rules and of the settings
/// it cannot read; and whether it can be asked the same of the user map.
pub(crate) const FRESH_SQL: &str = "
    SELECT current_setting('yoke.generation', true),
      (SELECT min(sourcefile || ', line ' || sourceline || ': ' || error) FROM pg_file_settings
       WHERE error IS NOT NULL AND error <> 'setting could not be applied'),
      to_regclass('pg_catalog.pg_ident_file_mappings') IS NOT NULL;
    SELECT line_number, error FROM pg_hba_file_rules WHERE error IS NOT NULL ORDER BY 1 LIMIT 1";

/// The question whether the server can read the user map (from PostgreSQL 15 on).
pub(crate) const MAP_SQL: &str = "SELECT line_number, error FROM pg_ident_file_mappings WHERE error IS NOT NULL ORDER BY 1 LIMIT 1";

/// The answer, not yet judged.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) in_recovery: bool,
    pub(crate) gate_file: Option<String>,
    pub(crate) gate: String,
    pub(crate) drained: bool,
    pub(crate) replay_paused: bool,
    pub(crate) position: Lsn,
    pub(crate) timeline: Option<Timeline>,
    pub(crate) receiver: Option<Receiver>,
    /// Received and flushed, maybe inside a record.
    pub(crate) received: Option<Lsn>,
    pub(crate) canary_waits_for: Option<String>,
    pub(crate) has_roles: bool,
    /// Primary: of the control file's checkpoint.
    pub(crate) checkpoint_timeline: Timeline,
    pub(crate) walsenders: Vec<Walsender>,
    pub(crate) slots: Vec<Slot>,
    pub(crate) strangers_in_gate: u32,
}

/// The walreceiver that streams.
#[derive(Debug)]
pub(crate) struct Receiver {
    host: String,
    port: String,
}

impl Answer {
    /// Reads the rows of all statements.
    pub(crate) fn read(context: &Context, answers: &[Rows]) -> Said<Answer> {
        let [status, replication, slots, ..] = answers else {
            return Err("the database gave fewer answers than questions".into());
        };
        let row = status
            .first()
            .ok_or("the database gave no answer to the first question")?;
        let column = |i: usize| row.get(i).and_then(|v| v.as_deref());
        let in_recovery = column(0) == Some("t");
        let position = column(5)
            .and_then(parse_lsn)
            .ok_or("the database names no position in its log")?;
        let timeline = column(6)
            .and_then(|file| u32::from_str_radix(file.get(..8)?, 16).ok())
            .map(Timeline);
        if !in_recovery && timeline.is_none() {
            return Err("the database names no timeline".into());
        }
        let receiver = match (column(7), column(8), column(9)) {
            (Some("streaming"), Some(host), Some(port)) => Some(Receiver {
                host: host.to_owned(),
                port: port.to_owned(),
            }),
            _ => None,
        };
        // It ends by itself after half of that without a word (`wal_receiver_timeout`), and is begun anew.
        if receiver.is_some() && column(13) == Some("t") {
            return Err(
                "the walreceiver has heard nothing for 10 s and does not end: it hangs".into(),
            );
        }
        let mut answer = Answer {
            in_recovery,
            gate_file: column(1).map(str::to_owned),
            gate: column(2).unwrap_or_default().to_owned(),
            drained: in_recovery
                && matches!(
                    column(3),
                    Some("RecoveryRetrieveRetryInterval" | "RecoveryWalStream")
                ),
            replay_paused: column(4) == Some("t"),
            position,
            timeline,
            received: column(14)
                .and_then(parse_lsn)
                .filter(|_| receiver.is_some()),
            receiver,
            canary_waits_for: column(10).map(str::to_owned),
            has_roles: column(11) == Some("2"),
            checkpoint_timeline: column(12)
                .and_then(|t| t.parse().ok())
                .map_or(Timeline(0), Timeline),
            walsenders: Vec::new(),
            slots: slots.iter().filter_map(|row| slot(context, row)).collect(),
            strangers_in_gate: 0,
        };
        for row in replication {
            answer.take_walsender(context, row);
        }
        answer
            .walsenders
            .sort_unstable_by_key(|w| (w.copy, w.flushed));
        answer.slots.sort_unstable();
        Ok(answer)
    }

    fn take_walsender(&mut self, context: &Context, row: &[Option<String>]) {
        let column = |i: usize| row.get(i).and_then(|v| v.as_deref());
        let priority: u32 = column(3).and_then(|p| p.parse().ok()).unwrap_or(0);
        match column(0).and_then(|name| names::to_copy(context, name)) {
            Some(copy) => self.walsenders.push(Walsender {
                copy,
                streaming: column(1) == Some("streaming"),
                flushed: column(2).and_then(parse_lsn).unwrap_or_default(),
                priority,
            }),
            None if priority > 0 => self.strangers_in_gate += 1,
            None => {}
        }
    }

    /// Whom it streams from: the member that it is set to follow, if the receiver is connected there.
    pub(crate) fn streaming_from(&self, written: Option<&Written>) -> Option<MemberId> {
        let written = written?;
        let (receiver, upstream) = (self.receiver.as_ref()?, written.upstream.as_ref()?);
        let fits = receiver.host == upstream.host && receiver.port == upstream.port.to_string();
        written.settings.follow.filter(|_| self.in_recovery && fits)
    }

    /// Whether the gate comes from our file, and is what was written there once that is in force.
    pub(crate) fn gate_is_ours(
        &self,
        context: &Context,
        written: Option<&Written>,
        in_force: u64,
    ) -> bool {
        let from_ours = self
            .gate_file
            .as_deref()
            .is_some_and(|file| context.conf_file() == std::path::Path::new(file));
        from_ours
            && written.is_none_or(|w| {
                w.settings.generation != in_force
                    || names::gate_value(context, w.settings.gate.as_deref()) == self.gate
            })
    }
}

/// A copy's slot; none: somebody else's.
fn slot(context: &Context, row: &[Option<String>]) -> Option<Slot> {
    let column = |i: usize| row.get(i).and_then(|v| v.as_deref());
    Some(Slot {
        copy: names::to_copy(context, column(0)?)?,
        active: column(1) == Some("t"),
    })
}

/// A startup process that waits for WAL which is there: since when, and what was there then.
#[derive(Debug)]
pub(crate) struct Replay {
    position: Lsn,
    received: Lsn,
    since: Instant,
}

/// Only one record may be that long on its way.
const REPLAY: Duration = Duration::from_secs(30);

impl Replay {
    /// Notes an answer.
    ///
    /// # Errors
    /// More and more arrives, and nothing of it is replayed: it hangs.
    pub(crate) fn note(before: &mut Option<Replay>, answer: &Answer) -> Said<()> {
        let waits = answer.drained && !answer.replay_paused;
        let received = answer.received.filter(|at| waits && *at > answer.position);
        let Some(received) = received else {
            *before = None;
            return Ok(());
        };
        match before {
            Some(replay) if replay.position == answer.position => {
                match replay.since.elapsed() > REPLAY && received > replay.received {
                    true => Err(format!(
                        "the startup process waits at {}, although WAL up to {received} is there: it hangs",
                        answer.position
                    )),
                    false => Ok(()),
                }
            }
            _ => {
                *before = Some(Replay {
                    position: answer.position,
                    received,
                    since: Instant::now(),
                });
                Ok(())
            }
        }
    }
}

/// Where the timeline begins that a primary writes.
pub(crate) fn timeline_start(context: &Context, timeline: Timeline) -> Said<Lsn> {
    control::timeline_start(&context.real_data_dir(), timeline)?.ok_or_else(|| {
        format!(
            "the history file of timeline {timeline} is missing in {}/pg_wal",
            context.data_dir.display()
        )
    })
}
