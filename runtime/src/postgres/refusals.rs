//! What of the user's settings is refused, and what has no effect or needs care.

use crate::postgres::Said;
use crate::postgres::conf::Conf;

/// Refuses what cannot be kept available: each with its place and what to do.
///
/// # Errors
/// The first setting that is refused.
pub(crate) fn refuse(conf: &Conf) -> Said<()> {
    let at = |name: &str| conf.place(name).unwrap_or("its file").to_owned();
    if conf.switch("fsync") == Some(false) {
        return Err(format!(
            "fsync is off ({}): a crash would lose acknowledged writes; set it to on",
            at("fsync")
        ));
    }
    let delay = conf.get("recovery_min_apply_delay").unwrap_or("0");
    if delay.starts_with(|c: char| ('1'..='9').contains(&c)) {
        return Err(format!(
            "recovery_min_apply_delay is {delay} ({}): a delayed standby cannot take over; remove it",
            at("recovery_min_apply_delay")
        ));
    }
    let is_target = |name: &&str| {
        name.starts_with("recovery_target")
            && !matches!(
                *name,
                "recovery_target_timeline" | "recovery_target_action" | "recovery_target_inclusive"
            )
    };
    match conf
        .names()
        .find(|name| is_target(name) && conf.get(name).is_some_and(|v| !v.is_empty()))
    {
        Some(name) => Err(format!(
            "{name} is set ({}): a standby would stop replaying there; remove it",
            at(name)
        )),
        None => Ok(()),
    }
}

/// What the user sets and what has no effect or needs care: each in one sentence.
pub(crate) fn notes(conf: &Conf, port: u16) -> Vec<String> {
    let mut notes = Vec::new();
    let mut without_effect = |name: &str, is_so: bool| {
        if let (true, Some(value), Some(place)) = (is_so, conf.get(name), conf.place(name)) {
            notes.push(format!(
                "{name} = '{value}' ({place}) has no effect: Yoke sets it itself"
            ));
        }
    };
    for name in [
        "synchronous_standby_names",
        "primary_conninfo",
        "primary_slot_name",
    ] {
        without_effect(name, conf.get(name).is_some_and(|v| !v.is_empty()));
    }
    let weak = ["off", "false", "no", "0", "local", "remote_write"];
    let commit = conf.get("synchronous_commit").map(str::to_ascii_lowercase);
    without_effect(
        "synchronous_commit",
        commit.is_some_and(|c| weak.contains(&c.as_str())),
    );
    for name in ["full_page_writes", "hot_standby", "wal_log_hints"] {
        without_effect(name, conf.switch(name) == Some(false));
    }
    without_effect(
        "restart_after_crash",
        conf.switch("restart_after_crash") == Some(true),
    );
    without_effect("wal_level", conf.get("wal_level") == Some("minimal"));
    without_effect(
        "port",
        conf.get("port").is_some_and(|p| p != port.to_string()),
    );
    let archives = matches!(
        conf.get("archive_mode"),
        Some("on" | "always" | "true" | "yes" | "1")
    );
    let with = ["archive_library", "archive_command"]
        .into_iter()
        .find(|name| conf.get(name).is_some_and(|v| !v.is_empty()));
    if let (true, Some(name)) = (archives, with) {
        notes.push(format!(
            "{name} is set ({}): whoever is primary archives; if both hosts write into one archive, the command must refuse to replace a file by another's",
            conf.place(name).unwrap_or_default()
        ));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::conf::marker;
    use std::path::Path;

    #[test]
    fn what_cannot_be_kept_available_is_refused_with_its_place() {
        for (text, refused) in [
            ("fsync = off", true),
            ("fsync = 'f'", true),
            ("fsync = on", false),
            ("recovery_min_apply_delay = 5min", true),
            ("recovery_min_apply_delay = 0", false),
            ("recovery_target_lsn = '0/1'", true),
            ("recovery_target_timeline = 'latest'", false),
        ] {
            let mut conf = Conf::default();
            conf.take_in(&format!("{}\n\n{text}", marker(Path::new("/x.conf"), 1)));
            match refuse(&conf) {
                Ok(()) => assert!(!refused, "{text}"),
                Err(why) => {
                    assert!(refused && why.contains("/x.conf, line 2"), "{text}: {why}");
                }
            }
        }
    }
}
