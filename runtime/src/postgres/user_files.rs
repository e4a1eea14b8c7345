//! The user's configuration files, and the last copies of them that PostgreSQL accepted. The files are never written.
//!
//! One bad line, and a reload changes nothing, the gate's change included; in the access rules, and a start fails. So
//! whatever PostgreSQL does not accept is told, and our files are written over the copy instead, until it is right again.
//! Of the settings a trial run of `postgres` says what it accepts; of access rules and user map only a running server
//! does: they are tried there, and a start goes by the copy.

use crate::postgres::conf::{self, Conf, marker};
use crate::postgres::find::Binaries;
use crate::postgres::processes::runs_its_own;
use crate::postgres::user::{Child, PgUser};
use crate::postgres::{Context, Said, files, hba};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What is kept of all three files.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) conf: Copy,
    pub(crate) rules: Copy,
    pub(crate) map: Copy,
}

/// What is kept of one of them. Texts are flat: what a file includes is put in the directive's place.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub(crate) struct Copy {
    /// The last text that PostgreSQL accepted.
    pub(crate) accepted: Option<String>,
    /// The user's text since, if it does not accept that: the text, and why.
    pub(crate) refused: Option<(String, String)>,
}

/// What the user's files say now; an error where one cannot be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct UserFiles {
    pub(crate) conf: Said<String>,
    pub(crate) rules: Said<String>,
    pub(crate) map: Said<String>,
}

/// What our files are written for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Moment {
    /// A start: nothing tells whether new access rules are right.
    Start,
    /// A reload, after which the server tells.
    Reload,
}

impl Kept {
    /// Reads it; nothing is kept yet if there is none, or none that is whole.
    pub(crate) fn read(context: &Context) -> Said<Kept> {
        let text = files::read_optional(&context.kept_file())?;
        Ok(text
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default())
    }

    /// Writes it, durably.
    pub(crate) fn write(&self, context: &Context, user: &PgUser) -> Said<()> {
        let text = serde_json::to_string(self)
            .map_err(|e| format!("cannot put the configuration's copy into words: {e}"))?;
        files::replace(&context.kept_file(), text.as_bytes(), user)
    }

    /// What was refused, for people.
    pub(crate) fn refusals(&self) -> Vec<String> {
        let files = [
            ("postgresql.conf", &self.conf),
            ("pg_hba.conf", &self.rules),
            ("pg_ident.conf", &self.map),
        ];
        files
            .into_iter()
            .filter_map(|(name, copy)| Some((name, copy.refused.as_ref()?)))
            .map(|(name, (_, why))| {
                format!(
                    "your {name} is not taken: {why}; until that is corrected, PostgreSQL goes on with the last one that it accepted"
                )
            })
            .collect()
    }
}

impl Copy {
    /// The user's text was accepted.
    pub(crate) fn accept(&mut self, text: &str) {
        if self.accepted.as_deref() != Some(text) {
            self.accepted = Some(text.to_owned());
        }
        self.refused.take_if(|(refused, _)| refused == text);
    }

    /// It was not.
    pub(crate) fn refuse(&mut self, text: &str, why: &str) {
        self.refused = Some((text.to_owned(), why.to_owned()));
    }

    /// The settings to go by, as `judge` says; none: the user's own file.
    ///
    /// # Errors
    /// They are not accepted, and nothing was before.
    pub(crate) fn settings(
        &mut self,
        now: &Said<String>,
        judge: impl FnOnce(&str) -> Said<()>,
    ) -> Said<Option<String>> {
        let why = match now {
            Err(why) => why.clone(),
            Ok(text) if self.accepted.as_ref() == Some(text) => {
                self.refused = None;
                return Ok(None);
            }
            Ok(text) => match &self.refused {
                Some((refused, why)) if refused == text => why.clone(),
                _ => match judge(text) {
                    Ok(()) => {
                        self.refused = None;
                        self.accept(text);
                        return Ok(None);
                    }
                    Err(why) => why,
                },
            },
        };
        self.refuse(now.as_ref().unwrap_or(&why), &why);
        self.accepted.clone().map(Some).ok_or(why)
    }

