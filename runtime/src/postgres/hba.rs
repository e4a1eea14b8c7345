//! Our access rules (the doors) and user map.
//!
//! Members are let in for replication, and for the reading of a rewind, by their address alone, as our own replication
//! role: whoever can send packets under a member's address can stream. A key of the cluster will replace that.

use crate::postgres::conf::{self, conf_files, marker};
use crate::postgres::names::{DATABASES, REPLICATION_ROLE, ROLE};
use crate::postgres::roles::roles_seen;
use crate::postgres::user::PgUser;
use crate::postgres::{Context, Said, files};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;
use yoke_core::step::Settings;

/// The map of the operating system's users to our roles.
const MAP: &str = "yoke";

/// Tells which settings the rules belong to.
pub(crate) fn first_line(settings: &Settings) -> String {
    format!("# yoke generation {}", settings.generation)
}

/// The access rules; `users`: the user's own, while the doors are open.
pub(crate) fn text(
    context: &Context,
    user: &PgUser,
    data: &Path,
    settings: &Settings,
    users: Option<&str>,
) -> String {
    let mut out = first_line(settings);
    out.push_str(
        "\n# Written by yoke; it will be overwritten. Your own rules belong into the pg_hba.conf of the data directory.\n",
    );
    let mut rule = |line: String| {
        out.push_str(&line);
        out.push('\n');
    };
    rule(format!("local all {ROLE} peer map={MAP}"));
    if !roles_seen(data) {
        // Until our role exists, its maker: the superuser that initdb named after the user that ran it.
        rule(format!("local all {} peer map={MAP}", name(&user.name)));
    }
    let addresses: BTreeSet<IpAddr> = context
        .member_ips
        .iter()
        .chain([&context.advertise_ip])
        .copied()
        .collect();
    for ip in addresses {
        let bits = if ip.is_ipv4() { 32 } else { 128 };
        rule(format!(
            "host replication,{} {REPLICATION_ROLE} {ip}/{bits} trust",
            DATABASES.join(",")
        ));
    }
    // No rule of the user's lets anybody else in under our names.
    rule(format!(
        "local all,replication {ROLE},{REPLICATION_ROLE} reject"
    ));
    rule(format!(
        "host all,replication {ROLE},{REPLICATION_ROLE} all reject"
    ));
    match users {
        Some(rules) => {
            rule(USERS.to_owned());
            out.push_str(rules);
        }
        None => {
            rule("local all,replication all reject".to_owned());
            rule("host all,replication all all reject".to_owned());
        }
    }
    out
}

/// What follows this line in our files is the user's.
pub(crate) const USERS: &str = "# yoke: your own lines follow";

/// PostgreSQL stops at the same depth.
const DEEPEST_INCLUDE: u32 = 10;

/// The user's part of one of our files; none: it was left out.
pub(crate) fn users_part(text: &str) -> Option<&str> {
    let at = text.find(USERS)?;
    Some(text[at + USERS.len()..].trim_start_matches('\n'))
}

/// The user's rules as one text that says the same wherever it lies; none: there is no such file.
///
/// # Errors
/// It, or a file that it names, cannot be read.
pub(crate) fn flat(file: &Path) -> Said<Option<String>> {
    let Some(text) = files::read_optional(file)? else {
        return Ok(None);
    };
    let mut out = String::new();
    flatten(&mut out, file, &text, 0)?;
    Ok(Some(out))
}

fn flatten(out: &mut String, file: &Path, text: &str, depth: u32) -> Said<()> {
    if depth > DEEPEST_INCLUDE {
        return Err(format!(
            "access rules include each other too deeply at {}",
            file.display()
        ));
    }
    let folder = file.parent().unwrap_or(Path::new("/"));
    out.push_str(&format!("{}\n", marker(file, 1)));
    for (at, line) in text.lines().enumerate() {
        // From PostgreSQL 16 on; before, it is no rule that it knows, and said to be one.
        let named = conf::setting(line).filter(|(name, value)| {
            matches!(
                name.as_str(),
                "include" | "include_if_exists" | "include_dir"
            ) && !value.is_empty()
        });
        let Some((directive, value)) = named else {
            out.push_str(&absolute(line, folder));
            out.push('\n');
            continue;
        };
        let path = folder.join(value.trim_matches('"'));
        let included = match directive.as_str() {
            "include_dir" => conf_files(&path)?,
            _ => vec![path],
        };
        for file in included {
            match files::read_optional(&file)? {
                Some(text) => flatten(out, &file, &text, depth + 1)?,
                None if directive == "include_if_exists" => {}
                None => return Err(format!("the included file {} is missing", file.display())),
            }
        }
        out.push_str(&format!("{}\n", marker(file, at + 2)));
    }
    Ok(())
}

