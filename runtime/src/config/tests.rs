use super::*;
use crate::hooks::vip::Change;

const WHOLE: &str = "[config]
  advertise_ip=127.0.0.1
  advertise_port=4402
  data_dir=/var/lib/postgresql/failover/2/data
  status_dir=/var/lib/postgresql/failover/2
  pg_port=5432
  role=secondary
  peers=127.0.0.1:4401,127.0.0.1:4402,127.0.0.1:4403
  monitor=127.0.0.1:4403
  primary=127.0.0.1:4401
  secondary=127.0.0.1:4402
";

fn with(from: &str, to: &str) -> String {
    assert!(WHOLE.contains(from), "{from}");
    WHOLE.replace(from, to)
}

fn error(text: &str) -> String {
    let wrong = Configuration::parse(text).unwrap_err();
    ConfigError {
        file: "y.conf".into(),
        line: wrong.line,
        what: wrong.what,
    }
    .to_string()
}

#[test]
fn the_originals_file_works_unchanged() {
    let c = Configuration::parse(WHOLE).unwrap();
    assert_eq!(c.core.me, MemberId(1));
    assert_eq!(c.core.configured_primary, MemberId(0));
    assert_eq!(c.core.cluster, "yoke");
    assert_eq!(c.core.decision_timeout, Duration::secs(5));
    assert_eq!(c.core.sync_timeout, Duration::secs(2));
    assert_eq!(c.core.health_timeout, Duration::secs(3));
    let names: Vec<&str> = c.core.ids().map(|m| c.core.name(m)).collect();
    assert_eq!(names, ["data1", "data2", "monitor"]);
    assert_eq!(c.address(MemberId(2)).to_string(), "127.0.0.1:4403");
    assert_eq!(
        c.data_dir,
        Some("/var/lib/postgresql/failover/2/data".into())
    );
    assert!(c.warnings.is_empty() && c.holds_data());
}

#[test]
fn quotes_tabs_and_carriage_returns_do_no_harm() {
    let text = with("role=secondary", "\trole =\t'secondary' \t")
        .replace("advertise_ip=127.0.0.1", "advertise_ip=\"127.0.0.1\"")
        .replace('\n', "\r\n");
    let c = Configuration::parse(&format!("\u{feff}{text}")).unwrap();
    assert_eq!(c.core.me, MemberId(1));
    let empty = error(&with("role=secondary", "role=\"\""));
    assert!(empty.contains("`role` has no value"), "{empty}");
}

#[test]
fn members_have_names_and_ports_by_default() {
    let text = with("primary=127.0.0.1:4401", "primary = alpha@127.0.0.2");
    let c = Configuration::parse(&text).unwrap();
    assert_eq!(c.core.name(MemberId(0)), "alpha");
    assert_eq!(c.address(MemberId(0)).to_string(), "127.0.0.2:4400");
    let text = with("primary=127.0.0.1:4401", "primary = [::1]:7");
    assert_eq!(
        Configuration::parse(&text)
            .unwrap()
            .address(MemberId(0))
            .to_string(),
        "[::1]:7"
    );
}

#[test]
fn a_monitor_needs_no_data_directory() {
    let text = with("role=secondary", "role=monitor")
        .replace("advertise_port=4402", "advertise_port=4403")
        .replace("  data_dir=/var/lib/postgresql/failover/2/data\n", "");
    let c = Configuration::parse(&text).unwrap();
    assert!(!c.holds_data() && c.data_dir.is_none());
}

#[test]
fn durations_are_seconds_or_have_a_unit() {
    for (value, micros) in [("7", 7_000_000), ("7s", 7_000_000), ("1500ms", 1_500_000)] {
        let text = format!("{WHOLE}decision_timeout={value}\n");
        let c = Configuration::parse(&text).unwrap();
        assert_eq!(c.core.decision_timeout, Duration(micros));
    }
}

/// As the original prints it.
const HOOKS: &str = "  sync_command=rsync -a --delete {{local_dir}} {{slave_dir}}
[vip]
  ip=\"1.2.3.4\"
  add_command=echo I’m the master, you should replace this with a real command
  remove_command=echo I’m the slave, you should replace this with a real command
[role_change]
  command=/usr/local/bin/role-changed
";

#[test]
fn the_originals_commands_work_unchanged() {
    let c = Configuration::parse(&format!("{WHOLE}{HOOKS}")).unwrap();
    let vip = c.vip.clone().unwrap();
    assert_eq!(vip.ip, "1.2.3.4");
    assert_eq!(
        vip.line(Change::Add),
        "echo I’m the master, you should replace this with a real command 1.2.3.4"
    );
    assert!(vip.line(Change::Remove).starts_with("echo I’m the slave"));
    assert_eq!(
        c.role_command.as_deref(),
        Some("/usr/local/bin/role-changed")
    );
    assert!(
        c.sync_command.is_some() && c.warnings.is_empty(),
        "{:?}",
        c.warnings
    );
    // They go to the guard with all the rest.
    assert_eq!(c.context().unwrap().vip, Some(vip));
    let c = Configuration::parse(&format!("{WHOLE}[vip]\nip=\n[role_change]\ncommand=\n"));
    let c = c.unwrap();
    assert!(c.vip.is_none() && c.role_command.is_none());
}

