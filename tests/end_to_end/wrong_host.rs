//! A host that is not fit for its daemon: a first start is refused with one clear message, `yoke check` says the same, and
//! nothing on the host is changed. (Wrong configurations: `runtime/tests/cli.rs`.)

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tests::Said;
use tests::host::Host;
use yoke::postgres::stamp;
use yoke::postgres::user::PgUser;
use yoke_core::postgres::{SystemId, Timeline};
use yoke_core::record::{CopyId, History, Term};
use yoke_core::step::Stamp;

/// Spoils a fresh host, and expects to be told so.
fn spoiled(spoil: impl FnOnce(&Host), parts: &[&str]) {
    spoiled_in("", Host::fresh(), spoil, parts);
}

/// The same in a mount namespace where `before` was done.
fn spoiled_in(before: &str, host: Host, spoil: impl FnOnce(&Host), parts: &[&str]) {
    spoil(&host);
    let files = files_below(&host.path("pg"));
    let (well, checked) = host.check(before).unwrap_or_else(|e| panic!("{e}"));
    assert!(!well, "yoke check finds no error: {checked}");
    let refused = host.refused(before).unwrap_or_else(|e| panic!("{e}"));
    let sentence = refused.lines().last().unwrap_or_default();
    assert!(sentence.starts_with("yoke: "), "{refused}");
    assert!(!refused.contains("panicked"), "{refused}");
    for part in parts {
        assert!(sentence.contains(part), "`{part}` is not in: {refused}");
        assert!(
            checked
                .lines()
                .any(|l| l.starts_with("error") && l.contains(part)),
            "`{part}` is in no error of: {checked}"
        );
    }
    let lock = host.path("pg/data.yoke.lock");
    let after = files_below(&host.path("pg"));
    assert_eq!(
        files,
        after.into_iter().filter(|f| *f != lock).collect::<Vec<_>>()
    );
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            found.extend(files_below(&path));
        }
        found.push(path);
    }
    found.sort();
    found
}

fn done(what: std::io::Result<()>) {
    what.unwrap_or_else(|e| panic!("{e}"));
}

fn mode(path: &Path, mode: u32) {
    done(std::fs::set_permissions(
        path,
        PermissionsExt::from_mode(mode),
    ));
}

fn add(path: &Path, text: &str) {
    let before = std::fs::read_to_string(path).unwrap_or_default();
    done(std::fs::write(path, before + text));
}

#[test]
fn a_sound_host_has_no_errors_and_check_changes_nothing() {
    let host = Host::fresh();
    let before = [
        files_below(&host.path("pg")),
        files_below(&host.path("status")),
    ];
    let (well, said) = host.check("").unwrap_or_else(|e| panic!("{e}"));
    assert!(well, "{said}");
    for part in [
        "ok       ",
        "never used",
        "is free for PostgreSQL",
        "data2 at 127.0.0.1:",
        "no daemon runs there (yet)",
        "0 errors, 2 warnings",
    ] {
        assert!(said.contains(part), "`{part}` is not in: {said}");
    }
    let after = [
        files_below(&host.path("pg")),
        files_below(&host.path("status")),
    ];
    assert_eq!(before, after);
}

#[test]
fn a_data_directory_that_postgresql_would_not_take() {
    let data = |host: &Host, name: &str| host.data().join(name);
    spoiled(|h| mode(&h.data(), 0o755), &["mode 0755", "chmod 0700"]);
    spoiled(
        |h| done(std::os::unix::fs::chown(h.data(), Some(0), None)),
        &["belongs to root, but PostgreSQL runs as", "chown -R"],
    );
    spoiled(
        |h| done(std::fs::write(data(h, "PG_VERSION"), "29\n")),
        &["PostgreSQL 29 is not installed"],
    );
    spoiled(
        |h| done(std::fs::write(data(h, "PG_VERSION"), b"\x01\xff[31m")),
        &["PG_VERSION says `\\u{1}"],
    );
    spoiled(
        |h| done(std::fs::remove_file(data(h, "PG_VERSION"))),
        &["it is no PostgreSQL data directory"],
    );
    spoiled(
        |h| done(std::fs::write(data(h, "global/pg_control"), [7; 8192])),
        &["the control file of", "is damaged"],
    );
    spoiled(
        |h| add(&data(h, "postgresql.conf"), "\nfsync = off\n"),
        &["postgresql.conf: fsync is off", "set it to on"],
    );
}

