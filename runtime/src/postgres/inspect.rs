//! The step `Inspect`: what is on disk, without starting anything.

use crate::postgres::control::{self, Control};
use crate::postgres::find::Binaries;
use crate::postgres::user::PgUser;
use crate::postgres::{Context, Said, log, settings, stamp};
use std::io::ErrorKind;
use std::path::Path;
use yoke_core::step::{DataDirectory, Directory, Inspection};

/// Reads the data directory, the mark and our settings. Blocks on the disk.
///
/// # Errors
/// The status directory cannot be read: then nothing is known.
pub fn inspect(context: &Context) -> Said<Inspection> {
    let mark = context.mark_file();
    let rewriting = mark
        .try_exists()
        .map_err(|e| format!("cannot look for {}: {e}", mark.display()))?;
    Ok(Inspection {
        rewriting,
        directory: directory(context),
        written: settings::read(context)?.map(|written| written.settings),
        last_words: log::last_words_of_run(&context.log_file(), &context.hba_file()),
    })
}

fn directory(context: &Context) -> Directory {
    let data = context.real_data_dir();
    match is_free(&data) {
        Ok(true) => return Directory::Absent,
        Ok(false) => {}
        Err(why) => return Directory::Unusable(why),
    }
    match read(context, &data) {
        Ok(found) => Directory::Data(Box::new(found)),
        Err(why) => Directory::Unusable(why),
    }
}

/// Whether nothing is there, or an empty directory (a new file system's `lost+found` counts as nothing).
pub(crate) fn is_free(data: &Path) -> Said<bool> {
    let entries = match std::fs::read_dir(data) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(true),
        Err(e) => {
            return Err(format!(
                "cannot read the data directory {}: {e}",
                data.display()
            ));
        }
    };
    for entry in entries {
        let entry = entry.map_err(|e| format!("cannot read {}: {e}", data.display()))?;
        if entry.file_name() != "lost+found" {
            return Ok(false);
        }
    }
    Ok(true)
}

fn read(context: &Context, data: &Path) -> Said<DataDirectory> {
    let user = PgUser::of(context)?;
    let binaries = Binaries::of_data(context, data)?;
    let control = Control::read(&binaries, &user, data)?;
    let newest_timeline = control::newest_timeline(data, &control)?;
    Ok(DataDirectory {
        system_id: control.system_id,
        cluster: control.cluster,
        checkpoint: control.checkpoint,
        checkpoint_timeline: control.checkpoint_timeline,
        newest_timeline,
        contradicted: control::contradiction(data, &control)?,
        recovered_to: (control.recovery_timeline, control.recovered_to),
        rewindable: control.rewindable,
        never_used: control.never_used(newest_timeline.0),
        stamp: stamp::read(data)?,
    })
}
