//! The guard's steps that work on files. Each is durable when it is `Done`. Blocking: never called from the guard's loop.

use crate::copying::ask::Copying;
use crate::postgres::settings::Written;
use crate::postgres::user::PgUser;
use crate::postgres::{Context, Said, Upstream, clone, files, inspect, settings, stamp};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use yoke_core::step::{Outcome, Step};

/// Says to who carries out a step that it shall end.
#[derive(Clone, Default, Debug)]
pub struct Ending(Arc<AtomicBool>);

impl Ending {
    /// It shall.
    pub fn end(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether it shall.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Carries out a step on files. `Start`, `Reload`, `Promote` and `Stop` are the guard's own: of `Promote` this makes the
/// file that goes before the signal. `say` gets what people should know besides the outcome.
pub fn execute(
    context: &Context,
    step: &Step,
    upstream: Option<Upstream>,
    ending: &Ending,
    progress: &mut dyn FnMut(u64, u64),
    say: &mut dyn FnMut(String),
) -> Outcome {
    if ending.is_set() {
        return Outcome::Ended;
    }
    match carry_out(context, step, upstream, ending, progress, say) {
        Ok(()) => Outcome::Done,
        Err(_) if ending.is_set() => Outcome::Ended,
        Err(sentence) => Outcome::Failed(sentence),
    }
}

fn carry_out(
    context: &Context,
    step: &Step,
    upstream: Option<Upstream>,
    ending: &Ending,
    progress: &mut dyn FnMut(u64, u64),
    say: &mut dyn FnMut(String),
) -> Said<()> {
    let user = PgUser::of(context)?;
    let data = context.real_data_dir();
    match step {
        Step::WriteStamp(contents) => {
            if !data.join("PG_VERSION").is_file() {
                return Err(format!(
                    "{} is no PostgreSQL data directory: there is nothing to stamp",
                    data.display()
                ));
            }
            stamp::write(&data, contents, &user)
        }
        Step::MarkRewriting => files::replace(
            &context.mark_file(),
            b"The data directory is being rewritten from another member's: it must not be started.\n",
            &user,
        ),
        Step::ClearMark => files::remove(&context.mark_file()),
        Step::SetAside => set_aside(&data),
        Step::Clone { from } => {
            let upstream = upstream.ok_or_else(|| {
                format!("the address of {}'s database is not known yet: it is learned once that member is connected", context.name(*from))
            })?;
            let mut copying = Copying {
                context,
                user: &user,
                from: *from,
                upstream: &upstream,
                data: &data,
                ending,
                progress,
            };
            clone::clone(&mut copying, say)
        }
        Step::WriteSettings(wanted) => settings::write(
            context,
            &user,
            &Written {
                settings: wanted.clone(),
                upstream: upstream.filter(|_| wanted.follow.is_some()),
            },
        ),
        Step::Promote => files::replace(&data.join("promote"), b"", &user),
        Step::Start | Step::Reload | Step::Stop(_) => {
            Err("this step is the guard process's own".into())
        }
        Step::Inspect
        | Step::Observe
        | Step::EndSessions
        | Step::Canary
        | Step::Nudge
        | Step::Checkpoint => Err("this step is the daemon's".into()),
    }
}

/// Renames the data directory; it is kept next to its place.
fn set_aside(data: &Path) -> Said<()> {
    if inspect::is_free(data)? {
        return Err(format!(
            "there is no data at {} to set aside",
            data.display()
        ));
    }
    refuse_mount_point(data)?;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let base = files::beside(data, &format!(".aside-{}", timestamp(now.as_secs())));
    let free = |path: &PathBuf| !path.exists();
    let target = std::iter::once(base.clone())
        .chain((2..1000).map(|n| files::beside(&base, &format!("-{n}"))))
        .find(free)
        .ok_or_else(|| format!("no free name like {} is left", base.display()))?;
    files::rename(data, &target)
}

/// Another file system's root cannot be renamed, nor be put in the place of.
pub(crate) fn refuse_mount_point(data: &Path) -> Said<()> {
    use std::os::unix::fs::MetadataExt;
    let device = |path: &Path| std::fs::metadata(path).map(|m| m.dev()).ok();
    let parent = data.parent().unwrap_or(Path::new("/"));
    match (device(data), device(parent)) {
        (Some(own), Some(above)) if own != above => Err(format!(
            "{} is a mount point and cannot be renamed: put the data into a directory below it, and name that by data_dir",
            data.display()
        )),
        _ => Ok(()),
    }
}

/// `YYYYMMDDhhmmss` in UTC, of seconds since 1970.
fn timestamp(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days to a civil date, in years that begin with March so that the leap day is the last.
    let days = days + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!(
        "{year:04}{month:02}{day:02}{:02}{:02}{:02}",
        rest / 3_600,
        rest / 60 % 60,
        rest % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_civil() {
        assert_eq!(timestamp(0), "19700101000000");
        assert_eq!(timestamp(951_782_399), "20000228235959");
        assert_eq!(timestamp(951_782_400), "20000229000000");
        assert_eq!(timestamp(1_795_446_061), "20261123150101");
    }
}
