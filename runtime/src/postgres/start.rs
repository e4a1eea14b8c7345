//! The step `Start`: makes the directory ready and spawns the postmaster as a standby.

use crate::postgres::conf::Conf;
use crate::postgres::control::{Control, START_UP_PARAMETERS};
use crate::postgres::execute::Ending;
use crate::postgres::find::Binaries;
use crate::postgres::helper::Helper;
use crate::postgres::processes::{Processes, foreign_postmaster, runs_its_own};
use crate::postgres::user::{Child, PgUser};
use crate::postgres::user_files::Moment;
use crate::postgres::{Context, Said, files, settings, stamp};
use nix::unistd::Pid;
use std::fs::OpenOptions;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

/// PostgreSQL's defaults of [`START_UP_PARAMETERS`], in their order.
const DEFAULTS: [u64; 5] = [100, 8, 10, 0, 64];

/// Clones take two walsenders, each standby one.
const FEWEST_WAL_SENDERS: u64 = 10;

/// PostgreSQL's default of `max_replication_slots`, and what our own need besides the user's: one for each copy, and for
/// some that it had before.
const SLOTS: (u64, u64) = (10, 10);

/// The log is begun anew above this size; one older is kept.
const LONGEST_LOG: u64 = 64 << 20;

/// A socket's path has to fit into 108 bytes, its end included.
const LONGEST_SOCKET_PATH: usize = 107;

/// A postmaster that was spawned.
#[derive(Clone, Copy, Debug)]
pub struct Spawned {
    /// Its process.
    pub pid: Pid,
    /// Where in the log it begins to write.
    pub log_from: u64,
}

/// Starts the postmaster, as a standby, with the settings written. To be called by a thread that lives as long as the
/// guard: the postmaster gets SIGQUIT when it ends.
///
/// # Errors
/// What is in the way, and what to do.
pub fn start(context: &Context, cgroup: Option<i32>, ending: &Ending) -> Said<Spawned> {
    let user = PgUser::of(context)?;
    let data = context.real_data_dir();
    if context.mark_file().exists() {
        return Err(format!(
            "{} is marked as being rewritten ({}): it is never started so; have it copied anew",
            data.display(),
            context.mark_file().display()
        ));
    }
    let binaries = Binaries::of_data(context, &data)?;
    clear_field(context, &data, &user, ending)?;
    let control = Control::read(&binaries, &user, &data)?;
    let written = settings::read(context)?.ok_or_else(|| {
        format!(
            "no whole settings are at {}: they have to be written before a start",
            context.conf_file().display()
        )
    })?;
    // Again, with what the user's files say by now.
    let conf = settings::write(context, &user, &written, Moment::Start)?;
    make_socket_dir(context, &user)?;
    let sockets = socket_dirs(context, &user, &conf);
    drop_stale_locks(&data, &sockets, context.pg_port)?;
    for name in ["promote", "recovery.signal"] {
        files::remove(&data.join(name))?;
    }
    let arguments = arguments(context, &data, &conf, &control, &sockets, binaries.major)?;
    if control.wal_level == "minimal" {
        raise_wal_level(&binaries, &user, &data, &arguments, ending)?;
    }
    files::replace(&data.join("standby.signal"), b"", &user)?;
    let (log, log_from) = open_log(context, &user)?;
    let program = binaries.program("postgres");
    let mut command = user.command(&program, Child::Postmaster { cgroup });
    command.arg("-D").arg(&data);
    for (name, value) in arguments {
        command.arg("-c").arg(format!("{name}={value}"));
    }
    let clone = log
        .try_clone()
        .map_err(|e| format!("cannot open the log twice: {e}"))?;
    command
        .stdin(Stdio::null())
        .stdout(clone)
        .stderr(log)
        .current_dir(&data);
    if ending.is_set() {
        return Err("ended".into());
    }
    let child = command
        .spawn()
        .map_err(|e| format!("cannot run {}: {e}", program.display()))?;
    Ok(Spawned {
        pid: Pid::from_raw(child.id().cast_signed()),
        log_from,
    })
}

