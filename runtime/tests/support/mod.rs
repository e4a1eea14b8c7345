//! A host with a real PostgreSQL in a directory of its own, driven by bare steps through a real guard process.
#![allow(dead_code, unreachable_pub)] // each test file uses a part

pub mod cluster;
mod ports;

use ports::free_port;

use nix::sys::signal::{Signal, kill};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio_postgres::NoTls;
use yoke::guard::{GuardLink, GuardReply, GuardRequest};
use yoke::postgres::find::Binaries;
use yoke::postgres::processes::Processes;
use yoke::postgres::user::{Child, PgUser};
use yoke::postgres::{Context, Sessions, Upstream};
use yoke::state_file::{Lock, StatusDir};
use yoke_core::member::{Member, MemberId, MemberKind};
use yoke_core::permission::{GuardView, Lasts, Permission};
use yoke_core::postgres::{Doors, Lsn, Timeline};
use yoke_core::record::{Copy, CopyId, Term};
use yoke_core::step::{Inspection, Leaving, Order, Outcome, Server, Settings, Stamp, Step};

/// How long anything may take before the test says what is missing.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub const A: MemberId = MemberId(0);
pub const B: MemberId = MemberId(1);

/// One host.
pub struct Host {
    pub context: Context,
    pub guard: GuardLink,
    pub view: GuardView,
    pub sessions: Sessions,
    pub explained: Vec<String>,
    pub progress: Vec<(u64, u64)>,
    number: u64,
    serial: u64,
    generation: u64,
    lock: Lock,
    dir: TempDir,
}

/// The copies that the tests name.
pub fn copy(member: MemberId) -> Copy {
    Copy {
        member,
        id: CopyId(0x0123_4567_89ab_cde0 + u64::from(member.0)),
    }
}

/// Sets the data directory aside.
pub fn aside() -> Step {
    Step::SetAside(Leaving {
        copy: None,
        timeline: Timeline(1),
        from: None,
        to: Lsn(0),
        why: "a test".into(),
    })
}

pub fn now() -> yoke_core::Instant {
    let time = clock_gettime(ClockId::CLOCK_BOOTTIME).expect("a clock");
    yoke_core::Instant(time.tv_sec() as u64 * 1_000_000 + time.tv_nsec() as u64 / 1_000)
}

pub fn context(me: MemberId, dir: &Path) -> Context {
    let member = |name: &str, kind| Member {
        name: name.into(),
        kind,
    };
    let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
    Context {
        cluster: "test".into(),
        members: vec![
            member("data1", MemberKind::Data),
            member("data2", MemberKind::Data),
            member("monitor", MemberKind::Witness),
        ],
        me,
        configured_primary: A,
        data_dir: dir.join("pg/data"),
        status_dir: dir.join("status"),
        pg_port: free_port(),
        advertise_ip: ip,
        pg_user: None,
        // Another PostgreSQL than the newest installed one.
        pg_bin: std::env::var_os("YOKE_TEST_PG_BIN").map(PathBuf::from),
        member_ips: vec![ip; 3],
        // Nobody listens there.
        daemons: vec![SocketAddr::new(ip, 1); 3],
        vip: None,
        decision_timeout: yoke_core::Duration::secs(2),
        sync_timeout: yoke_core::Duration::secs(1),
        health_timeout: yoke_core::Duration::secs(3),
    }
}

impl Host {
    /// A host without data.
    pub async fn empty(me: MemberId) -> Host {
        Host::of(me, |_, _| {}).await
    }