/// A rule in which `@file` is named by its whole path: it counts from the file in which it stands.
fn absolute(line: &str, folder: &Path) -> String {
    if !line.contains('@') {
        return line.to_owned();
    }
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    let (mut begins, mut quoted) = (true, false);
    while let Some(c) = rest.chars().next() {
        if c == '#' && !quoted {
            break;
        }
        if c == '@' && begins {
            let name = &rest[1..];
            let end = name
                .find(|c: char| c.is_whitespace() || c == ',' || c == '#')
                .unwrap_or(name.len());
            let path = folder.join(name[..end].trim_matches('"'));
            out.push_str(&format!("@\"{}\"", path.display()));
            rest = &name[end..];
            begins = false;
            continue;
        }
        quoted ^= c == '"';
        begins = !quoted && (c.is_whitespace() || c == ',');
        out.push(c);
        rest = &rest[c.len_utf8()..];
    }
    out.push_str(rest);
    out
}

/// The user map: root and PostgreSQL's own user may be our role, and the first superuser; then the user's own.
pub(crate) fn ident_text(context: &Context, user: &PgUser, map: &str) -> String {
    let mut out = format!(
        "# Written by yoke for {}; it will be overwritten.\n",
        context.my_name()
    );
    let superuser = name(&user.name);
    for system in ["root", &superuser] {
        out.push_str(&format!(
            "{MAP} {system} {ROLE}\n{MAP} {system} {superuser}\n"
        ));
    }
    out.push_str(&format!("{USERS}\n{map}"));
    out
}

/// A name as these files want it.
fn name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_rules_name_are_named_by_their_whole_path() {
        let whole = |line| absolute(line, Path::new("/etc/pg"));
        assert_eq!(whole("local all all peer"), "local all all peer");
        assert_eq!(
            whole("host @dbs a,@users 10.0.0.0/8 md5 # @x"),
            "host @\"/etc/pg/dbs\" a,@\"/etc/pg/users\" 10.0.0.0/8 md5 # @x"
        );
        assert_eq!(whole("host all \"@x\" all md5"), "host all \"@x\" all md5");
        assert_eq!(whole("host a@b all all md5"), "host a@b all all md5");
        assert_eq!(
            whole("host @/abs all all md5"),
            "host @\"/abs\" all all md5"
        );
    }

    #[test]
    fn included_rules_are_put_in_their_place() {
        let dir = tempfile::tempdir().expect("a directory");
        let write = |name: &str, text: &str| {
            std::fs::write(dir.path().join(name), text).expect("written");
        };
        write(
            "pg_hba.conf",
            "one\ninclude \"more\"\ninclude_if_exists none\ntwo @u\n",
        );
        write("more", "three\n");
        let file = dir.path().join("pg_hba.conf");
        let text = flat(&file).expect("readable").expect("there");
        let rules: Vec<String> = conf::placed(&text)
            .filter(|(line, _)| !line.starts_with('#'))
            .map(|(line, place)| {
                let shown = format!("{line}: {place}");
                shown.replace(&*dir.path().to_string_lossy(), "")
            })
            .collect();
        assert_eq!(
            rules,
            [
                "one: /pg_hba.conf, line 1",
                "three: /more, line 1",
                "two @\"/u\": /pg_hba.conf, line 4"
            ]
        );
        write("pg_hba.conf", "include nowhere\n");
        assert!(flat(&file).expect_err("missing").contains("nowhere"));
        assert_eq!(flat(&dir.path().join("none")), Ok(None));
    }
}
