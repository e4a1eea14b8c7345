//! The standby's guard: has the primary's daemon copy into a fresh directory here, and gathers the write-ahead log
//! meanwhile. Blocks; looks often whether it is to end.

use super::wal::Receiver;
use super::wire::{Answer, Ask};
use super::{template, whole};
use crate::guard::wire::{Frames, encode};
use crate::peer::Hello;
use crate::peer::handshake::{self, Purpose, Welcome};
use crate::postgres::execute::Ending;
use crate::postgres::user::PgUser;
use crate::postgres::{Context, Said, Upstream, files};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use yoke_core::member::MemberId;

/// How long the other daemon may take to be reached, and to answer; connecting to its database is part of that.
const REACH: Duration = Duration::from_secs(3);
const ANSWER: Duration = Duration::from_secs(20);
/// While it copies it says each second that it does.
const SILENCE: Duration = Duration::from_secs(15);
/// A command that adds nothing to the copy for so long hangs.
const STALL: Duration = Duration::from_secs(600);
/// How long the write-ahead log may take to come and, at the end, to be whole.
const WAL: Duration = Duration::from_secs(30);
/// How often it is looked whether this is to end, and how large the copy is.
const LOOK: Duration = Duration::from_millis(50);
const MEASURE: Duration = Duration::from_secs(2);

/// What a copy is made with.
pub(crate) struct Copying<'a> {
    pub(crate) context: &'a Context,
    pub(crate) user: &'a PgUser,
    /// Whose primary.
    pub(crate) from: MemberId,
    /// Where that listens.
    pub(crate) upstream: &'a Upstream,
    /// The data directory: the copy is made beside it.
    pub(crate) data: &'a Path,
    pub(crate) ending: &'a Ending,
    pub(crate) progress: &'a mut dyn FnMut(u64, u64),
}