#[test]
fn mistakes_in_the_commands_are_named() {
    let cases = [
        (
            "[vip]\nip=1.2.3.4\nadd_command=echo I'm the master\n",
            "y.conf:14: add_command is `echo I'm the master`: no shell closes the ' before `m the master`",
        ),
        (
            "[role_change]\ncommand=echo \"\n",
            "y.conf:13: command is `echo \"`: no shell closes the \"",
        ),
        (
            "[vip]\nip=1.2.3.4\nadd_command=true\nremove_command=ip addr del # x\n",
            "y.conf:15: remove_command is `ip addr del # x`: everything after the #",
        ),
        (
            "[vip]\nip=1.2.3.x\nadd_command=true\n",
            "y.conf:13: ip is `1.2.3.x`: `1.2.3.x` is no IP address",
        ),
        (
            "[vip]\nip=1.2.3.4/33\nadd_command=true\n",
            "y.conf:13: ip is `1.2.3.4/33`: expected at most /32",
        ),
        (
            "[vip]\nip=0.0.0.0\nadd_command=true\n",
            "y.conf:13: ip is `0.0.0.0`: 0.0.0.0 means every address",
        ),
        (
            "[vip]\nip=1.2.3.4\n",
            "y.conf:13: [vip] has `ip`, but no add_command",
        ),
        (
            "[vip]\nip=1.2.3.4\nremove_command=true\n",
            "y.conf:14: [vip] has `remove_command`, but no add_command",
        ),
        (
            "[vip]\nadd_command=true\nremove_command=true\n",
            "y.conf:13: [vip] has commands but no `ip`",
        ),
        (
            "sync_command=cp -a {{local_dir}}. {{slave}}\n",
            "y.conf:12: sync_command is `cp -a {{local_dir}}. {{slave}}`: {{slave}} is not known: expected {{local_dir}}, {{slave_dir}} or {{slave_ip}}",
        ),
        ("sync_command=true\n", "it does not say where to"),
        ("sync_command=cp ' {{slave_dir}}\n", "no shell closes the '"),
    ];
    for (lines, expected) in cases {
        let said = error(&format!("{WHOLE}{lines}"));
        assert!(said.contains(expected), "{lines}: {said}");
    }
    let spaced = with("/2/data\n  status", "/2/my data\n  status");
    let said = error(&format!("{spaced}{HOOKS}"));
    assert!(
        said.contains("y.conf:12: sync_command cannot be used"),
        "{said}"
    );
}

#[test]
fn what_may_be_meant_otherwise_is_warned_of() {
    let warnings = |text: &str| Configuration::parse(text).unwrap().warnings;
    let alone = warnings(&format!("{WHOLE}[vip]\nip=10.0.0.9/24\nadd_command=true\n"));
    assert!(
        alone.len() == 1 && alone[0].starts_with("line 12: [vip] has no remove_command"),
        "{alone:?}"
    );
    let far = WHOLE.replace("primary=127.0.0.1:4401", "primary=127.0.0.9:4401");
    let here = warnings(&format!("{far}{HOOKS}"));
    assert!(
        here.len() == 1 && here[0].starts_with("line 12: sync_command copies to this very host"),
        "{here:?}"
    );
    let there = HOOKS.replace("{{slave_dir}}", "{{slave_ip}}:{{slave_dir}}");
    assert!(warnings(&format!("{far}{there}")).is_empty());
}

