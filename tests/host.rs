//! One host with a configuration and an empty database, to be spoiled; its daemon is run, or `yoke check`.

#[path = "../runtime/tests/support/ports.rs"]
mod ports;

use crate::Said;
use crate::programs::yoke;
use ports::free_port;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use yoke::config::Configuration;
use yoke::demo::programs::Programs;

/// How long a daemon may take to refuse its start, or to do what is waited for.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(20);

/// A primary's host.
pub struct Host {
    dir: TempDir,
    ports: [u16; 4],
    /// Kept for other hosts, as long as there is one.
    template: Option<Arc<TempDir>>,
}

/// A daemon that ends with this value, and its guard with it.
pub struct Daemon {
    child: Child,
    status_dir: PathBuf,
    log: PathBuf,
}

impl Host {
    /// With a fresh database that PostgreSQL's account owns.
    ///
    /// # Panics
    /// It cannot be made.
    pub fn fresh() -> Host {
        let mut host = Host::empty();
        let template = template();
        let copied = Command::new("cp")
            .arg("-a")
            .arg(template.path())
            .arg(host.data())
            .status();
        assert!(copied.is_ok_and(|status| status.success()));
        host.template = Some(template);
        host
    }

    /// Without data.
    ///
    /// # Panics
    /// It cannot be made.
    pub fn empty() -> Host {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::Builder::new()
            .prefix("yoke-host-")
            .permissions(std::fs::Permissions::from_mode(0o755))
            .tempdir()
            .unwrap_or_else(|e| panic!("no temporary directory: {e}"));
        let host = Host {
            dir,
            ports: [(); 4].map(|()| free_port()),
            template: None,
        };
        let account = Programs::find().unwrap_or_else(|e| panic!("{e}")).account;
        for name in ["pg", "status"] {
            let made = host.path(name);
            std::fs::create_dir(&made)
                .and_then(|()| account.own(&made))
                .unwrap_or_else(|e| panic!("{}: {e}", made.display()));
        }
        host.write(&host.text());
        host
    }

    /// A path in its directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.path("pg/data")
    }

    /// The configuration's file.
    pub fn config(&self) -> PathBuf {
        self.path("yoke.ini")
    }

    /// The ports of the three daemons, and PostgreSQL's.
    pub fn ports(&self) -> [u16; 4] {
        self.ports
    }

    /// A right configuration.
    pub fn text(&self) -> String {
        let [primary, secondary, monitor, postgres] = self.ports;
        let here = self.dir.path().display();
        format!(
            "[config]\nrole=primary\nadvertise_ip=127.0.0.1\nadvertise_port={primary}\ndata_dir={here}/pg/data\n\
             status_dir={here}/status\nprimary=127.0.0.1:{primary}\nsecondary=127.0.0.1:{secondary}\n\
             monitor=127.0.0.1:{monitor}\npg_port={postgres}\n"
        )
    }

    /// Writes another.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn write(&self, text: &str) {
        std::fs::write(self.config(), text).unwrap_or_else(|e| panic!("{e}"));
    }

    /// Adds a line, or puts one in the place of the same key.
    pub fn set(&self, key: &str, value: &str) {
        let text = self.text();
        let others = text.lines().filter(|l| !l.starts_with(&format!("{key}=")));
        let lines: Vec<&str> = others.collect();
        self.write(&format!("{}\n{key}={value}\n", lines.join("\n")));
    }

    /// The configuration as the daemon reads it.
    ///
    /// # Panics
    /// It is wrong.
    pub fn read(&self) -> Configuration {
        Configuration::load(&self.config()).unwrap_or_else(|e| panic!("{e}"))
    }

    /// Runs a daemon that is to refuse its start; what it says. `before` is a shell's line that is run first, in a mount
    /// namespace of its own.
    ///
    /// # Errors
    /// It does not end, or not with a complaint.
    pub fn refused(&self, before: &str) -> Said<String> {
        let output = finish(self.command(before, &[&self.config()]))?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        match output.status.code() {
            Some(1) => Ok(said),
            _ => Err(format!("it ended with {}: {said}", output.status)),
        }
    }

    /// Runs `yoke check`: whether it found no error, and what it printed.
    ///
    /// # Errors
    /// It does not end.
    pub fn check(&self, before: &str) -> Said<(bool, String)> {
        let output = finish(self.command(before, &[Path::new("check"), &self.config()]))?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok((output.status.success(), said))
    }

    /// Starts a daemon.
    ///
    /// # Panics
    /// It cannot be started.
    pub fn start(&self, before: &str) -> Daemon {
        let log = self.path("log");
        let file = std::fs::File::create(&log).unwrap_or_else(|e| panic!("{e}"));
        let mut command = self.command(before, &[&self.config()]);
        Daemon {
            child: command
                .stderr(file)
                .spawn()
                .unwrap_or_else(|e| panic!("{e}")),
            status_dir: self.read().status_dir,
            log,
        }
    }

    fn command(&self, before: &str, arguments: &[&Path]) -> Command {
        let mut command = match before {
            "" => Command::new(yoke()),
            before => {
                let mut command = Command::new("unshare");
                command
                    .args(["--mount", "sh", "-c"])
                    .arg(format!("{before}\nexec \"$0\" \"$@\""))
                    .arg(yoke());
                command
            }
        };
        command
            .args(arguments)
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command
    }
}

