//! The guard's steps that work on files. Each is durable when it is `Done`. Blocking: never called from the guard's loop.

use crate::copying::ask::Copying;
use crate::postgres::settings::Written;
use crate::postgres::user::PgUser;
use crate::postgres::user_files::Moment;
use crate::postgres::{
    Context, Said, Upstream, clone, files, initdb, inspect, lost, own_files, rewind, settings,
    stamp,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use yoke_core::member::MemberId;
use yoke_core::step::{Leaving, Outcome, Step};

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
        Step::SetAside(leaving) => set_aside(context, &user, &data, leaving),
        Step::Clone { from } => {
            let upstream = upstream.ok_or_else(|| unknown(context, *from))?;
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
        Step::Initdb => initdb::initdb(context, &user, &data, ending),
        Step::Rewind {
            from,
            timeline,
            drops,
        } => {
            let upstream = upstream.ok_or_else(|| unknown(context, *from))?;
            rewind::Rewind {
                context,
                user: &user,
                data: &data,
                from: &upstream,
                ending,
            }
            .carry_out(*timeline, drops, progress)
        }
        Step::WriteSettings(wanted) => settings::write(
            context,
            &user,
            &Written {
                settings: wanted.clone(),
                upstream: upstream.filter(|_| wanted.follow.is_some()),
            },
            Moment::Reload,
        )
        .map(|_| ()),
        Step::Promote => files::replace(&data.join("promote"), b"", &user),
        Step::Start | Step::Reload | Step::Stop(_) => {
            Err("this step is the guard process's own".into())
        }
        Step::Inspect
        | Step::Observe
        | Step::EndSessions
        | Step::Canary
        | Step::Nudge
        | Step::Checkpoint
        | Step::BeginCheckpoint
        | Step::Slots { .. } => Err("this step is the daemon's".into()),
    }
}

fn unknown(context: &Context, member: MemberId) -> String {
    format!(
        "the address of {}'s database is not known yet: it is learned once that member is connected",
        context.name(member)
    )
}

/// Renames the data directory; it is kept next to its place.
fn set_aside(context: &Context, user: &PgUser, data: &Path, leaving: &Leaving) -> Said<()> {
    if inspect::is_free(data)? {
        return Err(format!(
            "there is no data at {} to set aside",
            data.display()
        ));
    }
    refuse_mount_point(data)?;
    // What a rewind that broke off has left next to it.
    own_files::put_back(data)?;
    clone::remove_tree(&files::beside(data, ".wal"))?;
    let base = files::beside(data, &format!(".aside-{}", lost::now()));
    let free = |path: &PathBuf| !path.exists();
    let target = std::iter::once(base.clone())
        .chain((2..1000).map(|n| files::beside(&base, &format!("-{n}"))))
        .find(free)
        .ok_or_else(|| format!("no free name like {} is left", base.display()))?;
    lost::note_aside(context, user, leaving, &target)?;
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
