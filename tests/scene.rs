//! A cluster with clients: set up before a test's body, judged and taken down after it.

use crate::network::Network;
use crate::{Said, programs};
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use yoke::demo::cluster::{Cluster, Plan};
use yoke::demo::picture::Picture;
use yoke::demo::programs::Programs;
use yoke::demo::stage::{Load, PATIENCE, Stage};
use yoke::demo::writer::Database;

/// A cluster mostly waits; more than two at once would take each other's processor.
const AT_ONCE: usize = 2;
static PLAYING: (Mutex<usize>, Condvar) = (Mutex::new(0), Condvar::new());

/// How much of a log is shown when a test fails.
const LOG_LINES: usize = 80;

/// What a test's body plays on.
pub struct Scene {
    /// Nodes, look-out and clients.
    pub stage: Stage,
}

/// What a scene begins with.
#[derive(Default)]
pub struct Setting<'a> {
    /// Hosts in network namespaces instead of this machine alone.
    pub network: Option<&'a Network>,
    /// More lines for every node's configuration.
    pub more: &'a str,
    /// Called when everything is made and nothing runs yet.
    pub before: Option<Before<'a>>,
    /// What the daemons are run by, instead of directly.
    pub wrapper: Option<&'a [&'a str]>,
    /// The body's first state is another one than healthy and in sync.
    pub as_it_comes: bool,
}

impl Setting<'_> {
    /// Much happens one after the other: shorter waits.
    pub const QUICK: Setting<'static> = Setting {
        network: None,
        more: "  decision_timeout=2s\n",
        before: None,
        as_it_comes: false,
        wrapper: None,
    };
}

/// What is done to a cluster before it is started.
pub type Before<'a> = &'a dyn Fn(&Cluster) -> Said<()>;

/// Plays a test's body on a healthy cluster; afterwards everything has to be healthy again, and no acknowledged write lost.
pub fn play(body: impl AsyncFnOnce(&mut Scene) -> Said<()>) {
    play_on(&Setting::default(), body);
}

/// The same on another setting.
pub fn play_on(setting: &Setting<'_>, body: impl AsyncFnOnce(&mut Scene) -> Said<()>) {
    let _place = Place::take();
    let dir = directory();
    // One thread, the test's own: the daemons are told to stop when the thread that started them ends.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap_or_else(|e| panic!("no event loop: {e}"));
    let result = std::panic::catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(perform(setting, dir.path(), body))
    }));
    if !matches!(result, Ok(Ok(()))) {
        show_logs(dir.path());
    }
    match result {
        Ok(Ok(())) => {}
        Ok(Err(why)) => panic!("{why}"),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// One of the places for clusters that run.
struct Place;

impl Place {
    /// Waits for one.
    fn take() -> Place {
        let (playing, changed) = &PLAYING;
        let playing = playing.lock().unwrap_or_else(PoisonError::into_inner);
        let free = changed.wait_while(playing, |playing| *playing >= AT_ONCE);
        *free.unwrap_or_else(PoisonError::into_inner) += 1;
        Place
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let (playing, changed) = &PLAYING;
        *playing.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        changed.notify_one();
    }
}

async fn perform(
    setting: &Setting<'_>,
    dir: &Path,
    body: impl AsyncFnOnce(&mut Scene) -> Said<()>,
) -> Said<()> {
    let mut plan = Plan::local(dir.to_owned(), programs::yoke())?;
    if let Some(network) = setting.network {
        network.place(&mut plan);
    }
    plan.more += setting.more;
    if let Some(wrapper) = setting.wrapper {
        // Whoever runs it may have no way to where it was built.
        plan.program = dir.join("yoke");
        std::fs::copy(programs::yoke(), &plan.program).map_err(|e| e.to_string())?;
        for place in &mut plan.places {
            place.wrapper = wrapper.iter().map(|word| (*word).to_owned()).collect();
        }
    }
    let cluster = Cluster::make(&plan, Programs::find()?)?;
    if let Some(before) = setting.before {
        before(&cluster)?;
    }
    let begun = Instant::now();
    let load = Load {
        clients: 4,
        pause: Duration::from_millis(10),
    };
    let say = move |line: &str| println!("{:8.3} {line}", begun.elapsed().as_secs_f64());
    let stage = Stage::begin(cluster, load, Arc::new(say))?;
    let mut scene = Scene { stage };
    let outcome = scene.run(setting, body).await;
    let primary = scene.stage.watch.now().serving().map(|s| s.node);
    if outcome.is_err() {
        scene.stage.cluster.stop(primary).await?;
        return outcome;
    }
    if setting.as_it_comes {
        return scene.stage.cluster.stop(primary).await;
    }
    let (verdict, mut cluster) = scene.stage.judge(PATIENCE).await;
    println!("{verdict}");
    let stopped = cluster.stop(primary).await;
    match verdict.failure() {
        Some(failure) => Err(failure),
        None => stopped,
    }
}

impl Scene {
    async fn run(
        &mut self,
        setting: &Setting<'_>,
        body: impl AsyncFnOnce(&mut Scene) -> Said<()>,
    ) -> Said<()> {
        if !setting.as_it_comes {
            self.healthy().await?;
            self.writes(20).await?;
        }
        body(self).await
    }

    /// Waits until everything is as it should be.
    ///
    /// # Errors
    /// It is not in time.
    pub async fn healthy(&mut self) -> Said<Arc<Picture>> {
        self.stage.watch.until_healthy(PATIENCE).await
    }

    /// Waits for a state.
    ///
    /// # Errors
    /// It does not come in time.
    pub async fn until(
        &mut self,
        what: &str,
        is_so: impl FnMut(&Picture) -> bool,
    ) -> Said<Arc<Picture>> {
        self.stage.watch.until(what, PATIENCE, is_so).await
    }

    /// Waits for so many more acknowledged writes.
    ///
    /// # Errors
    /// They do not come in time.
    pub async fn writes(&mut self, more: usize) -> Said<()> {
        let ledger = Arc::clone(self.stage.writers.ledger());
        let wanted = ledger.count() + more;
        let deadline = Instant::now() + PATIENCE;
        while ledger.count() < wanted {
            if Instant::now() > deadline {
                return Err(format!("{more} more writes were not acknowledged in time"));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Where a node's PostgreSQL listens.
    pub fn database(&mut self, node: usize) -> Database {
        let node = self.stage.node(node);
        Database {
            ip: node.ip(),
            port: node.pg_port,
        }
    }
}

/// A directory that PostgreSQL's user can enter.
fn directory() -> TempDir {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::Builder::new()
        .prefix("yoke-test-")
        .permissions(std::fs::Permissions::from_mode(0o755))
        .tempdir();
    dir.unwrap_or_else(|e| panic!("no temporary directory: {e}"))
}

fn show_logs(dir: &Path) {
    for log in [
        "1.log",
        "2.log",
        "3.log",
        "1/postgresql.log",
        "2/postgresql.log",
    ] {
        let text = std::fs::read(dir.join(log)).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        println!("---- the end of {log}");
        for line in &lines[lines.len().saturating_sub(LOG_LINES)..] {
            println!("{line}");
        }
    }
}
