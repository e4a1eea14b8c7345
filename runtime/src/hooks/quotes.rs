//! A small reading of a shell's quoting: only to tell, before it matters, a line that every shell would refuse.

/// What a shell finds open at the line's end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Open {
    Single,
    Double,
    Backquote,
    /// `$(`, or a bracket in it.
    Bracket,
}

/// What is wrong with a command's line, as half a sentence; nothing most likely.
pub fn complaint(line: &str) -> Option<String> {
    let mut open: Vec<(Open, usize)> = Vec::new();
    let mut characters = line.char_indices().peekable();
    let mut before = ' ';
    while let Some((at, c)) = characters.next() {
        let inner = open.last().map(|(open, _)| *open);
        match (inner, c) {
            (Some(Open::Single), '\'') => drop(open.pop()),
            (Some(Open::Single), _) => {}
            (_, '\\') => drop(characters.next()),
            (Some(Open::Double), '"') => drop(open.pop()),
            (Some(Open::Backquote), '`') => drop(open.pop()),
            (_, '`') => open.push((Open::Backquote, at)),
            (_, '$') if characters.next_if(|(_, c)| *c == '(').is_some() => {
                open.push((Open::Bracket, at));
            }
            // What follows concerns none but words outside of double quotes.
            (Some(Open::Double), _) => {}
            (_, '"') => open.push((Open::Double, at)),
            (_, '\'') => open.push((Open::Single, at)),
            (Some(Open::Bracket), '(') => open.push((Open::Bracket, at)),
            (Some(Open::Bracket), ')') => drop(open.pop()),
            (None, '#') if before.is_whitespace() || before == ';' => {
                return Some(format!(
                    "everything after the # in `{}` is a comment for the shell, and what is appended to the line with it: take it out, or quote it",
                    &line[at..]
                ));
            }
            _ => {}
        }
        before = c;
    }
    let (what, at) = open.first()?;
    let sign = match what {
        Open::Single => "'",
        Open::Double => "\"",
        Open::Backquote => "`",
        Open::Bracket => "$(",
    };
    Some(format!(
        "no shell closes the {sign} before `{}`: close it, or write \\{sign} if the sign itself is meant",
        line[at + sign.len()..].trim()
    ))
}

#[cfg(test)]
mod tests {
    use super::complaint;

    #[test]
    fn what_a_shell_understands_is_left_alone() {
        for line in [
            "echo I’m the master, you should replace this with a real command",
            "/usr/local/bin/role-changed",
            "echo 'a \" b' \"it's\" \\' \\\"",
            "x=\"$(date \"+%s '\")\"; echo $((1+(2)))",
            "sh -c 'echo \"$0\"' #1#2#".trim_end_matches(" #1#2#"),
            "echo a#b $# `hostname`",
            "",
        ] {
            assert_eq!(complaint(line), None, "{line}");
        }
    }

    #[test]
    fn what_none_closes_is_named() {
        for (line, expected) in [
            ("echo I'm the master", "the ' before `m the master`"),
            ("echo \"a", "the \" before `a`"),
            ("echo 'a' b' c", "the ' before `c`"),
            ("echo `date", "the ` before `date`"),
            ("echo $(date", "the $( before `date`"),
            ("echo \"$(echo ')\"", "the \" before"),
            ("ip addr add # x", "after the # in `# x`"),
        ] {
            let said = complaint(line).unwrap_or_default();
            assert!(said.contains(expected), "{line}: {said}");
        }
    }

    /// The judgement is a real shell's.
    #[test]
    fn sh_says_the_same() {
        for line in [
            "echo I’m the master",
            "echo I'm the master",
            "echo \"a",
            "echo 'a \" b' \"it's\" \\' \\\"",
            "x=\"$(date \"+%s '\")\"; echo $((1+(2)))",
            "echo \"$(echo ')\"",
            "echo `date",
            "echo $(date",
        ] {
            let refused = std::process::Command::new("sh")
                .args(["-n", "-c", line])
                .stderr(std::process::Stdio::null())
                .status()
                .is_ok_and(|status| !status.success());
            assert_eq!(complaint(line).is_some(), refused, "{line}");
        }
    }
}
