//! Values that are one word, path or address: their quotes come off, and what looks like a comment after them is refused.
//! Commands are left as they are: the shell reads them.

use super::ini::Section;
use super::{Wrong, bad};

/// Takes the quotes off all values but the commands'.
///
/// # Errors
/// A quote that is not closed, or a comment behind a value.
pub(super) fn unquote(sections: &mut [Section]) -> Result<(), Wrong> {
    let entries = sections.iter_mut().flat_map(|s| &mut s.entries);
    for entry in entries.filter(|e| !e.key.ends_with("command")) {
        entry.value = single(&entry.value).map_err(|e| bad(entry, e))?.to_owned();
    }
    Ok(())
}

fn single(value: &str) -> Result<&str, String> {
    for quote in ['"', '\''] {
        let Some(rest) = value.strip_prefix(quote) else {
            continue;
        };
        return match rest.split_once(quote) {
            Some((inner, "")) => Ok(inner.trim()),
            Some((_, after)) => Err(format!(
                "`{}` stands after the closing {quote}: a value is one word, and a comment stands in a line of its own",
                after.trim()
            )),
            None => Err(format!(
                "the quote {quote} is not closed: close it, or take it out"
            )),
        };
    }
    let comment = value
        .match_indices([';', '#'])
        .find(|(at, _)| value[..*at].ends_with(char::is_whitespace));
    match comment {
        Some((at, _)) => Err(format!(
            "everything after `=` is the value, `{}` too: a comment stands in a line of its own",
            &value[at..]
        )),
        None => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_come_off_and_comments_are_refused() {
        for (value, read) in [
            ("1.2.3.4", "1.2.3.4"),
            ("\"1.2.3.4\"", "1.2.3.4"),
            ("'a b'", "a b"),
            ("\"\"", ""),
            ("a;b#c", "a;b#c"),
            ("/it's", "/it's"),
            ("\"/a #b\"", "/a #b"),
        ] {
            assert_eq!(single(value).as_deref(), Ok(read), "{value}");
        }
        for (value, why) in [
            ("primary ; comment", "`; comment` too"),
            ("primary\t# comment", "a line of its own"),
            ("\"1.2.3.4", "is not closed"),
            ("\"1.2.3.4\" # x", "`# x` stands after"),
            ("\"", "is not closed"),
        ] {
            let said = single(value).unwrap_err();
            assert!(said.contains(why), "{value}: {said}");
        }
    }
}
