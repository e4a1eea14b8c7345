//! Members that do not fit together, and one that takes part and has lost what it needs: they run on, try on, and say so
//! in the log, in `yokeadm list` and in `yoke check`.

use std::process::Command;
use tests::host::Host;
use yoke::state_file::StatusDir;
use yoke_core::HardState;

fn list(port: u16) -> String {
    let mut command = Command::new(tests::programs::yokeadm());
    let output = command.args(["-p", &port.to_string(), "list"]).output();
    let output = output.unwrap_or_else(|e| panic!("yokeadm: {e}"));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Waits until the list of that daemon says all of this.
fn until_listed(port: u16, parts: &[&str]) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let said = list(port);
        match parts.iter().find(|part| !said.contains(*part)) {
            None => return,
            Some(missing) => assert!(
                std::time::Instant::now() < deadline,
                "`{missing}` is not in: {said}"
            ),
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

/// The monitor of the same cluster, with a directory of its own.
fn monitor_of(host: &Host) -> Host {
    let monitor = Host::empty();
    let [primary, _, port, _] = host.ports();
    let text = host.text().replace("role=primary", "role=monitor");
    let lines = text
        .lines()
        .filter(|l| {
            !["data_dir", "pg_port", "status_dir"]
                .iter()
                .any(|key| l.starts_with(key))
        })
        .map(|l| {
            l.replace(
                &format!("advertise_port={primary}"),
                &format!("advertise_port={port}"),
            )
        });
    let lines: Vec<String> = lines.collect();
    let status = monitor.path("status");
    monitor.write(&format!(
        "{}\nstatus_dir={}\n",
        lines.join("\n"),
        status.display()
    ));
    monitor
}

/// Starts both, and expects each to name the other and what differs.
fn disagree(change: impl FnOnce(&Host), parts: &[&str], listed: &[&str]) {
    let host = Host::fresh();
    let monitor = monitor_of(&host);
    change(&host);
    let mut there = monitor.start("");
    there
        .until_it_says("starts at")
        .unwrap_or_else(|e| panic!("{e}"));
    let (well, checked) = host.check("").unwrap_or_else(|e| panic!("{e}"));
    assert!(!well, "{checked}");
    let mut here = host.start("");
    for part in parts {
        here.until_it_says(part)
            .unwrap_or_else(|e| panic!("here: {e}"));
        there
            .until_it_says(part)
            .unwrap_or_else(|e| panic!("there: {e}"));
        let error =
            |line: &str| line.starts_with("error    monitor at 127.0.0.1:") && line.contains(part);
        assert!(
            checked.lines().any(error),
            "`{part}` is in no error of: {checked}"
        );
    }
    until_listed(host.ports()[2], listed);
    until_listed(
        host.ports()[0],
        &["data1", "monitor: what answers there is a daemon of"],
    );
}

#[test]
fn r13_another_clusters_name_is_said_on_both_sides() {
    disagree(
        |host| host.set("cluster", "prod"),
        &["data1 belongs to the cluster `prod`, monitor to `yoke`"],
        &["data1: what answers there is a daemon of the cluster `prod`, not `yoke`"],
    );
}

#[test]
fn r13_another_member_list_is_said_on_both_sides() {
    disagree(
        |host| {
            let secondary = host.ports()[1];
            host.set("secondary", &format!("beta@127.0.0.1:{secondary}"));
        },
        &[
            "data1 has the members data1 (data), beta (data), monitor (witness), monitor has data1 (data), data2 (data), monitor (witness)",
        ],
        &[
            "data1: what answers there is a daemon of a cluster of data1, beta, monitor, not of data1, data2, monitor",
        ],
    );
}

#[test]
fn check_names_a_member_that_is_known_elsewhere_under_another_address() {
    let host = Host::fresh();
    let monitor = monitor_of(&host);
    let mut there = monitor.start("");
    there
        .until_it_says("starts at")
        .unwrap_or_else(|e| panic!("{e}"));
    let (well, said) = host.check("").unwrap_or_else(|e| panic!("{e}"));
    assert!(
        well && said.contains("witness: no state file: a first start needs"),
        "{said}"
    );
    host.set("secondary", "127.0.0.2:4400");
    let (well, said) = host.check("").unwrap_or_else(|e| panic!("{e}"));
    let known = format!(
        "it knows data2 at 127.0.0.1:{}, this configuration at 127.0.0.2:4400",
        host.ports()[1]
    );
    assert!(!well && said.contains(&known), "{said}");
}

#[test]
fn who_takes_part_already_votes_on_without_postgresql() {
    let host = Host::fresh();
    let config = host.read();
    {
        let status = StatusDir::lock(&config.status_dir).unwrap_or_else(|e| panic!("{e}"));
        status
            .store(&HardState::empty(&config.core))
            .unwrap_or_else(|e| panic!("{e}"));
    }
    let hidden = "mkdir -p /usr/lib/postgresql && mount -t tmpfs none /usr/lib/postgresql";
    let mut daemon = host.start(hidden);
    daemon
        .until_it_says("is not installed")
        .unwrap_or_else(|e| panic!("{e}"));
    until_listed(host.ports()[0], &["data1: ", "is not installed"]);
    // Without state it is refused.
    drop(daemon);
    std::fs::remove_file(host.path("status/yoke.state")).unwrap_or_else(|e| panic!("{e}"));
    let said = host.refused(hidden).unwrap_or_else(|e| panic!("{e}"));
    assert!(said.contains("is not installed"), "{said}");
}
