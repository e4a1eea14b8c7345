//! States as flat lists of fields, and what differs between two of them.

use crate::host::Host;
use std::collections::BTreeMap;
use std::fmt::Debug;

/// Every field of something, by its path, as its `Debug` shows it.
pub(crate) type Fields = BTreeMap<String, String>;

/// The fields of a value.
pub(crate) fn fields(name: &str, value: &impl Debug) -> Fields {
    let mut found = Fields::new();
    // What is open at each depth: its path, how many unnamed items came in it, and whether it is only a `Some`.
    let mut open: Vec<(String, u64, bool)> = vec![];
    for line in format!("{value:#?}").lines() {
        let depth = (line.len() - line.trim_start().len()) / 4;
        let text = line.trim().trim_end_matches(',');
        if matches!(text, "}" | "]" | ")") {
            continue;
        }
        open.truncate(depth);
        let named = text
            .split_once(": ")
            .filter(|(field, _)| !field.contains(['{', '(', '"']));
        let (path, value) = match (open.last_mut(), named) {
            (None, _) => (name.to_owned(), text),
            (Some((path, ..)), Some((field, value))) => (format!("{path}.{field}"), value),
            (Some((path, _, true)), None) => (path.clone(), text),
            (Some((path, count, false)), None) => {
                *count += 1;
                (format!("{path}.{}", *count - 1), text)
            }
        };
        let opens = value.ends_with(['{', '[', '(']);
        let shown = value.trim_end_matches(['{', '[', '(']).trim();
        let some = opens && shown == "Some";
        if !some {
            found.insert(
                path.clone(),
                if shown.is_empty() { "[..]" } else { shown }.to_owned(),
            );
        }
        if opens {
            open.push((path, 0, some));
        }
    }
    found
}

/// What was one thing in the first and is another in the second. Of what is gone as a whole its fields are not told.
pub(crate) fn differences(before: &Fields, after: &Fields) -> Vec<String> {
    let mut all = vec![];
    for (path, was) in before {
        let mut above = path.as_str();
        let told = loop {
            above = match above.rsplit_once('.') {
                Some((above, _)) => above,
                None => break false,
            };
            if before.contains_key(above) && before.get(above) != after.get(above) {
                break true;
            }
        };
        if !after.contains_key(path) && !told {
            all.push(format!("{path}: {was} -> gone"));
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    #[expect(dead_code, reason = "only shown")]
    struct Thing {
        number: u32,
        maybe: Option<Inner>,
        list: Vec<(u8, Option<u8>)>,
    }

    #[derive(Debug)]
    #[expect(dead_code, reason = "only shown")]
    struct Inner {
        word: &'static str,
    }

    #[test]
    fn every_field_has_its_path_and_what_changed_is_told_once() {
        let before = Thing {
            number: 1,
            maybe: Some(Inner { word: "a: b" }),
            list: vec![(1, None), (2, Some(3))],
        };
        let after = Thing {
            number: 2,
            maybe: None,
            list: vec![(1, Some(4)), (2, Some(3))],
        };
        let (before, after) = (fields("t", &before), fields("t", &after));
        assert_eq!(before["t.maybe"], "Inner");
        assert_eq!(before["t.maybe.word"], "\"a: b\"");
        assert_eq!(before["t.list.1.1"], "3");
        assert_eq!(
            differences(&before, &after),
            [
                "t.list.0.1: None -> 4",
                "t.maybe: Inner -> None",
                "t.number: 1 -> 2"
            ]
        );
    }
}
