//! The form of a configuration file: sections, `key = value`, whole-line comments. What the keys mean is not known here.
//!
//! Everything after the first `=` is the value, trimmed: shell commands with `#`, `;`, `=` and quotes pass whole.

/// A file's sections in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Section {
    /// What stands between the brackets.
    pub name: String,
    /// Where.
    pub line: usize,
    /// Its entries, in order; no key occurs twice.
    pub entries: Vec<Entry>,
}

/// One `key = value`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Before the first `=`.
    pub key: String,
    /// After it.
    pub value: String,
    /// Where.
    pub line: usize,
}

/// What is wrong with the form of a file, and where.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{what}")]
pub struct IniError {
    /// Counted from 1.
    pub line: usize,
    /// What was found, what was expected, what to do.
    pub what: String,
}

/// Reads a file's sections.
///
/// # Errors
/// The first line that is not of the form, or that repeats a section or a key.
pub fn parse(text: &str) -> Result<Vec<Section>, IniError> {
    let mut sections: Vec<Section> = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (line, content) in (1..).zip(text.lines()) {
        let content = content.trim();
        if content.is_empty() || content.starts_with(['#', ';']) {
            continue;
        }
        let wrong = |what: String| Err(IniError { line, what });
        if let Some(rest) = content.strip_prefix('[') {
            let Some(name) = rest.strip_suffix(']').map(str::trim) else {
                return wrong(format!(
                    "`{content}` begins like a section but has no `]` at its end: write it as `[config]`"
                ));
            };
            if let Some(first) = sections.iter().find(|s| s.name == name) {
                return wrong(format!(
                    "section [{name}] is here a second time, first in line {}: put all its keys into one",
                    first.line
                ));
            }
            sections.push(Section {
                name: name.to_owned(),
                line,
                entries: Vec::new(),
            });
        } else if let Some((key, value)) = content.split_once('=') {
            let (key, value) = (key.trim(), value.trim());
            let Some(section) = sections.last_mut() else {
                return wrong(format!(
                    "`{key}` stands before the first section: a file begins with `[config]`"
                ));
            };
            if key.is_empty() {
                return wrong(format!("`{content}` has no key before its `=`"));
            }
            if let Some(first) = section.entries.iter().find(|e| e.key == key) {
                return wrong(format!(
                    "`{key}` is here a second time, first in line {} with the value `{}`: take one of them out",
                    first.line, first.value
                ));
            }
            section.entries.push(Entry {
                key: key.to_owned(),
                value: value.to_owned(),
                line,
            });
        } else {
            return wrong(format!(
                "`{content}` is no line of a configuration: expected `[section]`, `key = value`, or a comment that begins with # or ;"
            ));
        }
    }
    Ok(sections)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> (usize, String) {
        let e = parse(text).unwrap_err();
        (e.line, e.what)
    }

    #[test]
    fn values_keep_everything_after_the_first_equals_sign() {
        let text = "\u{feff}# comment\r\n[vip]\r\n; another\r\n  add_command = ip addr add $VIP dev e0 label e0:1 # x; echo \"a=b\" \\n \r\n\n[config]\nempty=\n";
        let sections = parse(text).unwrap();
        assert_eq!(sections.len(), 2);
        let entry = &sections[0].entries[0];
        assert_eq!((entry.key.as_str(), entry.line), ("add_command", 4));
        assert_eq!(
            entry.value,
            "ip addr add $VIP dev e0 label e0:1 # x; echo \"a=b\" \\n"
        );
        assert_eq!(sections[1].entries[0].value, "");
    }

    #[test]
    fn case_is_kept() {
        let sections = parse("[config]\nRole=a\nrole=b\n").unwrap();
        assert_eq!(sections[0].entries.len(), 2);
    }

    #[test]
    fn a_second_section_or_key_is_an_error_that_names_the_first() {
        let (line, what) = error("[a]\n[b]\n\n[a]\n");
        assert_eq!(line, 4);
        assert!(what.contains("first in line 1"), "{what}");
        let (line, what) = error("[a]\nk=1\nk=2\n");
        assert_eq!(line, 3);
        assert!(
            what.contains("first in line 2 with the value `1`"),
            "{what}"
        );
    }

    #[test]
    fn nonsense_is_an_error_with_its_line() {
        assert_eq!(error("[a]\nwhat is this\n").0, 2);
        assert_eq!(error("[a\n").0, 1);
        assert_eq!(error("[a]\n=1\n").0, 2);
        let (line, what) = error("k=1\n");
        assert_eq!(line, 1);
        assert!(what.contains("before the first section"), "{what}");
    }
}