impl Copying<'_> {
    /// A directory beside the data directory with a whole copy, on disk; none: that member has no `sync_command`. Nothing
    /// is left there if it fails or is ended.
    ///
    /// # Errors
    /// Why there is no copy.
    pub(crate) fn make(&mut self) -> Said<Option<PathBuf>> {
        remove_left_over(self.data)?;
        let directory = files::beside(self.data, &format!("{NEW}{:08x}", rand::random::<u32>()));
        let directory_text = match template::plain_path(&directory) {
            Ok(text) => text.to_owned(),
            // No command could be told of it. Whether there is one need not be known.
            Err(_) => return Ok(None),
        };
        let mut line = self.dial()?;
        line.say(&Ask::Copy {
            directory: directory_text,
        })?;
        let total = match line.answer(self.ending)? {
            Answer::NoCommand => return Ok(None),
            Answer::Ready { total } => total,
            Answer::Failed(why) => return Err(why),
            Answer::Still | Answer::Copied { .. } => return Err("an answer out of turn".into()),
        };
        let made = self.fill(&directory, &mut line, total);
        if made.is_err() {
            // What cannot be removed now is removed before the next copy: the first error is the one to tell.
            let _ = remove_left_over(self.data);
        }
        made.map(|()| Some(directory))
    }

    fn fill(&mut self, directory: &Path, line: &mut Line, total: u64) -> Said<()> {
        let wal = files::beside(directory, WAL_SUFFIX);
        for path in [directory, &wal] {
            // Ours, given to PostgreSQL's user: that may have no right to make one next to the data directory.
            std::fs::DirBuilder::new()
                .mode(0o700)
                .create(path)
                .and_then(|()| self.user.own(path))
                .map_err(|e| format!("cannot make {}: {e}", path.display()))?;
        }
        let mut receiver = Receiver::start(self.context, self.user, self.upstream, &wal)?;
        self.until("the write-ahead log streams", &mut receiver, |r| {
            r.streams()
        })?;
        line.say(&Ask::Begin)?;
        let (label, last_wal) = self.wait_for_copy(directory, line, &mut receiver, total)?;
        self.until("the write-ahead log is whole", &mut receiver, |r| {
            r.has(&last_wal)
        })?;
        drop(receiver);
        whole::make(directory, &wal, &label, self.user)
    }

    /// Until the command has ended; what goes with the copy.
    fn wait_for_copy(
        &mut self,
        directory: &Path,
        line: &mut Line,
        receiver: &mut Receiver,
        total: u64,
    ) -> Said<(String, String)> {
        (self.progress)(0, total);
        let mut measured = Instant::now();
        let (mut bytes, mut grown) = (0, Instant::now());
        let mut heard = Instant::now();
        loop {
            self.check_wanted()?;
            receiver.check()?;
            match line.next::<Answer>()? {
                Some(Answer::Copied { label, last_wal }) => return Ok((label, last_wal)),
                Some(Answer::Failed(why)) => return Err(why),
                Some(Answer::Still) => heard = Instant::now(),
                Some(Answer::NoCommand | Answer::Ready { .. }) => {
                    return Err("an answer out of turn".into());
                }
                None if heard.elapsed() > SILENCE => {
                    return Err("its daemon has not been heard any more".into());
                }
                None => {}
            }
            if measured.elapsed() > MEASURE {
                let now = size(directory);
                if now != bytes {
                    (bytes, grown) = (now, Instant::now());
                }
                if grown.elapsed() > STALL {
                    let seconds = STALL.as_secs();
                    return Err(format!("nothing was added to the copy for {seconds} s"));
                }
                (self.progress)(bytes.min(total), total);
                measured = Instant::now();
            }
        }
    }

    fn until(
        &self,
        what: &str,
        receiver: &mut Receiver,
        is_so: impl Fn(&Receiver) -> bool,
    ) -> Said<()> {
        let begun = Instant::now();
        while !is_so(receiver) {
            self.check_wanted()?;
            receiver.check()?;
            if begun.elapsed() > WAL {
                return Err(format!(
                    "it took longer than {} s until {what}",
                    WAL.as_secs()
                ));
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    fn check_wanted(&self) -> Said<()> {
        match self.ending.is_set() {
            true => Err("ended".into()),
            false => Ok(()),
        }
    }

    /// Meets the other daemon.
    fn dial(&self) -> Said<Line> {
        let context = self.context;
        let name = context.name(self.from);
        let address: SocketAddr = *context
            .daemons
            .get(usize::from(self.from.0))
            .ok_or_else(|| format!("{name} is no member"))?;
        let failed = |e: std::io::Error| format!("{name}'s daemon at {address}: {e}");
        let stream = TcpStream::connect_timeout(&address, REACH).map_err(failed)?;
        let set = |limit| stream.set_read_timeout(Some(limit)).map_err(failed);
        set(REACH)?;
        stream.set_write_timeout(Some(REACH)).map_err(failed)?;
        let mut line = Line {
            stream,
            frames: Frames::default(),
        };
        line.stream
            .write_all(&handshake::prelude(Purpose::Copy))
            .map_err(failed)?;
        line.say(&Hello {
            cluster: context.cluster.clone(),
            members: context.members.clone(),
            from: context.me,
            to: self.from,
            postgres_port: context.pg_port,
        })?;
        let mut prelude = [0; 8];
        line.stream.read_exact(&mut prelude).map_err(failed)?;
        handshake::purpose(prelude).map_err(|e| format!("{name} at {address}: {e}"))?;
        line.stream.set_read_timeout(Some(LOOK)).map_err(failed)?;
        match line.wait(self.ending)? {
            Welcome::Come { .. } => Ok(line),
            Welcome::Refused(why) => Err(format!("{name} refuses: {why}")),
        }
    }
}

/// The connection.
struct Line {
    stream: TcpStream,
    frames: Frames,
}

impl Line {
    fn say<T: Serialize>(&mut self, what: &T) -> Said<()> {
        self.stream
            .write_all(&encode(what)?)
            .map_err(|e| format!("the connection to its daemon ended: {e}"))
    }

    fn answer(&mut self, ending: &Ending) -> Said<Answer> {
        self.wait(ending)
    }

    fn wait<T: DeserializeOwned>(&mut self, ending: &Ending) -> Said<T> {
        let begun = Instant::now();
        loop {
            if let Some(value) = self.next()? {
                return Ok(value);
            }
            if ending.is_set() || begun.elapsed() > ANSWER {
                return Err("its daemon does not answer".into());
            }
        }
    }

    /// What comes next; none within a short time.
    fn next<T: DeserializeOwned>(&mut self) -> Said<Option<T>> {
        if let Some(value) = self.frames.take()? {
            return Ok(Some(value));
        }
        let mut chunk = [0; 4096];
        match self.stream.read(&mut chunk) {
            Ok(0) => return Err("its daemon closed the connection".into()),
            Ok(n) => self.frames.push(&chunk[..n]),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(format!("the connection to its daemon ended: {e}")),
        }
        self.frames.take()
    }
}

/// A copy under way is called like the data directory, this, and eight hexadecimal digits. Each has a name of its own: a
/// command that could not be killed writes into nobody else's.
const NEW: &str = ".new-";
const WAL_SUFFIX: &str = ".wal";

/// Removes what copies that did not come to their end have left.
fn remove_left_over(data: &Path) -> Said<()> {
    let (Some(parent), Some(name)) = (data.parent(), data.file_name().and_then(|n| n.to_str()))
    else {
        return Ok(());
    };
    let failed = |e: std::io::Error| format!("cannot read {}: {e}", parent.display());
    for entry in std::fs::read_dir(parent).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry
            .file_name()
            .to_str()
            .is_some_and(|e| is_left_over(name, e))
        {
            whole::remove(&entry.path())?;
        }
    }
    Ok(())
}

fn is_left_over(data: &str, entry: &str) -> bool {
    let digits = entry
        .strip_prefix(data)
        .and_then(|rest| rest.strip_prefix(NEW))
        .map(|rest| rest.strip_suffix(WAL_SUFFIX).unwrap_or(rest));
    digits
        .is_some_and(|d| d.len() == 8 && d.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
}

/// The bytes of all files below; what vanishes meanwhile counts for nothing.
fn size(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(m) if m.is_dir() => size(&entry.path()),
            Ok(m) => m.len(),
            Err(_) => 0,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_our_own_is_left_over() {
        assert!(is_left_over("data", "data.new-0123abcd"));
        assert!(is_left_over("data", "data.new-0123abcd.wal"));
        for other in [
            "data",
            "data.new",
            "data.new-",
            "data.new-0123ABCD",
            "data.new-0123abcd0",
            "data.new-0123abcd.bak",
            "data2.new-0123abcd",
            "data.aside-20260101000000",
        ] {
            assert!(!is_left_over("data", other), "{other}");
        }
    }

    #[test]
    fn what_is_left_over_is_removed_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "data",
            "data.new-0123abcd",
            "data.new-0123abcd.wal",
            "data.new-x",
        ] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
            std::fs::write(dir.path().join(name).join("f"), "12345").unwrap();
        }
        assert_eq!(size(dir.path()), 20);
        remove_left_over(&dir.path().join("data")).unwrap();
        let mut left: Vec<String> = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["data", "data.new-x"]);
    }
}
