//! What a person sees who gets something wrong: one clear message, and an exit status that a script can read.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/ports.rs"]
mod ports;

use ports::free_port;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A configuration of its own in a directory of its own.
struct Host {
    dir: tempfile::TempDir,
    port: u16,
}

impl Host {
    /// A monitor: it needs no PostgreSQL.
    fn monitor() -> Host {
        let host = Host {
            dir: tempfile::tempdir().unwrap(),
            port: free_port(),
        };
        host.write("monitor", "");
        host
    }

    fn write(&self, role: &str, more: &str) {
        let others = [free_port(), free_port()];
        let [mut primary, mut monitor] = [others[0], self.port];
        if role == "primary" {
            std::mem::swap(&mut primary, &mut monitor);
        }
        let text = format!(
            "[config]\nadvertise_ip=127.0.0.1\nadvertise_port={}\nstatus_dir={}\nrole={role}\n\
             primary=127.0.0.1:{primary}\nsecondary=127.0.0.1:{}\nmonitor=127.0.0.1:{monitor}\n{more}",
            self.port,
            self.path("status").display(),
            others[1],
        );
        std::fs::write(self.config(), text).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn config(&self) -> PathBuf {
        self.path("yoke.conf")
    }
}

/// A daemon that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Runs a daemon that is to refuse to start. One that does start is ended, and has no status.
fn yoke(argument: &Path) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_yoke"))
        .arg(argument)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.wait_with_output().unwrap()
}

