//! `yoke demo --script`, as a user runs it: exit status 0, and nothing left behind.

use std::process::Command;
use tests::programs::yoke;

#[test]
fn the_tour_ends_well() {
    let output = Command::new(yoke())
        .args(["demo", "--script"])
        .output()
        .unwrap_or_else(|e| panic!("{}: {e}", yoke().display()));
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}", output.status);
    assert!(said.contains("No acknowledged write was lost"));
    let dir = said
        .split_whitespace()
        .find(|word| word.contains("yoke-demo-"));
    let dir = dir.unwrap_or_default().trim_end_matches(',');
    assert!(
        !dir.is_empty() && !std::path::Path::new(dir).exists(),
        "{dir} is left"
    );
}

#[test]
fn a_directory_in_use_is_refused() {
    let dir = tempfile::tempdir().unwrap_or_else(|e| panic!("{e}"));
    std::fs::write(dir.path().join("something"), "").unwrap_or_else(|e| panic!("{e}"));
    let output = Command::new(yoke())
        .args(["demo", "--dir"])
        .arg(dir.path())
        .output()
        .unwrap_or_else(|e| panic!("{}: {e}", yoke().display()));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(
        said.contains("is not empty") && said.lines().count() == 1,
        "{said}"
    );
}