impl Daemon {
    /// Waits until its log says this.
    ///
    /// # Errors
    /// It does not in time, or the daemon has ended.
    pub fn until_it_says(&mut self, what: &str) -> Said<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let log = std::fs::read(&self.log).map_err(|e| e.to_string())?;
            let log = String::from_utf8_lossy(&log);
            if log.contains(what) {
                return Ok(());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!(
                    "it ended ({status}) and did not say `{what}`: {log}"
                ));
            }
            if Instant::now() > deadline {
                return Err(format!("it does not say `{what}`: {log}"));
            }
            std::thread::sleep(LOOK);
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // The guard first: it ends its PostgreSQL with it. Best effort on both: a test that failed may have ended them.
        let holder =
            std::fs::read_to_string(self.status_dir.join("guard.lock")).unwrap_or_default();
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(pid) = holder.split(' ').next().and_then(|p| p.parse().ok()) {
            let _ = nix::sys::signal::kill(
                nix::unistd::Pid::from_raw(pid),
                nix::sys::signal::Signal::SIGTERM,
            );
        }
    }
}

/// An empty database, made once; owned by PostgreSQL's account.
fn template() -> Arc<TempDir> {
    static MADE: Mutex<Weak<TempDir>> = Mutex::new(Weak::new());
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    made.upgrade().unwrap_or_else(|| {
        let found = Programs::find().unwrap_or_else(|e| panic!("{e}"));
        let dir = tempfile::tempdir().unwrap_or_else(|e| panic!("no temporary directory: {e}"));
        let output = found
            .account
            .own(dir.path())
            .and_then(|()| {
                let mut initdb = found.account.command(&found.dir.join("initdb"));
                initdb
                    .args(["--auth=trust", "--no-sync", "-D"])
                    .arg(dir.path());
                initdb.output()
            })
            .unwrap_or_else(|e| panic!("initdb: {e}"));
        assert!(output.status.success(), "{output:?}");
        let dir = Arc::new(dir);
        *made = Arc::downgrade(&dir);
        dir
    })
}

/// Waits for a program that should end by itself.
fn finish(mut command: Command) -> Said<Output> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| e.to_string())?;
    let deadline = Instant::now() + PATIENCE;
    while child.try_wait().map_err(|e| e.to_string())?.is_none() {
        if Instant::now() > deadline {
            let _ = child.kill();
            let mut said = String::new();
            if let Some(mut stderr) = child.stderr.take() {
                let _ = stderr.read_to_string(&mut said);
            }
            return Err(format!("it did not end: {said}"));
        }
        std::thread::sleep(LOOK);
    }
    child.wait_with_output().map_err(|e| e.to_string())
}
