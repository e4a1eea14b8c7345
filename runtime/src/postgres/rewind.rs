//! The step `Rewind`: `pg_rewind`, with what it leaves out: a source that is ready, the WAL that is dropped, the files of
//! this host's user, and the WAL that came while it copied, without which the result would not start by itself.
//!
//! What it did is for the steward to see. What fails before the stamp is removed has touched nothing.

use crate::postgres::clone::{remove_tree, tidy};
use crate::postgres::control::Control;
use crate::postgres::execute::Ending;
use crate::postgres::find::Binaries;
use crate::postgres::helper::{Helper, LOOK_AGAIN};
use crate::postgres::user::{Child, PgUser};
use crate::postgres::wal::{self, Segment};
use crate::postgres::{
    Context, Said, Upstream, control, files, lost, names, own_files, settings, stamp,
};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use yoke_core::postgres::{Lsn, SystemId, Timeline};
use yoke_core::step::Leaving;

/// How long the source may take to answer.
const ANSWER: Duration = Duration::from_secs(10);
/// How long it may take to finish the checkpoint that its promotion began.
const CHECKPOINT: Duration = Duration::from_secs(600);
/// How long the rest of the WAL may take.
const REST: Duration = Duration::from_secs(120);
/// How long streaming may take to begin.
const BEGINS: Duration = Duration::from_secs(10);

/// One rewind.
pub(crate) struct Rewind<'a> {
    pub(crate) context: &'a Context,
    pub(crate) user: &'a PgUser,
    pub(crate) data: &'a Path,
    pub(crate) from: &'a Upstream,
    pub(crate) ending: &'a Ending,
}

impl Rewind<'_> {
    /// From the source's readiness to a directory that starts by itself.
    ///
    /// # Errors
    /// What failed. The stamp tells whether anything was touched.
    pub(crate) fn carry_out(
        &self,
        timeline: Timeline,
        drops: &Leaving,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Said<()> {
        let (data, user) = (self.data, self.user);
        let binaries = Binaries::of_data(self.context, data)?;
        let before = Control::read(&binaries, user, data)?;
        let database = self.source_is_ready(&binaries, before.system_id, timeline)?;
        lost::keep_wal(self.context, user, data, drops, before.segment_size)?;
        if self.ending.is_set() {
            return Err("ended".into());
        }
        // From here on it is not whole: nobody takes it for the copy that it was.
        files::remove(&stamp::file(data))?;
        own_files::move_out(data, user)?;
        let stream = Stream::begin(self, &binaries)?;
        let mut command = self.command(&binaries, "pg_rewind");
        command
            .args(["--progress", "--no-ensure-shutdown", "--target-pgdata"])
            .arg(data)
            .arg("--source-server")
            .arg(self.source(Some(database)));
        Helper::spawn(&mut command)?.finish(self.ending, None, progress)?;
        if data.join("backup_label").exists() {
            let after = Control::read(&binaries, user, data)?;
            stream.end(self, &binaries, after.recovered_to)?;
            self.starts_by_itself(&after)?;
        }
        own_files::remove_others(data)?;
        own_files::put_back(data)?;
        tidy(data, user)
    }

    /// Waits until pg_rewind would see that the source is on its newest timeline: it goes by the control file. Answers by
    /// which database it is reached.
    fn source_is_ready(
        &self,
        binaries: &Binaries,
        system_id: SystemId,
        wanted: Timeline,
    ) -> Said<&'static str> {
        let begun = Instant::now();
        loop {
            let (database, seen) = self.ask_source(binaries)?;
            let (id, timeline) = seen;
            if id != system_id {
                return Err(format!(
                    "the source is of database {id}, the one here of {system_id}"
                ));
            }
            if timeline == wanted {
                return Ok(database);
            }
            if timeline > wanted || begun.elapsed() > CHECKPOINT {
                return Err(format!(
                    "the source's last checkpoint is on timeline {timeline}, and one on {wanted} was waited for"
                ));
            }
            for _ in 0..10 {
                if self.ending.is_set() {
                    return Err("ended".into());
                }
                std::thread::sleep(LOOK_AGAIN);
            }
        }
    }

    fn ask_source(&self, binaries: &Binaries) -> Said<(&'static str, (SystemId, Timeline))> {
        const QUESTION: &str = "SELECT 'yoke', s.system_identifier, c.timeline_id, pg_is_in_recovery() FROM pg_control_system() s, pg_control_checkpoint() c";
        let ask = |database| {
            let mut command = self.command(binaries, "psql");
            command
                .args(["-XAtqw", "-c", QUESTION, "-d"])
                .arg(self.source(Some(database)));
            Helper::spawn(&mut command)?.finish(self.ending, Some(ANSWER), &mut |_, _| {})
        };
        let [usual, other] = names::DATABASES;
        let (database, lines) = match ask(usual) {
            Err(why) if why.contains("does not exist") => (other, ask(other)?),
            answer => (usual, answer?),
        };
        let answer = lines.iter().find_map(|line| {
            let fields: Vec<&str> = line.split('|').collect();
            match fields.as_slice() {
                ["yoke", id, timeline, "f"] => Some((
                    SystemId(id.parse::<i64>().ok()?.cast_unsigned()),
                    Timeline(timeline.parse().ok()?),
                )),
                _ => None,
            }
        });
        match answer {
            Some(seen) => Ok((database, seen)),
            None => Err(format!(
                "the database at {}:{} is no primary that can be read: {}",
                self.from.host,
                self.from.port,
                lines.join(" / ")
            )),
        }
    }

    /// What recovery reads is there, from where it begins to where it may first stop.
    fn starts_by_itself(&self, after: &Control) -> Said<()> {
        let label = self.data.join("backup_label");
        let text = files::read_optional(&label)?.unwrap_or_default();
        let begins = text
            .lines()
            .find_map(|line| line.strip_prefix("START WAL LOCATION: "))
            .and_then(|rest| control::parse_lsn(rest.split_whitespace().next()?))
            .ok_or_else(|| format!("{} names no position to begin at", label.display()))?;
        let folder = self.data.join("pg_wal");
        let timelines = control::timelines(self.data, after.recovery_timeline)?;
        let span = (begins, after.recovered_to);
        match wal::first_missing(&folder, after.segment_size, span, &timelines)? {
            None => Ok(()),
            Some(name) => Err(format!(
                "WAL from {begins} to {} is needed, and {name} is missing: the source has removed it already, or never had it",
                after.recovered_to
            )),
        }
    }

    fn source(&self, database: Option<&str>) -> String {
        let name = names::of_clone(self.context);
        let mut text = settings::connection_string(self.context, self.from, &name);
        if let Some(database) = database {
            text.push_str(&format!(" dbname='{database}'"));
        }
        text
    }

    fn command(&self, binaries: &Binaries, program: &str) -> Command {
        let mut command = self.user.command(&binaries.program(program), Child::Helper);
        command.current_dir(&self.context.status_dir);
        command
    }
}