#[test]
fn programs_of_another_major_version() {
    spoiled(
        |h| {
            let version = h.data().join("PG_VERSION");
            let bin = yoke::demo::programs::Programs::find().unwrap_or_else(|e| panic!("{e}"));
            h.set("pg_bin", &bin.dir.display().to_string());
            done(std::fs::write(version, "14\n"));
        },
        &["the data directory is of 14", "postgresql-14"],
    );
    spoiled(
        |h| h.set("pg_bin", "/usr/bin"),
        &["yoke.ini:11: pg_bin is /usr/bin"],
    );
    spoiled(
        |h| h.set("pg_user", "nobody_here"),
        &["yoke.ini:11: there is no user `nobody_here`"],
    );
}

#[test]
fn a_place_that_is_none() {
    spoiled(
        |h| h.set("data_dir", "/etc/passwd"),
        &["/etc/passwd (data_dir): it is no directory"],
    );
    spoiled(
        |h| h.set("status_dir", "/etc/passwd/x"),
        &["a part of the path is no directory (/etc/passwd)"],
    );
    spoiled(
        |h| {
            done(std::os::unix::fs::symlink(h.data(), h.path("link")));
            h.set("status_dir", &h.path("link/status").display().to_string());
        },
        &["it leads into data_dir"],
    );
    spoiled(
        |h| {
            done(std::fs::create_dir(h.path("secret")));
            mode(&h.path("secret"), 0o700);
            h.set("status_dir", &h.path("secret/status").display().to_string());
        },
        &["cannot get there", "chmod o+x"],
    );
    let host = Host::fresh();
    host.set("data_dir", &host.path("no/such/data").display().to_string());
    let said = host.refused("").unwrap_or_else(|e| panic!("{e}"));
    assert!(
        said.contains("yoke.ini:10: cannot lock") && said.contains("make the directory above"),
        "{said}"
    );
    let (well, said) = host.check("").unwrap_or_else(|e| panic!("{e}"));
    assert!(
        !well && said.contains("/no/such is no directory: make it"),
        "{said}"
    );
}

#[test]
fn a_mount_point_and_a_full_disk() {
    let host = Host::fresh();
    let data = host.data();
    let (data, beside) = (
        data.display().to_string(),
        host.path("moved").display().to_string(),
    );
    let mount = format!(
        "cp -a {data} {beside} && mount -t tmpfs none {data} && cp -a {beside}/. {data} && chmod 700 {data} && chown --reference={beside} {data} && rm -r {beside}"
    );
    spoiled_in(
        &mount,
        host,
        |_| {},
        &["is a mount point", "a directory below it"],
    );
    let host = Host::fresh();
    let status = host.path("status").display().to_string();
    let fill = format!(
        "mount -t tmpfs -o size=2m none {status} && chmod 755 {status} && head -c 1500k /dev/zero > {status}/ballast"
    );
    spoiled_in(
        &fill,
        host,
        |_| {},
        &["no room left for the daemon's state", "make room"],
    );
}

#[test]
fn a_copy_of_another_cluster_is_named_and_left_alone() {
    spoiled(
        |h| {
            let context = h
                .read()
                .context()
                .unwrap_or_else(|| panic!("no data member"));
            let user = PgUser::of(&context).unwrap_or_else(|e| panic!("{e}"));
            let stamp = Stamp {
                cluster: "prod".to_owned(),
                member: "data1".to_owned(),
                system_id: SystemId(7),
                copy: CopyId(1),
                record: None,
                history: History::default(),
                ordered: Some((Term(1), 1)),
                ordered_on: Timeline(1),
                follows: None,
                rewritten: false,
            };
            stamp::write(&h.data(), &stamp, &user).unwrap_or_else(|e| panic!("{e}"));
        },
        &["it belongs to the cluster `prod`, this is `yoke`"],
    );
}

