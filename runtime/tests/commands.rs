//! The programs' commands that need no cluster: `yoke check`, `yoke init`, completions, and how `yokeadm` complains and ends.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/ports.rs"]
mod ports;

use ports::free_port;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn yoke(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_yoke"));
    command.args(arguments).output().unwrap()
}

fn yokeadm(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_yokeadm"));
    command.args(arguments).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Writes a monitor's configuration by `yoke init`; its path.
fn monitor(dir: &Path, more: &[&str]) -> String {
    let members = [(); 3].map(|()| format!("127.0.0.1:{}", free_port()));
    let (dir, status) = (
        dir.display().to_string(),
        dir.join("run").display().to_string(),
    );
    let mut arguments = vec![
        "init",
        &members[0],
        &members[1],
        &members[2],
        "--dir",
        &dir,
        "--status-dir",
        &status,
    ];
    arguments.extend(more);
    let output = yoke(&arguments);
    assert!(output.status.success(), "{}", said(&output));
    format!("{dir}/monitor.ini")
}

#[test]
fn check_finds_a_sound_monitor() {
    let dir = tempfile::tempdir().unwrap();
    let config = monitor(dir.path(), &[]);
    let output = yoke(&["check", &config]);
    assert_eq!(output.status.code(), Some(0), "{}", out(&output));
    assert!(
        out(&output).ends_with("0 errors, 2 warnings: a daemon can run with this configuration\n"),
        "{}",
        out(&output)
    );
    let json: serde_json::Value =
        serde_json::from_slice(&yoke(&["check", "--json", &config]).stdout).unwrap();
    assert_eq!(
        (json["errors"].as_u64(), json["warnings"].as_u64()),
        (Some(0), Some(2))
    );
    assert_eq!(json["findings"][0]["level"], "ok");
    assert!(
        !dir.path().join("run").exists(),
        "check has made a directory"
    );
}

#[test]
fn check_names_file_and_line() {
    let dir = tempfile::tempdir().unwrap();
    let config = monitor(dir.path(), &[]);
    let text = std::fs::read_to_string(&config)
        .unwrap()
        .replace("role = monitor", "role = witness");
    std::fs::write(&config, text).unwrap();
    let output = yoke(&["check", &config]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        out(&output).starts_with(&format!(
            "error    {config}:5: role is `witness`: expected primary"
        )),
        "{}",
        out(&output)
    );
}

#[test]
fn check_knows_the_daemon_that_runs() {
    let dir = tempfile::tempdir().unwrap();
    let config = monitor(dir.path(), &[]);
    let mut daemon = Command::new(env!("CARGO_BIN_EXE_yoke"));
    let mut daemon = daemon.arg(&config).stderr(Stdio::null()).spawn().unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    let found = loop {
        let found = yoke(&["check", &config]);
        if out(&found).contains("is held by the daemon") || std::time::Instant::now() > deadline {
            break found;
        }
    };
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    assert_eq!(found.status.code(), Some(0), "{}", out(&found));
    for part in [
        "a daemon runs with it",
        "is held by the daemon",
        "no state file: a first start needs an answer",
    ] {
        assert!(
            out(&found).contains(part),
            "`{part}` is not in: {}",
            out(&found)
        );
    }
}

#[test]
fn init_writes_files_that_a_daemon_takes_and_never_over_others() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path().display().to_string();
    let init = [
        "init",
        "a@10.0.0.1",
        "10.0.0.2:4401",
        "10.0.0.3",
        "--dir",
        &here,
    ];
    let output = yoke(&init);
    assert!(output.status.success(), "{}", said(&output));
    assert!(
        out(&output).contains("scp") && out(&output).contains("take `allow_plain = yes`"),
        "{}",
        out(&output)
    );
    let file =
        |role: &str| std::fs::read_to_string(dir.path().join(format!("{role}.ini"))).unwrap();
    assert!(
        file("secondary").contains("role = secondary\n")
            && file("secondary").contains("advertise_port = 4401\n")
    );
    assert!(
        file("monitor").contains("primary = a@10.0.0.1:4400\n")
            && !file("monitor").contains("data_dir")
    );
    // As it is the daemon asks; with the line taken in it does not.
    let config = format!("{here}/primary.ini");
    let asks = "write `allow_plain = yes`";
    assert!(out(&yoke(&["check", &config])).contains(asks));
    std::fs::write(
        &config,
        file("primary").replace("; allow_plain", "allow_plain"),
    )
    .unwrap();
    assert!(!out(&yoke(&["check", &config])).contains(asks));
    let before = file("primary");
    let again = yoke(&init);
    assert_eq!(again.status.code(), Some(1));
    assert!(
        said(&again).contains("primary.ini is there already"),
        "{}",
        said(&again)
    );
    assert_eq!(before, file("primary"));
}

#[test]
fn init_refuses_what_no_daemon_would_take_and_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path().display().to_string();
    for (third, why) in [
        ("10.0.0.1", "which another member has"),
        ("db3", "monitor: `db3` is no IP address"),
    ] {
        let output = yoke(&["init", "10.0.0.1", "10.0.0.2", third, "--dir", &here]);
        assert_eq!(output.status.code(), Some(1));
        assert!(said(&output).contains(why), "{}", said(&output));
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn completions_for_every_shell() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(
            out(&yoke(&["completions", shell])).contains("check"),
            "{shell}"
        );
        assert!(
            out(&yokeadm(&["completions", shell])).contains("demote"),
            "{shell}"
        );
    }
}

#[test]
fn a_reader_that_has_enough_is_no_panic() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_yokeadm"))
        .args(["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(said(&output), "");
}

#[test]
fn yokeadm_takes_host_and_port_from_the_environment() {
    let port = free_port();
    let mut command = Command::new(env!("CARGO_BIN_EXE_yokeadm"));
    let output = command
        .arg("list")
        .env("YOKE_HOST", "127.0.0.2")
        .env("YOKE_PORT", port.to_string())
        .output()
        .unwrap();
    let expected = format!("no yoke daemon answers at 127.0.0.2:{port}");
    assert!(
        said(&output).contains(&expected) && said(&output).contains("start it there"),
        "{}",
        said(&output)
    );
}

#[test]
fn yokeadm_names_a_host_that_does_not_exist_and_one_that_hangs() {
    let output = yokeadm(&["-H", "no-such-host.invalid", "list"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains("no-such-host.invalid:4400"),
        "{}",
        said(&output)
    );
    // Accepts, and says nothing.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let output = yokeadm(&["-p", &port, "list"]);
    assert!(
        said(&output).contains("did not answer within 5 s") && said(&output).contains("hanging"),
        "{}",
        said(&output)
    );
}

#[test]
fn the_exit_code_tells_that_nobody_serves() {
    let dir = tempfile::tempdir().unwrap();
    let config = monitor(dir.path(), &[]);
    let text = std::fs::read_to_string(&config).unwrap();
    let port = text
        .lines()
        .find_map(|l| l.strip_prefix("advertise_port = "))
        .unwrap()
        .to_owned();
    let mut daemon = Command::new(env!("CARGO_BIN_EXE_yoke"));
    let mut daemon = daemon.arg(&config).stderr(Stdio::null()).spawn().unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !yokeadm(&["-p", &port, "list"]).status.success() && std::time::Instant::now() < deadline
    {
    }
    let codes = [
        &["list"][..],
        &["list", "--exit-code"],
        &["cluster", "list", "--exit-code"],
    ]
    .map(|words| yokeadm(&[&["-p", &port], words].concat()).status.code());
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    assert_eq!(codes, [Some(0), Some(4), Some(4)]);
}