/// No standby starts from data that were last run with `wal_level = minimal`. So PostgreSQL runs on them once by itself
/// (`--single`), with the level that it will have: it serves nobody, and notes the level in the control file. It adds to the
/// log, so this is for adopted data only, which nobody has a copy of yet: those have no stamp.
fn raise_wal_level(
    binaries: &Binaries,
    user: &PgUser,
    data: &Path,
    arguments: &[(&'static str, String)],
    ending: &Ending,
) -> Said<()> {
    if stamp::read(data)?.is_some() {
        return Err(format!(
            "{} was last run with wal_level = minimal, and not by yoke: other members' copies may lack what was written there. Move it away to have it copied anew, or say `yokeadm list` to see what the others hold",
            data.display()
        ));
    }
    files::remove(&data.join("standby.signal"))?;
    let program = binaries.program("postgres");
    let mut command = user.command(&program, Child::Helper);
    command.arg("--single").arg("-D").arg(data);
    for (name, value) in arguments {
        command.arg("-c").arg(format!("{name}={value}"));
    }
    command
        .args(["-c", "wal_level=replica", "template1"])
        .current_dir(data);
    let unready = |why: String| {
        format!(
            "{} was last run with wal_level = minimal, and could not be made ready for a standby's start: {why}",
            data.display()
        )
    };
    let said = {
        let _own = runs_its_own();
        Helper::spawn(&mut command)?
            .finish(ending, None, &mut |_, _| {})
            .map_err(unready)?
    };
    match Control::read(binaries, user, data)?.wal_level == "minimal" {
        true => Err(unready(said.join(" / "))),
        false => Ok(()),
    }
}

/// Ends what a former guard's postmaster left behind; refuses to touch a server that somebody else started.
fn clear_field(context: &Context, data: &Path, user: &PgUser, ending: &Ending) -> Said<()> {
    let processes = Processes::of(data.to_path_buf(), user.clone());
    if let Some(pid) = foreign_postmaster(&processes, &context.conf_file()) {
        return Err(runs_already(data, pid));
    }
    for _ in 0..400 {
        if processes.kill(None) == 0 {
            return Ok(());
        }
        if ending.is_set() {
            return Err("ended".into());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Err(format!(
        "processes of an earlier PostgreSQL on {} do not end although they were killed ({:?}): the disk may hang",
        data.display(),
        processes.find()
    ))
}

/// What is said of a server that somebody else started.
pub fn runs_already(data: &Path, pid: Pid) -> String {
    format!(
        "PostgreSQL already runs on {} (process {pid}), and not by yoke: stop it and keep it from starting (systemctl disable --now postgresql); yoke starts it itself",
        data.display()
    )
}

/// Removes lock files that would keep PostgreSQL from starting although nobody runs here any more (that was seen): they
/// name a number that counts as alive, be it another program's by now, or a zombie's that nobody has reaped yet.
///
/// Where the number is free PostgreSQL deals with `postmaster.pid` itself, and learns from it of memory still in use.
fn drop_stale_locks(data: &Path, socket_dirs: &[PathBuf], port: u16) -> Said<()> {
    let sockets = socket_dirs
        .iter()
        .map(|dir| dir.join(format!(".s.PGSQL.{port}.lock")));
    for file in std::iter::once(data.join("postmaster.pid")).chain(sockets) {
        let Some(text) = files::read_optional(&file)? else {
            continue;
        };
        let mut lines = text.lines();
        let pid: Option<i32> = lines.next().and_then(|line| line.trim().parse().ok());
        let is_alive = pid
            .is_some_and(|pid| pid > 0 && nix::sys::signal::kill(Pid::from_raw(pid), None).is_ok());
        if is_alive && lines.next().map(Path::new) == Some(data) {
            files::remove(&file)?;
        }
    }
    Ok(())
}

/// The private socket's directory. Others than PostgreSQL's user and root cannot even look in.
fn make_socket_dir(context: &Context, user: &PgUser) -> Said<()> {
    let dir = context.socket_dir();
    let failed = |e: std::io::Error| format!("cannot make {}: {e}", dir.display());
    let socket = dir.join(".s.PGSQL.65535");
    if socket.as_os_str().len() > LONGEST_SOCKET_PATH {
        return Err(format!(
            "the socket's path {} is too long for the operating system: choose a shorter status_dir",
            socket.display()
        ));
    }
    match std::fs::DirBuilder::new().mode(0o700).create(&dir) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => return Err(failed(e)),
        _ => {}
    }
    user.own(&dir).map_err(failed)?;
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o700)).map_err(failed)?;
    // PostgreSQL's user has to get through to its configuration.
    let mode = std::fs::metadata(&context.status_dir)
        .map_err(failed)?
        .permissions()
        .mode();
    if user.switch && mode & 0o011 != 0o011 {
        std::fs::set_permissions(
            &context.status_dir,
            std::fs::Permissions::from_mode(mode | 0o011),
        )
        .map_err(failed)?;
    }
    Ok(())
}

fn open_log(context: &Context, user: &PgUser) -> Said<(std::fs::File, u64)> {
    let path = context.log_file();
    let failed = |e: std::io::Error| format!("cannot open {}: {e}", path.display());
    if std::fs::metadata(&path).is_ok_and(|m| m.len() > LONGEST_LOG) {
        files::rename(&path, &files::beside(&path, ".1"))?;
    }
    let log = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(&path)
        .map_err(failed)?;
    user.own_file(&log).map_err(failed)?;
    let from = log.metadata().map_err(failed)?.len();
    Ok((log, from))
}

/// What PostgreSQL is told on its command line: fixed until its end, whatever a file or `ALTER SYSTEM` says.
fn arguments(
    context: &Context,
    data: &Path,
    conf: &Conf,
    control: &Control,
    sockets: &[PathBuf],
    major: u32,
) -> Said<Vec<(&'static str, String)>> {
    let path = |path: &Path| path.to_string_lossy().into_owned();
    let mut out = vec![
        ("config_file", path(&context.conf_file())),
        ("hba_file", path(&context.hba_file())),
        ("ident_file", path(&context.ident_file())),
        ("data_directory", path(data)),
        ("port", context.pg_port.to_string()),
        ("listen_addresses", listen_addresses(context, conf)),
        ("unix_socket_directories", list(sockets)),
        // Whether it may go on after a crash is for the daemon to decide.
        ("restart_after_crash", "off".into()),
        // Who still says who he is shows in its process's title alone (R18).
        ("update_process_title", "on".into()),
        // SIGHUP would turn them off: what is acknowledged is on disk, whole and soon replayed.
        ("fsync", "on".into()),
        ("full_page_writes", "on".into()),
        ("recovery_min_apply_delay", "0".into()),
        ("hot_standby", "on".into()),
        ("wal_log_hints", "on".into()),
        ("wal_retrieve_retry_interval", "100ms".into()),
        ("wal_receiver_status_interval", "1s".into()),
        ("wal_sender_timeout", "5s".into()),
        ("wal_receiver_timeout", "5s".into()),
        ("tcp_keepalives_idle", "2".into()),
        ("tcp_keepalives_interval", "2".into()),
        ("tcp_keepalives_count", "3".into()),
        ("tcp_user_timeout", "6s".into()),
    ];
    if conf.get("synchronous_commit") != Some("remote_apply") {
        out.push(("synchronous_commit", "on".into()));
    }
    if conf.get("wal_level") == Some("minimal") {
        out.push(("wal_level", "replica".into()));
    }
    if conf.switch("logging_collector") != Some(true) {
        out.push(("logging_collector", "off".into()));
    }
    if conf.get("cluster_name").is_none_or(str::is_empty) {
        out.push((
            "cluster_name",
            format!("{}/{}", context.cluster, context.my_name()),
        ));
    }
    if major >= 17 {
        out.push(("allow_alter_system", "off".into()));
    }
    let slots = number(conf, "max_replication_slots", SLOTS.0)? + SLOTS.1;
    out.push(("max_replication_slots", slots.to_string()));
    for (index, (name, _)) in START_UP_PARAMETERS.into_iter().enumerate() {
        let configured = number(conf, name, DEFAULTS[index])?;
        let least = match name {
            "max_wal_senders" => FEWEST_WAL_SENDERS,
            _ => 0,
        };
        // A standby with less than the primary had does not start.
        let needed = control.start_up[index].max(least);
        if needed > configured {
            out.push((name, needed.to_string()));
        }
    }
    Ok(out)
}

/// What the user sets a parameter to.
fn number(conf: &Conf, name: &str, default: u64) -> Said<u64> {
    conf.get(name).map_or(Ok(default), |text| {
        text.parse().map_err(|_| {
            format!(
                "{name} is `{text}`: a whole number was expected; correct it in postgresql.conf"
            )
        })
    })
}

/// The user's, and the address under which the other members know this host.
fn listen_addresses(context: &Context, conf: &Conf) -> String {
    let user = conf.get("listen_addresses").unwrap_or("localhost");
    let ip = context.advertise_ip;
    let covered = user.split(',').map(str::trim).any(|address| {
        address == "*"
            || address == ip.to_string()
            || (address == "0.0.0.0" && ip.is_ipv4())
            || (address == "::" && ip.is_ipv6())
            || (address == "localhost" && ip.is_loopback())
    });
    match (covered, user.trim().is_empty()) {
        (true, _) => user.to_owned(),
        (false, true) => ip.to_string(),
        (false, false) => format!("{user},{ip}"),
    }
}

/// The private one first, then the user's or the distribution's, as far as PostgreSQL may write there.
fn socket_dirs(context: &Context, user: &PgUser, conf: &Conf) -> Vec<PathBuf> {
    let usual = || match usable("/var/run/postgresql", user) {
        true => "/var/run/postgresql",
        false => "/tmp",
    };
    let wanted = conf
        .get("unix_socket_directories")
        .unwrap_or_else(|| usual());
    let usable = wanted
        .split(',')
        .map(|dir| dir.trim().trim_matches('"'))
        .filter(|dir| usable(dir, user))
        .filter(|dir| !is_taken(Path::new(dir), context.pg_port, &context.real_data_dir()));
    std::iter::once(context.socket_dir())
        .chain(usable.map(PathBuf::from))
        .collect()
}

/// Whether another living server has its socket of this port there: two servers in two network namespaces share the port
/// and the directory. Ours then does without that socket, which costs less than the server.
fn is_taken(dir: &Path, port: u16, data: &Path) -> bool {
    let lock = dir.join(format!(".s.PGSQL.{port}.lock"));
    let Ok(Some(text)) = files::read_optional(&lock) else {
        return false;
    };
    let mut lines = text.lines();
    let pid = lines
        .next()
        .and_then(|line| line.trim().parse::<i32>().ok());
    let Some((pid, of)) = pid.zip(lines.next().map(Path::new)) else {
        return false;
    };
    of != data && std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == of)
}

/// A list of directories as PostgreSQL wants it.
fn list(dirs: &[PathBuf]) -> String {
    let quoted = |dir: &PathBuf| format!("\"{}\"", dir.to_string_lossy().replace('"', "\"\""));
    dirs.iter().map(quoted).collect::<Vec<_>>().join(", ")
}

/// Whether PostgreSQL's user may make files there.
fn usable(dir: &str, user: &PgUser) -> bool {
    std::fs::metadata(dir).is_ok_and(|m| {
        let bit = if m.uid() == user.uid.as_raw() {
            0o200
        } else if user.groups.iter().any(|g| g.as_raw() == m.gid()) {
            0o020
        } else {
            0o002
        };
        m.is_dir() && m.mode() & bit != 0
    })
}
