//! The daemon's steps: looking at the disk, and SQL. Everything has a deadline; every failure is a sentence.

use crate::postgres::canary::CanaryCommit;
use crate::postgres::control::Control;
use crate::postgres::find::Binaries;
use crate::postgres::observe::{self, Answer, FRESH_SQL, MAP_SQL, Replay};
use crate::postgres::processes::{self, Processes};
use crate::postgres::session::{self, APPLICATION, NoSession, Rows, Session, within};
use crate::postgres::settings::Written;
use crate::postgres::user::PgUser;
use crate::postgres::watch::{self, Watch};
use crate::postgres::{Context, Said, conf, control, inspect, names, roles, settings, user_files};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use yoke_core::postgres::{Lsn, RunId, Timeline};
use yoke_core::record::Copy;
use yoke_core::step::{Canary, Outcome, Server, Step};

/// Longer than that and a server does not answer.
const OBSERVE: Duration = Duration::from_secs(1);
/// A disk that takes longer for a few small files hangs.
const INSPECT: Duration = Duration::from_secs(10);
/// A checkpoint writes all that is in memory.
const CHECKPOINT: Duration = Duration::from_secs(600);
/// A few small files; the health write waits for it.
const SLOTS: Duration = Duration::from_secs(1);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// A postmaster that answered is taken to live for so long, and has so long to answer.
const POSTMASTER: Duration = Duration::from_secs(1);

/// The daemon's connections to its own server, and what is known of its present run.
pub struct Sessions {
    context: Context,
    /// Looked up once: a directory service may be slow to answer.
    user: Option<PgUser>,
    run: Option<RunId>,
    kept: Option<Session>,
    /// When a new connection was last answered.
    seen_at: Option<Instant>,
    /// A replay that does not go on.
    replay: Option<Replay>,
    canary: Option<CanaryCommit>,
    /// The generation that a fresh session saw.
    in_force: u64,
    /// Where the timeline begins that this run writes.
    timeline: Option<(Timeline, Lsn)>,
    roles_noted: bool,
    watch: Watch,
    /// What is written over is known to have to change.
    look_at_once: bool,
    /// Somebody told the daemon to read the configuration again.
    told: Arc<AtomicBool>,
    disk: Option<JoinHandle<()>>,
}

impl Sessions {
    /// No connection yet.
    pub fn new(context: Context) -> Sessions {
        Sessions {
            context,
            user: None,
            run: None,
            kept: None,
            seen_at: None,
            replay: None,
            canary: None,
            in_force: 0,
            timeline: None,
            roles_noted: false,
            watch: Watch::default(),
            look_at_once: false,
            told: Arc::default(),
            disk: None,
        }
    }

    /// Whoever sets this has the user's configuration taken in at once.
    #[must_use]
    pub fn told_by(self, told: Arc<AtomicBool>) -> Sessions {
        Sessions { told, ..self }
    }

    /// Carries out one of the daemon's steps on this run of the server. May be dropped at any await: what it was doing
    /// then counts as failed.
    pub async fn run(&mut self, step: &Step, run: Option<RunId>) -> Outcome {
        if self.run != run {
            // Nothing that was seen of an older run counts for this one.
            let (disk, user) = (self.disk.take(), self.user.take());
            let told = Arc::clone(&self.told);
            *self = Sessions::new(self.context.clone()).told_by(told);
            (self.disk, self.user, self.run) = (disk, user, run);
        }
        let health = Duration::from_micros(self.context.health_timeout.0);
        let outcome = match step {
            Step::Inspect => within(INSPECT, "looking at the data directory", self.inspect())
                .await
                .map(|found| Outcome::Inspected(Box::new(found))),
            Step::Observe => {
                let answer = async { Ok(self.observe().await) };
                match within(OBSERVE, "the database's answer", answer).await {
                    Ok(Ok(server)) => Ok(Outcome::Observed(Box::new(server))),
                    Ok(Err(none)) if none.not_now => {
                        let title = self
                            .off_thread(|context| Ok(processes::replays(&context.real_data_dir())));
                        let replays = within(OBSERVE, "its recovery's place", title).await;
                        Ok(Outcome::NotNow {
                            replays: replays.ok().flatten(),
                        })
                    }
                    Ok(Err(none)) => Err(none.why),
                    Err(why) => Err(why),
                }
            }
            Step::EndSessions => within(health, "ending the sessions", self.end_sessions())
                .await
                .map(|()| Outcome::Done),
            Step::Canary => within(health, "beginning the canary", self.begin_canary())
                .await
                .map(|()| Outcome::Done),
            Step::Nudge => within(health, "a small write", self.nudge())
                .await
                .map(Outcome::Wrote),
            Step::Checkpoint => within(CHECKPOINT, "the checkpoint", self.checkpoint())
                .await
                .map(|()| Outcome::Done),
            Step::BeginCheckpoint => {
                within(health, "beginning a checkpoint", self.begin_checkpoint())
                    .await
                    .map(|()| Outcome::Done)
            }
            Step::Slots { make, drop } => {
                let job = self.slots(make, drop);
                within(SLOTS, "making the replication slots", job)
                    .await
                    .map(|()| Outcome::Done)
            }
            _ => Err("this step is the guard's".into()),
        };
        outcome.unwrap_or_else(Outcome::Failed)
    }