    /// The rules to go by.
    ///
    /// # Errors
    /// They cannot be used, and nothing was before.
    pub(crate) fn rules(&mut self, now: &Said<String>, moment: Moment) -> Said<String> {
        match (now, &self.accepted, &self.refused) {
            (Err(why), accepted, _) => {
                let (why, accepted) = (why.clone(), accepted.clone());
                self.refuse(&why, &why);
                accepted.ok_or(why)
            }
            (Ok(text), Some(accepted), _) if accepted == text => {
                self.refused = None;
                Ok(text.clone())
            }
            (Ok(text), Some(accepted), Some((refused, _))) if refused == text => {
                Ok(accepted.clone())
            }
            (Ok(_), Some(accepted), _) if moment == Moment::Start => Ok(accepted.clone()),
            (Ok(text), ..) => {
                self.refused = None;
                Ok(text.clone())
            }
        }
    }
}

impl UserFiles {
    /// Reads them all.
    pub(crate) fn read(user: &PgUser, data: &Path, conf: &Conf) -> UserFiles {
        UserFiles {
            conf: conf::flat(data),
            rules: rules(user, data, conf),
            map: map(user, data, conf),
        }
    }
}

fn rules(user: &PgUser, data: &Path, conf: &Conf) -> Said<String> {
    let file = conf.file("hba_file", data, "pg_hba.conf");
    user.looking(|| hba::flat(&file))?.ok_or_else(|| {
        format!(
            "there are no access rules at {}: put your pg_hba.conf there",
            file.display()
        )
    })
}

/// PostgreSQL does without the whole user map, ours included, for one bad line: so it is looked at before.
fn map(user: &PgUser, data: &Path, conf: &Conf) -> Said<String> {
    let file = conf.file("ident_file", data, "pg_ident.conf");
    let Some(text) = user.looking(|| files::read_optional(&file))? else {
        return Ok(String::new());
    };
    for (at, line) in text.lines().enumerate() {
        let line = line.trim_start();
        let is_rule = !line.is_empty() && !line.starts_with(['#', '@']);
        let is_include = line.starts_with("include");
        if is_rule && !is_include && line.split_whitespace().count() < 3 {
            return Err(format!(
                "{}, line {}: a map's name, a system user and a database user were expected",
                file.display(),
                at + 1
            ));
        }
    }
    Ok(format!("{}\n{text}", marker(&file, 1)))
}

/// The running server has said what it makes of access rules and user map: of each, the line of ours that it cannot read.
/// `is_read`: it has read what is there now. Keeps what it accepted; says what it refuses, by the user's own lines.
pub(crate) fn judged(
    context: &Context,
    errors: [Option<(usize, String)>; 2],
    is_read: bool,
) -> Said<(Option<String>, Option<String>)> {
    let mut kept = Kept::read(context)?;
    let before = kept.clone();
    let ours = [
        (context.hba_file(), &mut kept.rules),
        (context.ident_file(), &mut kept.map),
    ];
    let mut refused = Vec::new();
    for ((file, copy), error) in ours.into_iter().zip(errors) {
        let text = files::read_optional(&file)?.unwrap_or_default();
        let why = error.map(|(line, error)| {
            let place = conf::placed(&text).nth(line.saturating_sub(1));
            let place = place.map_or_else(String::new, |(_, place)| place);
            format!("{place}: {error}")
        });
        match (hba::users_part(&text), &why) {
            (Some(users), Some(why)) => copy.refuse(users, why),
            (Some(users), None) if is_read => copy.accept(users),
            _ => {}
        }
        refused.push(why);
    }
    if kept != before {
        kept.write(context, &PgUser::of(context)?)?;
    }
    let mut refused = refused.into_iter();
    Ok((refused.next().flatten(), refused.next().flatten()))
}

/// Has PostgreSQL read our configuration file as it would be, without starting anything.
///
/// # Errors
/// Its words.
pub(crate) fn try_out(
    context: &Context,
    user: &PgUser,
    binaries: &Binaries,
    data: &Path,
    candidate: &str,
    conf: &Conf,
) -> Said<()> {
    let file = context.trial_file();
    files::replace(&file, candidate.as_bytes(), user)?;
    let program = binaries.program("postgres");
    let own = runs_its_own();
    let output = user
        .command(&program, Child::Helper)
        .args(["-C", "data_directory", "-D"])
        .arg(data)
        .arg("-c")
        .arg(format!("config_file={}", file.display()))
        .current_dir(data)
        .stdin(std::process::Stdio::null())
        .output();
    drop(own);
    files::remove(&file)?;
    let output = output.map_err(|e| format!("cannot run {}: {e}", program.display()))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(words(&String::from_utf8_lossy(&output.stderr), conf)),
    }
}