/// Starts a daemon, and waits until it answers.
fn start(host: &Host) -> Running {
    let child = Command::new(env!("CARGO_BIN_EXE_yoke"))
        .arg(host.config())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let running = Running(child);
    let deadline = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(("127.0.0.1", host.port)).is_err() {
        assert!(Instant::now() < deadline, "the daemon does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
    running
}

fn yokeadm(port: u16, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_yokeadm"));
    command
        .args(["-p", &port.to_string()])
        .args(arguments)
        .output()
        .unwrap()
}

/// The last line on standard error, of a program that ended with status 1.
fn complaint(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(output.stdout.is_empty());
    text.lines().last().unwrap().to_owned()
}

fn assert_says(found: &str, expected: &[&str]) {
    for part in expected {
        assert!(found.contains(part), "{found}\nlacks: {part}");
    }
}

#[test]
fn without_arguments_the_usage_is_shown() {
    let output = Command::new(env!("CARGO_BIN_EXE_yoke")).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_says(&String::from_utf8_lossy(&output.stderr), &["Usage: yoke"]);
}

#[test]
fn a_missing_file_is_named() {
    let found = complaint(&yoke(Path::new("/nowhere/yoke.conf")));
    assert_says(
        &found,
        &["yoke: /nowhere/yoke.conf: the configuration cannot be read: No such file"],
    );
}

#[test]
fn a_directory_is_no_configuration() {
    let found = complaint(&yoke(Path::new("/tmp")));
    assert_says(&found, &["yoke: /tmp: the configuration cannot be read"]);
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_the_nearest() {
    let host = Host::monitor();
    host.write("monitor", "descision_timeout=5\n");
    let found = complaint(&yoke(&host.config()));
    assert_says(
        &found,
        &[
            "yoke.conf:9: unknown key `descision_timeout`",
            "did you mean `decision_timeout`",
        ],
    );
}

#[test]
fn a_role_that_is_not_this_hosts_is_named() {
    let host = Host::monitor();
    let text = std::fs::read_to_string(host.config()).unwrap();
    std::fs::write(
        host.config(),
        text.replace("role=monitor", "role=secondary"),
    )
    .unwrap();
    let found = complaint(&yoke(&host.config()));
    assert_says(
        &found,
        &[
            "yoke.conf:5: role is secondary",
            "advertise_ip and advertise_port say",
        ],
    );
}

#[test]
fn a_taken_port_is_named() {
    let host = Host::monitor();
    let _taken = TcpListener::bind(("127.0.0.1", host.port)).unwrap();
    let found = complaint(&yoke(&host.config()));
    assert_says(
        &found,
        &[&format!("127.0.0.1:{}", host.port), "the port is taken"],
    );
}

#[test]
fn an_address_of_another_host_is_named() {
    let host = Host::monitor();
    host.write("monitor", "allow_plain=yes\n");
    let text = std::fs::read_to_string(host.config()).unwrap();
    let text = text
        .replace("advertise_ip=127.0.0.1", "advertise_ip=192.0.2.1")
        .replace("monitor=127.0.0.1", "monitor=192.0.2.1");
    std::fs::write(host.config(), text).unwrap();
    let found = complaint(&yoke(&host.config()));
    assert_says(
        &found,
        &["192.0.2.1", "this host does not have that address"],
    );
}

#[test]
fn a_second_daemon_is_refused() {
    let host = Host::monitor();
    let _first = start(&host);
    let found = complaint(&yoke(&host.config()));
    assert_says(
        &found,
        &["another yoke daemon runs with the status directory"],
    );
}

#[test]
fn a_foreign_file_in_the_states_place_is_left_as_it_is() {
    let host = Host::monitor();
    let state = host.path("status/yoke.state");
    std::fs::create_dir(host.path("status")).unwrap();
    std::fs::write(&state, b"somebody's notes").unwrap();
    let found = complaint(&yoke(&host.config()));
    assert_says(&found, &["yoke.state is not a state file of yoke's"]);
    assert_eq!(std::fs::read(&state).unwrap(), b"somebody's notes");
}

#[test]
fn a_status_directory_that_is_a_file_is_named() {
    let host = Host::monitor();
    std::fs::write(host.path("status"), b"").unwrap();
    let found = complaint(&yoke(&host.config()));
    assert_says(&found, &[&host.path("status").display().to_string()]);
}

#[test]
fn a_host_with_data_needs_postgresql() {
    let host = Host::monitor();
    let data = host.path("data");
    let more = |key: &str| format!("data_dir={}\n{key}\n", data.display());
    host.write("primary", &more("pg_bin=/nowhere"));
    let found = complaint(&yoke(&host.config()));
    assert_says(&found, &["pg_bin", "/nowhere"]);
    host.write("primary", &more("pg_user=no_such_account"));
    let found = complaint(&yoke(&host.config()));
    assert_says(&found, &["no_such_account"]);
}

#[test]
fn sigterm_ends_a_lonely_monitor_in_order() {
    let host = Host::monitor();
    let mut running = start(&host);
    let pid = running.0.id().to_string();
    assert!(Command::new("kill").arg(&pid).status().unwrap().success());
    assert_eq!(running.0.wait().unwrap().code(), Some(0));
}

#[test]
fn list_shows_who_does_not_answer() {
    let host = Host::monitor();
    let _daemon = start(&host);
    let output = yokeadm(host.port, &["list"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    assert_says(
        &text,
        &[
            "Cluster yoke: nobody leads",
            "only 1 of 3 members answer",
            "data1",
            "does not answer",
            "witness",
        ],
    );
    let output = yokeadm(host.port, &["cluster", "list", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["members"][0]["reachable"], false);
    assert_eq!(json["members"][2]["role"], "witness");
    assert_eq!(json["failover_possible"], false);
}

#[test]
fn demote_of_what_is_no_primary_says_so() {
    let host = Host::monitor();
    let _daemon = start(&host);
    for command in [&["demote"][..], &["member", "demote"]] {
        let found = complaint(&yokeadm(host.port, command));
        assert_says(
            &found,
            &["yokeadm: monitor only votes, and is never the primary"],
        );
    }
}

#[test]
fn yokeadm_names_where_nobody_answers() {
    let port = free_port();
    let found = complaint(&yokeadm(port, &["list"]));
    assert_says(
        &found,
        &[
            &format!("no yoke daemon answers at 127.0.0.1:{port}"),
            "-H and -p",
        ],
    );
}

#[test]
fn yokeadm_tells_a_stranger_from_a_daemon() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let stranger = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut [0; 8]).unwrap();
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .unwrap();
    });
    let found = complaint(&yokeadm(port, &["list"]));
    assert_says(&found, &["no yoke daemon"]);
    stranger.join().unwrap();
}
