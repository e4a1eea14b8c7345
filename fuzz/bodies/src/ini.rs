//! The configuration file: whatever stands in it, the answer is a configuration, or an error that a person can act on.

use std::path::Path;
use yoke::config::{Configuration, ini, keys};

/// The bytes are the file.
pub fn run(bytes: &[u8]) {
    let file = Path::new("/etc/yoke.conf");
    match Configuration::parse_bytes(file, bytes) {
        Ok(config) => {
            let text = String::from_utf8_lossy(bytes);
            let printed = print(&text);
            let again = Configuration::parse_as(file, &printed)
                .unwrap_or_else(|e| panic!("it was read, and this is not: {e}\n{printed}"));
            assert_eq!(values(&again), values(&config), "{printed}");
        }
        Err(error) => {
            assert_eq!(error.file, file);
            names_its_place(bytes, error.line, &error.what);
        }
    }
}

/// The sections and entries as they were understood, one a line.
fn print(text: &str) -> String {
    let sections = ini::parse(text).unwrap_or_else(|e| panic!("a configuration of no form: {e}"));
    let mut printed = String::new();
    for section in sections {
        printed += &format!("[{}]\n", section.name);
        for entry in section.entries {
            printed += &format!("{}={}\n", entry.key, entry.value);
        }
    }
    printed
}

/// All that was read, but for the lines where it stood.
fn values(config: &Configuration) -> String {
    let Configuration {
        core,
        addresses,
        data_dir,
        status_dir,
        pg_port,
        pg_bin,
        pg_user,
        log_level,
        vip,
        role_command,
        sync_command,
        ..
    } = config;
    format!(
        "{core:?} {addresses:?} {data_dir:?} {status_dir:?} {pg_port} {pg_bin:?} {pg_user:?} {log_level} {vip:?} \
         {role_command:?} {sync_command:?}"
    )
}

/// An error has a line of the file, and says what stands there or what the section lacks; one without a line says which key or section it is about.
fn names_its_place(bytes: &[u8], line: Option<usize>, what: &str) {
    let Some(line) = line else {
        let known = keys::KEYS.iter().any(|key| what.contains(key.name));
        assert!(
            known || what.contains("[config]") || what.contains("no configuration"),
            "it names neither line nor key: {what}"
        );
        return;
    };
    let text = String::from_utf8_lossy(bytes);
    // A file that ends in a line feed has its last line before it.
    let found = text.split('\n').nth(line.wrapping_sub(1));
    let Some(found) = found else {
        panic!("there is no line {line}: {what}");
    };
    let found = found.trim_start_matches('\u{feff}').trim();
    let key = found.split(['=', ']']).next().unwrap_or(found);
    let key = key.trim_start_matches('[').trim();
    // Of what its section lacks, the section is named.
    let above = text
        .split('\n')
        .take(line)
        .map(|l| l.trim_start_matches('\u{feff}').trim());
    let section = above
        .filter(|l| l.starts_with('[') && l.ends_with(']'))
        .last();
    let named = section.is_some_and(|section| what.contains(section));
    let odd = what.contains("no UTF-8") || what.contains("control character");
    assert!(
        odd || named || what.contains(key),
        "line {line} is {found:?}, and it speaks of something else: {what}"
    );
}
