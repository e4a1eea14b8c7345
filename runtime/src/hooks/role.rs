//! The role command: told of each change, and once at the daemon's start, one at a time, on a thread of its own. Where
//! roles change faster than it ends, it is told the newest.

use super::LIMIT;
use super::run::{Hook, run};
use super::standing::Role;
use crate::clock;
use crate::postgres::execute::Ending;
use serde::{Deserialize, Serialize};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use tracing::{info, warn};
use yoke_core::Instant;

/// The thread, as the driver has it.
#[derive(Debug)]
pub struct Roles {
    /// The last one that it was given.
    last: Option<Role>,
    to_tell: Sender<Role>,
    told: Arc<Mutex<Option<Told>>>,
}

/// What the command was told last.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Told {
    /// Which role.
    pub role: Role,
    /// When.
    pub at: Instant,
    /// It has not ended yet.
    pub under_way: bool,
    /// What became of it, if it did not succeed.
    pub failed: Option<String>,
}

impl Roles {
    /// Starts the thread. `environment` is the command's.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn start(
        command: String,
        environment: Vec<(&'static str, String)>,
    ) -> std::io::Result<Roles> {
        let (to_tell, roles) = channel();
        let told = Arc::new(Mutex::new(None));
        let noted = Arc::clone(&told);
        std::thread::Builder::new()
            .name("role command".into())
            .spawn(move || tell_all(&command, &environment, &roles, &noted))?;
        Ok(Roles {
            last: None,
            to_tell,
            told,
        })
    }

    /// This member is this now. Never waits.
    pub fn is(&mut self, role: Role) {
        if self.last.replace(role) != Some(role) {
            // The thread ends with the daemon only.
            let _ = self.to_tell.send(role);
        }
    }

    /// For operators.
    pub fn told(&self) -> Option<Told> {
        self.told
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

fn tell_all(
    command: &str,
    environment: &[(&'static str, String)],
    roles: &Receiver<Role>,
    told: &Mutex<Option<Told>>,
) {
    let mut before = None;
    while let Ok(first) = roles.recv() {
        let role = roles.try_iter().last().unwrap_or(first);
        if before.replace(role) == Some(role) {
            continue; // there and back while the command ran
        }
        let note = |under_way: bool, failed| {
            let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
            let at = match &*told {
                Some(told) if !under_way => told.at,
                _ => clock::now(),
            };
            *told = Some(Told {
                role,
                at,
                under_way,
                failed,
            });
        };
        note(true, None);
        let mut environment = environment.to_vec();
        environment.push(("YOKE_ROLE", role.to_string()));
        let hook = Hook {
            line: format!("{command} {role}"),
            environment,
            limit: Some(LIMIT),
        };
        let ran = run(&hook, &Ending::default(), &mut |line| {
            info!("role command ({role}): {line}");
        });
        match ran.succeeded() {
            true => info!("role command ({role}) {ran}"),
            false => warn!("role command ({role}) {ran}"),
        }
        note(false, (!ran.succeeded()).then(|| ran.to_string()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::time::{Duration, Instant};

    fn until(what: &str, is_so: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn text(path: &Path) -> String {
        std::fs::read_to_string(path).unwrap_or_default()
    }

    #[test]
    fn it_is_told_once_of_each_and_of_the_newest_while_it_is_slow() {
        let dir = tempfile::tempdir().unwrap();
        let (log, go) = (dir.path().join("log"), dir.path().join("go"));
        let wait = format!("until [ -e {} ]; do sleep 0.01; done", go.display());
        let command = format!(
            "{wait}; echo $YOKE_ROLE $YOKE_MEMBER >>{} ; true",
            log.display()
        );
        let mut roles = Roles::start(command, vec![("YOKE_MEMBER", "data1".into())]).unwrap();
        assert_eq!(roles.told(), None);
        roles.is(Role::Slave);
        roles.is(Role::Slave);
        until("it begins", || {
            roles
                .told()
                .is_some_and(|t| t.role == Role::Slave && t.under_way)
        });
        roles.is(Role::Single);
        roles.is(Role::Master);
        std::fs::write(&go, "").unwrap();
        until("it ends", || {
            roles
                .told()
                .is_some_and(|t| t.role == Role::Master && !t.under_way)
        });
        assert_eq!(text(&log), "slave data1\nmaster data1\n");
        assert_eq!(roles.told().unwrap().failed, None);
    }

    #[test]
    fn what_became_of_it_is_shown() {
        let mut roles = Roles::start("exit 4; :".into(), Vec::new()).unwrap();
        roles.is(Role::Single);
        until("it fails", || {
            let failed = roles.told().and_then(|t| t.failed).unwrap_or_default();
            failed.starts_with("failed (exit 4)")
        });
    }
}