#[test]
fn a_port_of_somebody_else() {
    let host = Host::fresh();
    let taken =
        |port| std::net::TcpListener::bind(("127.0.0.1", port)).unwrap_or_else(|e| panic!("{e}"));
    let postgres = taken(host.ports()[3]);
    spoiled_in(
        "",
        host,
        |_| {},
        &["yoke.ini:10: 127.0.0.1:", "not by the database of data_dir"],
    );
    drop(postgres);
    let host = Host::fresh();
    let _daemon = taken(host.ports()[0]);
    spoiled_in(
        "",
        host,
        |_| {},
        &[
            "yoke.ini:4: cannot listen at 127.0.0.1:",
            "the port is taken",
        ],
    );
}

#[test]
fn a_server_that_somebody_else_started_is_left_running() {
    let host = Host::fresh();
    let found = yoke::demo::programs::Programs::find().unwrap_or_else(|e| panic!("{e}"));
    let socket = format!(
        "-c listen_addresses= -c unix_socket_directories={}",
        host.data().display()
    );
    let ctl = |words: &[&str]| {
        let mut command = found.account.command(&found.dir.join("pg_ctl"));
        command.arg("-D").arg(host.data()).args(words);
        command
            .stdout(Stdio::null())
            .status()
            .unwrap_or_else(|e| panic!("{e}"))
            .success()
    };
    assert!(ctl(&["-w", "-l", "/dev/null", "-o", &socket, "start"]));
    let seen = (host.refused(""), host.check(""));
    assert!(ctl(&["status"]), "it was ended");
    assert!(ctl(&["-w", "-m", "immediate", "stop"]));
    let (refused, (well, checked)) = (
        seen.0.unwrap_or_else(|e| panic!("{e}")),
        seen.1.unwrap_or_else(|e| panic!("{e}")),
    );
    assert!(!well);
    for said in [refused, checked] {
        assert!(
            said.contains("PostgreSQL already runs on") && said.contains("systemctl disable"),
            "{said}"
        );
    }
}

#[test]
fn r16_two_daemons_do_not_share_a_data_directory() {
    let host = Host::fresh();
    let mut first = host.start("");
    first
        .until_it_says("starts at")
        .unwrap_or_else(|e| panic!("{e}"));
    let text = host.text().replace("/status\n", "/other\n");
    host.write(&text);
    let refused = host.refused("").unwrap_or_else(|e| panic!("{e}"));
    let (well, checked) = host.check("").unwrap_or_else(|e| panic!("{e}"));
    assert!(!well);
    let owner = format!(
        "(the one with status_dir {})",
        host.path("status").display()
    );
    for said in [refused, checked] {
        assert!(
            said.contains("another yoke daemon has the data directory") && said.contains(&owner),
            "{said}"
        );
    }
}

#[test]
fn another_account_may_neither_read_the_file_nor_write() {
    let host = Host::fresh();
    mode(&host.config(), 0o600);
    let run = |host: &Host| -> Said<String> {
        let mut command = Command::new("runuser");
        let output = command
            .args(["-u", "nobody", "--"])
            .arg(tests::programs::yoke())
            .arg(host.config())
            .output();
        let output = output.map_err(|e| e.to_string())?;
        assert_eq!(output.status.code(), Some(1));
        Ok(String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let said = run(&host).unwrap_or_else(|e| panic!("{e}"));
    assert!(
        said.contains("cannot be read: Permission denied") && said.contains("the right to read it"),
        "{said}"
    );
    mode(&host.config(), 0o644);
    let said = run(&host).unwrap_or_else(|e| panic!("{e}"));
    assert!(
        said.contains("cannot be written to by the account that runs yoke, nobody"),
        "{said}"
    );
}