    /// The same with something else in its configuration; the directory is the test's own.
    pub async fn of(me: MemberId, change: impl FnOnce(&mut Context, &Path)) -> Host {
        let dir = tempfile::Builder::new()
            .prefix("yoke-")
            .tempdir_in("/tmp")
            .expect("a directory");
        let open = |path: &Path| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))
                .expect("permissions");
        };
        open(dir.path());
        for sub in ["pg", "status"] {
            std::fs::create_dir(dir.path().join(sub)).expect("a directory");
        }
        let mut context = context(me, dir.path());
        change(&mut context, dir.path());
        PgUser::of(&context)
            .expect("a user for PostgreSQL")
            .own(&dir.path().join("pg"))
            .expect("given to PostgreSQL's user");
        let lock = StatusDir::lock(&context.status_dir)
            .expect("the only one here")
            .held();
        let (guard, view) = connect(&context, &lock).await;
        Host {
            sessions: Sessions::new(context.clone()),
            context,
            guard,
            view,
            explained: Vec::new(),
            progress: Vec::new(),
            number: 0,
            serial: 0,
            generation: 0,
            lock,
            dir,
        }
    }

    /// A host with a fresh database.
    pub async fn fresh(me: MemberId) -> Host {
        let host = Host::empty(me).await;
        initdb(&host.context, "scram-sha-256");
        host
    }

    /// Writes a line into the user's configuration.
    pub fn configure(&self, line: &str) {
        self.append("postgresql.conf", line);
    }

    pub fn append(&self, name: &str, line: &str) {
        use std::io::Write;
        let file = self.context.data_dir.join(name);
        let mut file = std::fs::OpenOptions::new()
            .append(true)
            .open(file)
            .expect("the user's file");
        writeln!(file, "{line}").expect("written");
    }

    pub fn processes(&self) -> Processes {
        Processes::of(
            self.context.real_data_dir(),
            PgUser::of(&self.context).expect("a user"),
        )
    }

    pub fn upstream(&self) -> Upstream {
        Upstream {
            host: self.context.advertise_ip.to_string(),
            port: self.context.pg_port,
        }
    }

    /// Connects once more, as a daemon that was started anew does; the earlier connection stays open until then.
    pub async fn new_daemon(&mut self) {
        let (guard, view) = connect(&self.context, &self.lock).await;
        self.guard = guard;
        self.view = view;
        self.number = view.last_order;
        self.serial = view.permission.serial;
    }

    /// A second connection, as another daemon's.
    pub async fn connect_again(host: &Host) -> (GuardLink, GuardView) {
        connect(&host.context, &host.lock).await
    }

    /// Lets go of the guard, as a daemon that was killed does. Until the next `new_daemon`, nothing may be asked of it.
    pub async fn hang_up(&mut self) {
        self.guard.hang_up();
    }

    /// Has the guard end in order, and waits for it.
    pub async fn dismiss(&mut self) {
        self.guard.send(GuardRequest::Leave);
        while self.hear().await.is_some() {}
        let pid = self.guard.pid();
        eventually("the guard's end", || !is_guard(pid)).await;
    }

    pub fn lock(&self) -> &Lock {
        &self.lock
    }

    pub fn permit(&mut self, term: u64, lasts: Lasts) {
        self.serial += 1;
        self.guard.send(GuardRequest::Permission(Permission {
            term: Term(term),
            serial: self.serial,
            lasts,
        }));
    }

    /// Asks the guard for a step without waiting for its answer.
    pub fn ask(&mut self, term: u64, step: Step, upstream: Option<Upstream>) -> u64 {
        self.number += 1;
        let order = Order {
            term: Term(term),
            number: self.number,
            step,
        };
        self.guard.send(GuardRequest::Order { order, upstream });
        self.number
    }

    /// The guard's next reply, taken note of; none: it is gone.
    pub async fn hear(&mut self) -> Option<GuardReply> {
        let reply = tokio::time::timeout(PATIENCE, self.guard.recv())
            .await
            .unwrap_or_else(|_| panic!("the guard is silent; it said {:?}", self.explained));
        match &reply {
            Some(GuardReply::View(view)) => self.view = *view,
            Some(GuardReply::Explain(text)) => self.explained.push(text.clone()),
            Some(GuardReply::Progress { done, total, .. }) => self.progress.push((*done, *total)),
            _ => {}
        }
        reply
    }

    pub async fn answer(&mut self, wanted: u64) -> Outcome {
        loop {
            match self.hear().await {
                Some(GuardReply::Answer { number, outcome }) if number == wanted => return outcome,
                Some(_) => {}
                None => panic!("the guard is gone; it said {:?}", self.explained),
            }
        }
    }

    /// A step of the guard's, and what came of it.
    pub async fn guards(&mut self, term: u64, step: Step, upstream: Option<Upstream>) -> Outcome {
        let number = self.ask(term, step, upstream);
        self.answer(number).await
    }

    /// A step of the guard's that has to succeed.
    pub async fn done(&mut self, term: u64, step: Step) {
        let outcome = self.guards(term, step.clone(), None).await;
        assert_eq!(outcome, Outcome::Done, "{step}: {:?}", self.explained);
    }

    /// A step of the daemon's.
    pub async fn daemons(&mut self, step: Step) -> Outcome {
        self.sessions.run(&step, self.view.run).await
    }

    pub async fn inspect(&mut self) -> Inspection {
        match self.daemons(Step::Inspect).await {
            Outcome::Inspected(inspection) => *inspection,
            other => panic!("inspect: {other:?}"),
        }
    }

    pub async fn nudge(&mut self) -> Lsn {
        match self.daemons(Step::Nudge).await {
            Outcome::Wrote(lsn) => lsn,
            other => panic!("nudge: {other:?}"),
        }
    }

    /// Has a slot for this member's copy.
    pub async fn slot_for(&mut self, member: MemberId) {
        let (make, drop) = (vec![copy(member)], vec![]);
        let outcome = self.daemons(Step::Slots { make, drop }).await;
        assert_eq!(outcome, Outcome::Done);
    }

    /// Observes until it is as wanted.
    pub async fn until(&mut self, what: &str, wanted: impl Fn(&Server) -> bool) -> Server {
        let end = Instant::now() + PATIENCE;
        let mut last = None;
        while Instant::now() < end {
            match self.daemons(Step::Observe).await {
                Outcome::Observed(server) if wanted(&server) => return *server,
                other => last = Some(other),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let log = std::fs::read_to_string(self.context.log_file()).unwrap_or_default();
        panic!(
            "not seen: {what}; last {last:?}\n{:?}\n{log}",
            self.explained
        );
    }

    /// Hears the guard until its view is as wanted.
    pub async fn until_view(&mut self, what: &str, wanted: impl Fn(&GuardView) -> bool) {
        while !wanted(&self.view) {
            assert!(
                self.hear().await.is_some(),
                "the guard is gone before {what}: {:?}",
                self.explained
            );
        }
    }

    pub fn settings(&mut self, gate: Option<Vec<Copy>>, doors: Doors) -> Settings {
        self.generation += 1;
        Settings {
            generation: self.generation,
            gate,
            follow: None,
            copy: Some(copy(self.context.me)),
            doors,
        }
    }

    /// The newest settings'.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Runs PostgreSQL by itself on the data, past the guard, with the user's own configuration.
    pub fn run_single(&self, sql: &str) {
        use std::io::Write;
        let user = PgUser::of(&self.context).expect("a user");
        let data = &self.context.data_dir;
        for name in ["standby.signal", "recovery.signal"] {
            let _ = std::fs::remove_file(data.join(name)); // it may be missing
        }
        let mut child = user
            .command(
                &Binaries::of_data(&self.context, data)
                    .expect("PostgreSQL is installed")
                    .program("postgres"),
                Child::Helper,
            )
            .args(["--single", "-D"])
            .arg(data)
            .arg("postgres")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("it runs");
        let mut input = child.stdin.take().expect("its input");
        input.write_all(sql.as_bytes()).expect("written");
        drop(input);
        assert!(child.wait().expect("its end").success());
    }

    /// Settings written and in force.
    pub async fn apply(&mut self, term: u64, gate: Option<Vec<Copy>>, doors: Doors) {
        let settings = self.settings(gate, doors);
        let generation = settings.generation;
        self.done(term, Step::WriteSettings(settings)).await;
        self.done(term, Step::Reload).await;
        self.until("the settings in force", |s| s.settings == generation)
            .await;
    }

    /// A running standby of nobody, gate and doors closed.
    pub async fn start(&mut self, term: u64) -> Server {
        let settings = self.settings(None, Doors::Closed);
        let generation = settings.generation;
        self.done(term, Step::WriteSettings(settings)).await;
        self.done(term, Step::Start).await;
        self.until("a drained standby", |s| {
            s.in_recovery && s.drained && s.settings == generation
        })
        .await
    }

    /// A primary under this permission, gate and doors closed, its roles made.
    pub async fn promote(&mut self, term: u64, lasts: Lasts) -> Server {
        self.permit(term, lasts);
        self.done(term, Step::Promote).await;
        self.until("a primary", |s| !s.in_recovery).await
    }

    /// A client's connection, as our own role over the private socket.
    pub async fn client(&self) -> tokio_postgres::Client {
        self.client_as("yoke").await
    }

    /// The same as the first superuser: before our roles exist.
    pub async fn client_of_anybody(&self) -> tokio_postgres::Client {
        self.client_as("postgres").await
    }

    async fn client_as(&self, role: &str) -> tokio_postgres::Client {
        let (client, connection) = tokio_postgres::Config::new()
            .host_path(self.context.socket_dir())
            .port(self.context.pg_port)
            .user(role)
            .dbname("postgres")
            .connect(NoTls)
            .await
            .expect("a connection");
        tokio::spawn(connection);
        client
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().to_path_buf()
    }
}

/// The stamp of a member's copy without a history.
pub fn stamp_of(data: &yoke_core::step::DataDirectory, member: MemberId, name: &str) -> Stamp {
    Stamp {
        cluster: "test".into(),
        member: name.into(),
        system_id: data.system_id,
        copy: copy(member).id,
        record: None,
        history: Default::default(),
        ordered: None,
        ordered_on: Timeline(1),
        follows: None,
        rewritten: false,
    }
}

/// A fresh database.
pub fn initdb(context: &Context, method: &str) {
    let user = PgUser::of(context).expect("a user");
    let initdb = Binaries::newest(context)
        .expect("PostgreSQL is installed")
        .program("initdb");
    let status = user
        .command(&initdb, Child::Helper)
        .args(["--no-sync", "-A", method, "-D"])
        .arg(&context.data_dir)
        .args(["--pwfile", "/etc/hostname"])
        .stdout(Stdio::null())
        .status()
        .expect("initdb runs");
    assert!(status.success(), "initdb: {status}");
}

/// Whether that guard process is there, and is no zombie.
pub fn is_guard(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| stat.contains(" (yoke-guard) ") && !stat.contains(") Z "))
}

/// A test ends with its guard and everything below it: both are this test's own.
impl Drop for Host {
    fn drop(&mut self) {
        end_guard(self.guard.pid(), &self.processes());
    }
}

/// Kills a guard of ours, and sees its PostgreSQL follow.
pub fn end_guard(pid: u32, processes: &Processes) {
    if is_guard(pid) {
        // An error means that it has just ended.
        let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
    }
    let end = Instant::now() + PATIENCE;
    while !processes.find().is_empty() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
}

async fn connect(context: &Context, lock: &Lock) -> (GuardLink, GuardView) {
    let program = Path::new(env!("CARGO_BIN_EXE_yoke"));
    tokio::time::timeout(PATIENCE, GuardLink::connect_or_run(program, context, lock))
        .await
        .expect("the guard says something")
        .expect("a guard")
}

/// Polls until it holds.
pub async fn eventually(what: &str, holds: impl Fn() -> bool) -> Duration {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < PATIENCE, "not seen: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    begin.elapsed()
}