/// What `postgres` said, without times and what only says that it said something.
fn words(said: &str, conf: &Conf) -> String {
    let lines: Vec<&str> = said
        .lines()
        .filter_map(|line| {
            ["LOG:  ", "ERROR:  ", "FATAL:  ", "HINT:  ", "DETAIL:  "]
                .into_iter()
                .find_map(|severity| Some(line.split_once(severity)?.1))
        })
        .filter(|line| !line.ends_with("contains errors"))
        .collect();
    let text = match lines.as_slice() {
        [] => said.trim().to_owned(),
        lines => lines.join(" / "),
    };
    if text.contains(" line ") {
        return text;
    }
    // Of a value it does not say where it stands.
    let name = text.split('"').nth(1).unwrap_or_default();
    match conf.place(&name.to_ascii_lowercase()) {
        Some(place) => format!("{text} ({place})"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_kept_once_they_were_accepted() {
        let mut copy = Copy::default();
        let bad = || Err::<(), _>("line 3".to_owned());
        let text = |text: &str| Ok(text.to_owned());
        assert_eq!(copy.settings(&text("x"), |_| bad()), Err("line 3".into()));
        assert_eq!(copy.settings(&text("a"), |_| Ok(())), Ok(None));
        assert_eq!(copy.refused, None);
        assert_eq!(copy.settings(&text("b"), |_| bad()), Ok(Some("a".into())));
        assert_eq!(copy.refused, Some(("b".into(), "line 3".into())));
        // It is not asked again, either way.
        let never = |_: &str| panic!("judged twice");
        assert_eq!(copy.settings(&text("b"), never), Ok(Some("a".into())));
        assert_eq!(copy.settings(&text("a"), never), Ok(None));
        assert_eq!(copy.refused, None);
        let gone = Err("it is missing".to_owned());
        assert_eq!(copy.settings(&gone, never), Ok(Some("a".into())));
        assert_eq!(copy.settings(&text("c"), |_| Ok(())), Ok(None));
        assert_eq!(copy.accepted.as_deref(), Some("c"));
    }

    #[test]
    fn rules_are_tried_by_a_running_server_only() {
        let mut copy = Copy::default();
        let text = |text: &str| Ok(text.to_owned());
        assert_eq!(copy.rules(&text("a"), Moment::Start), text("a"));
        copy.accept("a");
        assert_eq!(copy.rules(&text("b"), Moment::Start), text("a"));
        assert_eq!(copy.rules(&text("b"), Moment::Reload), text("b"));
        copy.refuse("b", "line 3");
        assert_eq!(copy.rules(&text("b"), Moment::Reload), text("a"));
        assert_eq!(copy.rules(&text("c"), Moment::Reload), text("c"));
        assert_eq!(copy.refused, None);
        let gone = Err("it is missing".to_owned());
        assert_eq!(copy.rules(&gone, Moment::Reload), text("a"));
        assert!(copy.refused.is_some());
        assert_eq!(copy.rules(&text("a"), Moment::Reload), text("a"));
        assert_eq!(copy.refused, None);
    }

    #[test]
    fn postgresqls_words_are_told_with_their_place() {
        let conf = Conf::of(
            &format!("{}\nwork_mem = abc\n", marker(Path::new("/x.conf"), 7)),
            Path::new("/nowhere"),
        )
        .expect("readable");
        let said = "2026-11-23 18:00:00.000 GMT [1] LOG:  invalid value for parameter \"work_mem\": \"abc\"\n2026-11-23 18:00:00.000 GMT [1] FATAL:  configuration file \"/x.conf\" contains errors\n";
        assert_eq!(
            words(said, &conf),
            "invalid value for parameter \"work_mem\": \"abc\" (/x.conf, line 7)"
        );
        let said = "t LOG:  syntax error in file \"/x.conf\" line 3, near token \"x\"\nt FATAL:  configuration file \"/x.conf\" contains errors\n";
        assert_eq!(
            words(said, &conf),
            "syntax error in file \"/x.conf\" line 3, near token \"x\""
        );
        assert_eq!(words("something else\n", &conf), "something else");
    }
}