    /// The kept connection, taken out: whoever does not give it back (an error, a deadline) has it closed.
    async fn take(&mut self) -> Result<Session, NoSession> {
        match self.kept.take().filter(Session::is_open) {
            Some(session) => Ok(session),
            None => self.open().await,
        }
    }

    async fn open(&mut self) -> Result<Session, NoSession> {
        if self.run.is_none() {
            return Err("the database is not running".into());
        }
        let user = self.user().await?;
        Session::open(&self.context, &user).await
    }

    async fn user(&mut self) -> Said<PgUser> {
        if self.user.is_none() {
            self.user = Some(self.off_thread(PgUser::of).await?);
        }
        self.user
            .clone()
            .ok_or_else(|| "PostgreSQL's user is not known".into())
    }

    /// Reads the disk on another thread. One at a time: a hung disk must not gather threads.
    async fn off_thread<T: Send + 'static>(
        &mut self,
        job: impl FnOnce(&Context) -> Said<T> + Send + 'static,
    ) -> Said<T> {
        if let Some(earlier) = &mut self.disk {
            // It was abandoned at its deadline, and what it would say is old by now.
            let _ = earlier.await;
        }
        let context = self.context.clone();
        let (sender, answer) = tokio::sync::oneshot::channel();
        self.disk = Some(tokio::task::spawn_blocking(move || {
            // Whoever asked may have gone.
            let _ = sender.send(job(&context));
        }));
        let answer = answer.await;
        self.disk = None;
        answer.unwrap_or_else(|_| Err("reading the disk ended with a panic".into()))
    }

    async fn inspect(&mut self) -> Said<yoke_core::step::Inspection> {
        self.off_thread(inspect::inspect).await
    }

    async fn observe(&mut self) -> Result<Server, NoSession> {
        let run = self.run.ok_or("the database is not running")?;
        self.see_postmaster().await?;
        let (written, keys) = self
            .off_thread(|context| {
                let keys = conf::our_keys_in_auto_conf(&context.real_data_dir())?;
                Ok((settings::read(context)?, keys))
            })
            .await?;
        // The gate hangs on it: no time is lost.
        self.look_at_once |= !keys.is_empty();
        // Before the kept session is asked: the postmaster has told it to read the files again before it forked the fresh
        // one. The other way about, an old gate would be taken for somebody else's.
        let refuses = self.see_generation(written.as_ref()).await?;
        let session = self.take().await?;
        let question = observe::sql(self.canary.as_ref().map(|c| c.pid));
        let answer = Answer::read(&self.context, &session.query(&question).await?)?;
        Replay::note(&mut self.replay, &answer)?;
        self.look_after_roles(&session, &answer).await;
        let outdated = self.watch(&session, &answer).await?;
        self.kept = Some(session);
        let timeline = match answer.timeline {
            Some(timeline) => (timeline, self.timeline_start(timeline).await?),
            None => (Timeline(0), Lsn(0)),
        };
        let canary = self.canary.as_ref().map_or(Canary::None, |canary| {
            canary.state(answer.canary_waits_for.as_deref())
        });
        Ok(Server {
            run,
            in_recovery: answer.in_recovery,
            settings: self.in_force,
            gate_is_ours: answer.gate_is_ours(&self.context, written.as_ref(), self.in_force),
            position: answer.position,
            drained: answer.drained,
            replay_paused: answer.replay_paused,
            streaming_from: answer.streaming_from(written.as_ref()),
            timeline,
            checkpoint_timeline: answer.checkpoint_timeline,
            walsenders: answer.walsenders,
            slots: answer.slots,
            strangers_in_gate: answer.strangers_in_gate,
            canary,
            outdated,
            refuses,
            too_small: self.watch.too_small.clone(),
            notes: self.watch.notes.clone(),
        })
    }

    /// The kept session outlives a postmaster that hangs, and a client that comes would wait for ever: somebody new has
    /// to get an answer too (R19). A process that answers is enough: a session of our own would cost more, and one that
    /// finds all places taken is an answer as well.
    async fn see_postmaster(&mut self) -> Said<()> {
        if self.seen_at.is_some_and(|at| at.elapsed() < POSTMASTER) {
            return Ok(());
        }
        within(
            POSTMASTER,
            "an answer to a new connection",
            session::knock(&self.context),
        )
        .await?;
        self.seen_at = Some(Instant::now());
        Ok(())
    }

    /// Asks a fresh session which settings are in force, if they may be older than what was written: only a process that
    /// the postmaster forked after it had read them shows that it has (research/postgres.md 3). Says why they are not.
    async fn see_generation(&mut self, written: Option<&Written>) -> Said<Option<String>> {
        let wanted = written.map_or(0, |w| w.settings.generation);
        if wanted <= self.in_force {
            return Ok(None);
        }
        // No fresh session to be had (all connections are taken): nothing new is known, but the server does answer.
        let Ok(fresh) = self.open().await else {
            return Ok(None);
        };
        let answers = fresh.query(FRESH_SQL).await?;
        let column = |i: usize| answers.first()?.first()?.get(i)?.clone();
        let generation = column(0).and_then(|g| g.parse().ok()).unwrap_or(0);
        let map = match column(2).as_deref() {
            Some("t") => fresh.query(MAP_SQL).await?,
            _ => Vec::new(),
        };
        let is_read = generation >= wanted;
        let errors = [wrong_line(answers.get(1)), wrong_line(map.first())];
        let refused = self
            .off_thread(move |context| user_files::judged(context, errors, is_read))
            .await?;
        // With a rule that it cannot read the postmaster keeps the old doors, whatever the settings say.
        let (rules, map) = refused;
        if rules.is_none() {
            self.in_force = generation;
        }
        if rules.is_some() || map.is_some() {
            self.look_at_once = true;
        }
        Ok(match rules {
            None if self.in_force >= wanted => None,
            None => column(1),
            rules => rules,
        })
    }

    /// Looks at the files that our settings were written over: whether they are to be written again.
    async fn watch(&mut self, session: &Session, answer: &Answer) -> Said<bool> {
        let asked = self.told.swap(false, Ordering::SeqCst);
        let at_once = std::mem::take(&mut self.look_at_once);
        if !(asked || at_once || self.watch.is_due()) {
            return Ok(false);
        }
        let user = self.user().await?;
        let look = self.off_thread(move |context| watch::look(context, &user));
        let look = match look.await {
            Ok(look) => look,
            Err(why) => {
                self.watch.notes = vec![why];
                return Ok(asked);
            }
        };
        let rows = session.query(&watch::start_up_sql()).await?;
        let in_force = rows.first().map(watch::start_up).unwrap_or_default();
        self.watch.too_small = None;
        if answer.in_recovery && answer.replay_paused {
            let needed = self.off_thread(|context| {
                let data = context.real_data_dir();
                let binaries = Binaries::of_data(context, &data)?;
                Control::read(&binaries, &PgUser::of(context)?, &data)
            });
            self.watch.too_small = watch::too_small(&in_force, needed.await?.start_up);
        }
        let mut notes = look.lowered(&in_force);
        notes.extend(watch::ask(session, answer.in_recovery).await);
        Ok(self.watch.take(look, asked || at_once, notes))
    }

    async fn timeline_start(&mut self, timeline: Timeline) -> Said<Lsn> {
        if let Some((known, start)) = self.timeline
            && known == timeline
        {
            return Ok(start);
        }
        let start = self
            .off_thread(move |context| observe::timeline_start(context, timeline))
            .await?;
        self.timeline = Some((timeline, start));
        Ok(start)
    }

    /// Makes our roles where they are missing and it can be written, and notes once that they are there.
    async fn look_after_roles(&mut self, session: &Session, answer: &Answer) {
        if self.roles_noted {
            return;
        }
        let done = if answer.has_roles {
            let note = |context: &Context| {
                roles::note_roles(&context.real_data_dir(), &PgUser::of(context)?)
            };
            self.off_thread(note)
                .await
                .map(|()| self.roles_noted = true)
        } else if answer.in_recovery {
            Ok(())
        } else {
            session.query(&roles::make_sql()).await.map(|_| ())
        };
        if let Err(why) = done {
            tracing::warn!("the roles of yoke are not made yet: {why}");
        }
    }

    async fn end_sessions(&mut self) -> Said<()> {
        let session = self.take().await?;
        let user = self.user().await?;
        let first = user.name.replace('\'', "''");
        let sql = format!(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
             AND NOT (coalesce(usename, '') = '{}' OR coalesce(usename, '') = '{first}' AND application_name = '{APPLICATION}')",
            names::ROLE
        );
        let processes = Processes::of(self.context.real_data_dir(), user);
        // Those that were let in by the old rules and still say who they are come to be sessions: they go first. Whoever
        // comes after this look meets the rules that are in force, and there is no end of them: clients try again.
        let mut arriving = self.off_thread(move |_| Ok(processes.arriving())).await?;
        // They end some time after they are told. Twice nobody: whoever was between proving who he is and being a session
        // at the first look is one at the second.
        let mut nobody = 0;
        while nobody < 2 {
            arriving.retain(|process| process.end());
            let answers = session.query(&sql).await?;
            let left = answers
                .first()
                .and_then(|rows| rows.first()?.first()?.clone());
            nobody = match arriving.is_empty() && left.as_deref() == Some("0") {
                true => nobody + 1,
                false => 0,
            };
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        self.kept = Some(session);
        Ok(())
    }

    async fn begin_canary(&mut self) -> Said<()> {
        if let Some(previous) = self.canary.take() {
            let session = self.take().await?;
            session
                .query(&format!("SELECT pg_terminate_backend({})", previous.pid))
                .await?;
            self.kept = Some(session);
        }
        self.canary = Some(CanaryCommit::begin(self.open().await?));
        Ok(())
    }

    async fn nudge(&mut self) -> Said<Lsn> {
        self.see_postmaster().await?;
        let session = self.take().await?;
        let answers = session
            .query("SELECT pg_logical_emit_message(true, 'yoke', '')")
            .await?;
        self.kept = Some(session);
        answers
            .first()
            .and_then(|rows| control::parse_lsn(rows.first()?.first()?.as_deref()?))
            .ok_or_else(|| "the database names no position for what it wrote".into())
    }

    async fn slots(&mut self, make: &[Copy], drop: &[Copy]) -> Said<()> {
        let session = self.take().await?;
        let gone = |copy: &Copy, which: &str| {
            format!(
                "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '{}' AND NOT active{which}",
                names::of_copy(&self.context, *copy)
            )
        };
        for copy in drop {
            session.query(&gone(copy, "")).await?;
        }
        for copy in make {
            // What kept too much for too long keeps nothing any more, and nobody can stream from it.
            session
                .query(&gone(copy, " AND wal_status = 'lost'"))
                .await?;
            let name = names::of_copy(&self.context, *copy);
            session
                .query(&format!(
                    "SELECT pg_create_physical_replication_slot('{name}') WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = '{name}')"
                ))
                .await?;
        }
        self.kept = Some(session);
        Ok(())
    }

    /// The server goes on with it, whatever becomes of us.
    async fn begin_checkpoint(&mut self) -> Said<()> {
        let session = self.open().await?;
        session.query("SET statement_timeout = 0").await?;
        tokio::spawn(async move {
            // What came of it shows in the control file.
            let _ = tokio::time::timeout(CHECKPOINT, session.query("CHECKPOINT")).await;
        });
        Ok(())
    }

    async fn checkpoint(&mut self) -> Said<()> {
        // On a connection of its own, without the others' time limit.
        let session = self.open().await?;
        session.query("SET statement_timeout = 0").await?;
        session.query("CHECKPOINT").await.map(|_| ())
    }
}

/// The line of ours that the server cannot read, and its words.
fn wrong_line(rows: Option<&Rows>) -> Option<(usize, String)> {
    let row = rows?.first()?;
    let text = |i: usize| row.get(i)?.as_deref();
    Some((text(0)?.parse().ok()?, text(1)?.to_owned()))
}
