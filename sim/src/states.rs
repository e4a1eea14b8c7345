//! States as flat lists of fields, and what differs between two of them.

use crate::host::Host;
use std::collections::BTreeMap;
use std::fmt::Debug;

/// Every field of something, by its path, as its `Debug` shows it.
pub(crate) type Fields = BTreeMap<String, String>;

/// The fields of a value.
pub(crate) fn fields(name: &str, value: &impl Debug) -> Fields {
    let mut found = Fields::new();
    // The path down to each depth, and how many unnamed items came there.
    let mut path = vec![name.to_owned()];
    let mut counts = vec![0u64];
    for line in format!("{value:#?}").lines() {
        let depth = (line.len() - line.trim_start().len()) / 4 + 1;
        let text = line.trim().trim_end_matches(',');
        if matches!(text, "}" | "]" | ")" | "},") {
            continue;
        }
        path.truncate(depth);
        counts.truncate(depth);
        let (field, value) = match text.split_once(": ") {
            Some((field, value)) if !field.contains(['{', '(', '"']) => (field.to_owned(), value),
            _ if depth == 1 => (String::new(), text),
            _ => {
                let count = counts.last_mut().map_or(0, |count| {
                    *count += 1;
                    *count - 1
                });
                (count.to_string(), text)
            }
        };
        let whole = if depth == 1 {
            path[0].clone()
        } else {
            format!("{}.{field}", path[depth - 1])
        };
        let opens = value.ends_with(['{', '[', '(']);
        let shown = value.trim_end_matches(['{', '[', '(']).trim();
        // A type that holds one thing says no more than that thing.
        if !(opens && (shown.is_empty() || shown == "Some")) && depth > 1 {
            found.insert(whole.clone(), shown.to_owned());
        }
        if opens {
            path.push(whole);
            counts.push(0);
        }
    }
    found
}

/// What was one thing in the first and is another in the second.
pub(crate) fn differences(before: &Fields, after: &Fields) -> Vec<String> {
    let gone = before.iter().filter(|(path, _)| !after.contains_key(*path));
    let mut all: Vec<String> = gone
        .map(|(path, was)| format!("{path}: {was} -> gone"))
        .collect();
    for (path, is) in after {
        match before.get(path) {
            Some(was) if was == is => {}
            Some(was) => all.push(format!("{path}: {was} -> {is}")),
            None => all.push(format!("{path}: {is} (new)")),
        }
    }
    all
}

impl Host {
    /// Everything on it, machine by machine.
    pub(crate) fn fields(&self) -> Fields {
        let mut all = Fields::new();
        if let Some(daemon) = &self.daemon {
            all.extend(fields("node", &daemon.node));
            all.extend(fields("steward", &daemon.steward));
        }
        all.extend(self.guard.iter().flat_map(|guard| fields("guard", guard)));
        all.extend(
            self.server
                .iter()
                .flat_map(|server| fields("postgres", server)),
        );
        if let Some(dir) = &self.storage.directory {
            all.extend(fields("directory.stamp", &dir.stamp));
            for (name, value) in [
                ("uid", dir.uid.to_string()),
                ("lineage", format!("{:?}", dir.lineage)),
                ("end", dir.wal.end().to_string()),
                (
                    "newest",
                    format!("{:?}", dir.wal.entries.last().map(|entry| entry.kind)),
                ),
            ] {
                all.insert(format!("directory.{name}"), value);
            }
        }
        all.extend(fields("disk", &self.disk.durable));
        // The configuration and what is only told never tell more than the rest.
        all.retain(|path, _| !path.contains(".config.") && !path.ends_with(".now"));
        all
    }
}