/// The WAL that the source writes while it is copied from.
struct Stream {
    place: PathBuf,
    helper: Helper,
}

impl Stream {
    /// Begins with the segment that the source is in.
    fn begin(rewind: &Rewind<'_>, binaries: &Binaries) -> Said<Stream> {
        let place = files::beside(rewind.data, ".wal");
        remove_tree(&place)?;
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&place)
            .and_then(|()| rewind.user.own(&place))
            .map_err(|e| format!("cannot make {}: {e}", place.display()))?;
        let helper = Helper::spawn(&mut Self::command(rewind, binaries, &place))?;
        let mut stream = Stream { place, helper };
        let begun = Instant::now();
        while stream.is_empty()? {
            if let Some(status) = stream.helper.ended(&mut |_, _| {})? {
                return Err(stream.helper.failure(status));
            }
            if rewind.ending.is_set() || begun.elapsed() > BEGINS {
                return Err("the source's WAL does not come".into());
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        Ok(stream)
    }

    /// Goes on to this position, and puts what came into the directory.
    fn end(self, rewind: &Rewind<'_>, binaries: &Binaries, to: Lsn) -> Said<()> {
        self.helper.interrupt();
        let mut command = Self::command(rewind, binaries, &self.place);
        command.arg(format!("--endpos={to}"));
        Helper::spawn(&mut command)?.finish(rewind.ending, Some(REST), &mut |_, _| {})?;
        let wal = rewind.data.join("pg_wal");
        let size = Control::read(binaries, rewind.user, rewind.data)?.segment_size;
        for name in Self::files(&self.place)? {
            let segment = name.strip_suffix(".partial").unwrap_or(&name);
            if Segment::of_name(segment, size).is_none() {
                continue;
            }
            let (new, target) = (wal.join("yoke.new"), wal.join(segment));
            lost::copy_durably(&self.place.join(&name), &new)?;
            rewind
                .user
                .own(&new)
                .map_err(|e| format!("cannot give away {}: {e}", new.display()))?;
            files::rename(&new, &target)?;
        }
        remove_tree(&self.place)
    }

    fn command(rewind: &Rewind<'_>, binaries: &Binaries, place: &Path) -> Command {
        let mut command = rewind.command(binaries, "pg_receivewal");
        command
            .args(["--no-loop", "--no-password", "--directory"])
            .arg(place)
            .arg("--dbname")
            .arg(rewind.source(None));
        command
    }

    fn is_empty(&self) -> Said<bool> {
        Ok(Self::files(&self.place)?.is_empty())
    }

    fn files(place: &Path) -> Said<Vec<String>> {
        let failed = |e: std::io::Error| format!("cannot read {}: {e}", place.display());
        let mut names = Vec::new();
        for entry in std::fs::read_dir(place).map_err(failed)? {
            names.extend(entry.map_err(failed)?.file_name().into_string().ok());
        }
        Ok(names)
    }
}
