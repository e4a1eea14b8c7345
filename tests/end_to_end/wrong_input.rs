//! A host without PostgreSQL: one clear line, and a status that is not 0. (Wrong configurations: `runtime/tests/cli.rs`.)

use std::path::Path;
use std::process::{Command, Output};
use tests::programs::yoke;

/// Runs `yoke` where PostgreSQL's programs cannot be seen: nothing is removed, another mount namespace hides them.
fn without_postgresql(argument: &Path) -> Output {
    let hide = "mkdir -p /usr/lib/postgresql && mount -t tmpfs none /usr/lib/postgresql && exec \"$0\" \"$1\"";
    Command::new("unshare")
        .args(["--mount", "sh", "-c", hide])
        .arg(yoke())
        .arg(argument)
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .output()
        .unwrap_or_else(|e| panic!("unshare: {e}"))
}

fn assert_says(output: &Output, parts: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    for part in parts {
        assert!(said.contains(part), "`{part}` is not in: {said}");
    }
}

#[test]
fn the_demo_without_postgresql_says_how_to_install_it() {
    let output = without_postgresql(Path::new("demo"));
    assert_says(&output, &["not installed", "apt-get install postgresql"]);
}

#[test]
fn the_daemon_without_postgresql_says_how_to_install_it() {
    let dir = tempfile::tempdir().unwrap_or_else(|e| panic!("{e}"));
    let write = |name: &str, text: &str| {
        std::fs::write(dir.path().join(name), text).unwrap_or_else(|e| panic!("{e}"));
    };
    std::fs::create_dir(dir.path().join("data")).unwrap_or_else(|e| panic!("{e}"));
    write("data/PG_VERSION", "15\n");
    let here = dir.path().display();
    // Nobody gets so far as to listen.
    write(
        "yoke.ini",
        &format!(
            "[config]\nrole=primary\nadvertise_ip=127.0.0.1\nadvertise_port=4471\ndata_dir={here}/data\n\
             status_dir={here}\nprimary=127.0.0.1:4471\nsecondary=127.0.0.1:4472\nmonitor=127.0.0.1:4473\n"
        ),
    );
    let output = without_postgresql(&dir.path().join("yoke.ini"));
    assert_says(
        &output,
        &["PostgreSQL 15 is not installed", "postgresql-15"],
    );
}
