//! What `sync_command` may say, and what is put into it.
//!
//! Paths go into a line for a shell, most likely even for a second one at the other end of ssh, and quotes cannot be right
//! for both: only paths that need none are taken.

use crate::postgres::Said;
use std::net::IpAddr;
use std::path::{Component, Path};

const LOCAL_DIR: &str = "{{local_dir}}";
const SLAVE_DIR: &str = "{{slave_dir}}";
const SLAVE_IP: &str = "{{slave_ip}}";

/// Whether the command can be used: a half sentence if not.
///
/// # Errors
/// What was expected.
pub fn check(command: &str) -> Result<(), String> {
    let mut rest = command;
    while let Some(at) = rest.find("{{") {
        let known = [LOCAL_DIR, SLAVE_DIR, SLAVE_IP]
            .iter()
            .find(|known| rest[at..].starts_with(**known));
        let Some(known) = known else {
            let end = rest[at..].find("}}").map_or(rest.len(), |end| at + end + 2);
            return Err(format!(
                "{} is not known: expected {LOCAL_DIR}, {SLAVE_DIR} or {SLAVE_IP}",
                &rest[at..end]
            ));
        };
        rest = &rest[at + known.len()..];
    }
    match command.contains(SLAVE_DIR) {
        true => Ok(()),
        false => Err(format!(
            "it does not say where to: expected {SLAVE_DIR}, the directory that the copy goes into"
        )),
    }
}

/// Whether the command names the host that the copy goes to.
pub fn names_the_host(command: &str) -> bool {
    command.contains(SLAVE_IP)
}

/// The line for the shell.
///
/// # Errors
/// A path that a shell would not take as it stands.
pub fn fill(command: &str, local: &Path, slave: &Path, ip: IpAddr) -> Said<String> {
    let local = plain_path(local)?;
    let slave = plain_path(slave)?;
    Ok(command
        .replace(LOCAL_DIR, &format!("{}/", local.trim_end_matches('/')))
        .replace(SLAVE_DIR, slave)
        .replace(SLAVE_IP, &ip.to_string()))
}

/// The path's text, if it is absolute and means itself to any shell and to rsync.
///
/// # Errors
/// It is not so, and why.
pub fn plain_path(path: &Path) -> Said<&str> {
    let refused = |why: &str| Err(format!("`{}` {why}", path.display()));
    let Some(text) = path.to_str() else {
        return refused("is no text in UTF-8");
    };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@,%=".contains(c);
    if !text.starts_with('/') || text.len() > 1_000 {
        return refused("is no absolute path of at most 1000 bytes");
    }
    if path.components().any(|c| c == Component::ParentDir) {
        return refused("leads upwards by `..`");
    }
    match text.chars().find(|c| !is_plain(*c)) {
        None => Ok(text),
        Some(c) => refused(&format!(
            "holds the character {c:?}: a path for a shell may have letters, digits and / . _ - + @ , % ="
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tutorials_command_is_filled_in() {
        let filled = fill(
            "rsync -a --delete {{local_dir}} {{slave_ip}}:{{slave_dir}}",
            Path::new("/var/lib/postgresql/1/data"),
            Path::new("/var/lib/postgresql/2/data.new-1"),
            IpAddr::from([10, 0, 0, 2]),
        );
        assert_eq!(
            filled.as_deref(),
            Ok(
                "rsync -a --delete /var/lib/postgresql/1/data/ 10.0.0.2:/var/lib/postgresql/2/data.new-1"
            )
        );
    }

    #[test]
    fn no_path_can_say_more_to_a_shell_than_itself() {
        let fits = |path: &str| plain_path(Path::new(path)).is_ok();
        assert!(fits("/srv/pg-15/data.new-0a1b2c3d"));
        for path in [
            "relative",
            "",
            "/a b",
            "/a;reboot",
            "/a$(reboot)",
            "/a`reboot`",
            "/a/../../etc",
            "/a'",
            "/a\n",
            "/a:b",
            "/a*",
            "/a\u{e9}",
            "/~",
        ] {
            assert!(!fits(path), "{path}");
        }
        assert!(!fits(&format!("/{}", "a".repeat(1_000))));
    }

    #[test]
    fn an_unknown_placeholder_is_named_with_the_known_ones() {
        assert_eq!(check("cp {{local_dir}} {{slave_dir}} x{y}"), Ok(()));
        let said = check("cp {{local_dir}} {{slave_host}}:{{slave_dir}}").unwrap_err();
        assert!(said.starts_with("{{slave_host}} is not known"), "{said}");
        assert!(said.contains("{{slave_ip}}"), "{said}");
        assert!(
            check("cp {{local_dir")
                .unwrap_err()
                .contains("{{local_dir is")
        );
        assert!(check("true").unwrap_err().contains("{{slave_dir}}"));
    }
}
