//! The programs under test. They belong to another package, so cargo does not build them for these tests by itself.

use crate::Said;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// `yoke`.
pub fn yoke() -> PathBuf {
    directory().join("yoke")
}

/// `yokeadm`.
pub fn yokeadm() -> PathBuf {
    directory().join("yokeadm")
}

/// Runs `yokeadm` and takes what it prints, or what it complains of. The clients go on meanwhile.
///
/// # Errors
/// It fails.
pub async fn ask(port: u16, arguments: &[&str]) -> Said<String> {
    let arguments: Vec<String> = arguments.iter().map(|a| (*a).to_owned()).collect();
    let answer = tokio::task::spawn_blocking(move || {
        let mut command = Command::new(yokeadm());
        command.args(["-p", &port.to_string()]).args(arguments);
        command.output()
    });
    let output = answer
        .await
        .map_err(|e| e.to_string())?
        .map_err(|e| format!("{}: {e}", yokeadm().display()))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// Where they are, built with the same profile as the test that asks.
fn directory() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| match build() {
        Ok(directory) => directory,
        Err(why) => panic!("the programs under test cannot be built: {why}"),
    })
}

fn build() -> Said<PathBuf> {
    let test = std::env::current_exe().map_err(|e| e.to_string())?;
    // …/target/debug/deps/failover-0123456789abcdef, or …/target/release/storm
    let profile = test
        .ancestors()
        .skip(1)
        .find(|dir| !dir.ends_with("deps"))
        .ok_or("a test at an odd place")?;
    let target = profile.parent().ok_or("a test at an odd place")?;
    let mut command = Command::new(env!("CARGO"));
    command
        .args([
            "build",
            "--locked",
            "--quiet",
            "--package",
            "yoke",
            "--bins",
        ])
        .arg("--manifest-path")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
        .arg("--target-dir")
        .arg(target);
    if profile.ends_with("release") {
        command.arg("--release");
    }
    let status = command.status().map_err(|e| e.to_string())?;
    match status.success() {
        true => Ok(profile.to_owned()),
        false => Err(format!("cargo build: {status}")),
    }
}