#[test]
fn every_mistake_has_its_own_sentence() {
    let cases = [
        (
            with("advertise_port=4402", "advertise_prt=4402"),
            "y.conf:3: unknown key `advertise_prt`",
        ),
        (
            with("pg_port=5432", "pg_port=x"),
            "y.conf:6: pg_port is `x`: `x` is no port",
        ),
        (
            with("pg_port=5432", "pg_port=0"),
            "y.conf:6: pg_port is `0`",
        ),
        (
            with("pg_port=5432", "pg_port=99999"),
            "y.conf:6: pg_port is `99999`",
        ),
        (
            with("role=secondary", "role=slave"),
            "y.conf:7: role is `slave`: expected primary, secondary or monitor",
        ),
        (
            with("role=secondary", "role=primary"),
            "y.conf:7: role is primary, and primary has the address 127.0.0.1:4401, but",
        ),
        (
            with("  role=secondary\n", ""),
            "y.conf: `role` is missing in [config]",
        ),
        (
            with("role=secondary", "role="),
            "y.conf:7: `role` has no value",
        ),
        (
            with("  primary=127.0.0.1:4401\n", ""),
            "y.conf: `primary` is missing",
        ),
        (
            with("primary=127.0.0.1:4401", "primary=127.0.0.1:4403"),
            "y.conf:9: monitor has the address 127.0.0.1:4403, which",
        ),
        (
            with("primary=127.0.0.1:4401", "primary=data2@127.0.0.1:4401"),
            "y.conf:11: secondary has the name `data2`",
        ),
        (
            with("primary=127.0.0.1:4401", "primary=db1:4401"),
            "y.conf:10: primary is `db1:4401`: `db1` is no IP address",
        ),
        (
            with("primary=127.0.0.1:4401", "primary=A@127.0.0.1:4401"),
            "y.conf:10: primary is `A@127.0.0.1:4401`: `A` is no name",
        ),
        (
            with("primary=127.0.0.1:4401", "primary=127.0.0.1:x"),
            "y.conf:10: primary is `127.0.0.1:x`: `x` is no port",
        ),
        (
            with("primary=127.0.0.1:4401", "primary=127.0.0.1:0"),
            "y.conf:10: primary is `127.0.0.1:0`: `0` is no port",
        ),
        (
            with("primary=127.0.0.1:4401", "primary=10.0.0.1:4401"),
            "y.conf: members are on other hosts (10.0.0.1:4401)",
        ),
        (
            with("status_dir=/var", "status_dir=var"),
            "y.conf:5: status_dir is `var/lib/postgresql/failover/2`: expected a whole path",
        ),
        (
            with(
                "status_dir=/var/lib/postgresql/failover/2",
                "status_dir=/var/lib/postgresql/failover/2/data/y",
            ),
            "y.conf:5: status_dir is data_dir or lies in it",
        ),
        (
            with("  data_dir=/var/lib/postgresql/failover/2/data\n", ""),
            "y.conf: `data_dir` is missing",
        ),
        (
            format!("{WHOLE}decision_timeout=999ms\n"),
            "y.conf:12: decision_timeout is `999ms`: expected at least 1.000 s",
        ),
        (
            format!("{WHOLE}health_timeout=499ms\n"),
            "y.conf:12: health_timeout is `499ms`: expected at least 0.500 s",
        ),
        (
            format!("{WHOLE}sync_timeout=100ms\n"),
            "y.conf:12: sync_timeout is `100ms`: expected at least 0.500 s",
        ),
        (
            format!("{WHOLE}decision_timeout=soon\n"),
            "y.conf:12: decision_timeout is `soon`: expected a length",
        ),
        (
            format!("{WHOLE}log_level=loud\n"),
            "y.conf:12: log_level is `loud`: expected error, warn",
        ),
        (
            format!("{WHOLE}cluster=Büro\n"),
            "y.conf:12: cluster is `Büro`",
        ),
        (
            format!("{WHOLE}[vipp]\n"),
            "y.conf:12: unknown section [vipp]: did you mean [vip]?",
        ),
        (
            format!("{WHOLE}add_command=x\n"),
            "y.conf:12: unknown key `add_command` in [config]: `add_command` belongs into section [vip]",
        ),
        (
            with("pg_port=5432", "pg_port=4402"),
            "y.conf:6: pg_port is 4402, but 127.0.0.1:4402 is a daemon's address",
        ),
        (
            with("pg_port=5432", "pg_port=4401"),
            "y.conf:6: pg_port is 4401, but 127.0.0.1:4401 is a daemon's address",
        ),
        (
            with("role=secondary", "role=secondary ; this host"),
            "y.conf:7: role is `secondary ; this host`: everything after `=` is the value",
        ),
        (
            with("advertise_ip=127.0.0.1", "advertise_ip=\"127.0.0.1"),
            "y.conf:2: advertise_ip is `\"127.0.0.1`: the quote \" is not closed",
        ),
        (
            with("role=secondary", "Role=secondary"),
            "y.conf:7: unknown key `Role` in [config]: write it in small letters, `role`",
        ),
        (
            format!("{WHOLE}[CONFIG]\n"),
            "y.conf:12: unknown section [CONFIG]: did you mean [config]?",
        ),
        (
            "[vip]\nip=1\n".to_owned(),
            "y.conf: the section [config] is missing",
        ),
        (String::new(), "y.conf: the section [config] is missing"),
    ];
    for (text, expected) in cases {
        let found = error(&text);
        assert!(
            found.starts_with(expected),
            "found    {found}\nexpected {expected}"
        );
    }
}

#[test]
fn plain_connections_between_hosts_have_to_be_allowed() {
    let far = with("primary=127.0.0.1:4401", "primary=10.0.0.1:4401");
    assert!(Configuration::parse(&far).is_err());
    assert!(Configuration::parse(&format!("{far}allow_plain=no\n")).is_err());
    assert!(Configuration::parse(&format!("{far}allow_plain=yes\n")).is_ok());
}
