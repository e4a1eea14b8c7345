//! Styled text: what a piece means, not how it looks; and cutting it to a width.

use unicode_width::UnicodeWidthChar;

/// What a piece of text means. `terminal` gives each a colour, or without colours a weight.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Tone {
    /// As everything else.
    Plain,
    /// What the eye shall find.
    Strong,
    /// What it may pass over.
    Faint,
    /// As it should be.
    Good,
    /// Not as it should be, and on its way.
    Warning,
    /// Not as it should be.
    Bad,
    /// Stopped by SIGSTOP.
    Frozen,
    /// A key to press.
    Key,
}

/// One line.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Line {
    /// Left to right.
    pub(super) pieces: Vec<(Tone, String)>,
}

impl Line {
    /// Adds a piece.
    pub(super) fn add(&mut self, tone: Tone, text: impl Into<String>) {
        self.pieces.push((tone, harmless(text.into())));
    }

    /// The same, at the end of a chain.
    pub(super) fn with(mut self, tone: Tone, text: impl Into<String>) -> Line {
        self.add(tone, text);
        self
    }

    /// Adds blanks up to this column.
    pub(super) fn pad(&mut self, column: usize) {
        let blanks = column.saturating_sub(self.width());
        self.add(Tone::Plain, " ".repeat(blanks));
    }

    /// In columns.
    pub(super) fn width(&self) -> usize {
        self.pieces.iter().map(|(_, text)| width(text)).sum()
    }

    /// At most so wide; what is cut off ends in `…`.
    pub(super) fn cut(self, columns: usize) -> Line {
        if self.width() <= columns {
            return self;
        }
        let mut out = Line::default();
        for (tone, text) in self.pieces {
            let room = columns.saturating_sub(out.width());
            if width(&text) > room || room == 0 {
                out.add(tone, cut(&text, room));
                break;
            }
            out.add(tone, text);
        }
        out
    }

    /// Without its tones.
    #[cfg(test)]
    pub(super) fn plain(&self) -> String {
        let texts: Vec<&str> = self.pieces.iter().map(|(_, text)| text.as_str()).collect();
        texts.concat().trim_end().to_owned()
    }
}

/// At most so wide; what is cut off ends in `…`.
pub(super) fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut room = columns.saturating_sub(1);
    let mut out: String = text
        .chars()
        .take_while(|c| {
            let enough = c.width().unwrap_or(0) <= room;
            room = room.saturating_sub(c.width().unwrap_or(0));
            enough
        })
        .collect();
    if columns > 0 {
        out.push('…');
    }
    out
}

/// In columns.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// What others wrote must not steer the terminal.
fn harmless(text: String) -> String {
    match text.contains(char::is_control) {
        true => text.replace(char::is_control, " "),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_wide_is_cut() {
        for (text, columns, expected) in [
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            ("日本語", 5, "日本…"),
            ("日本語", 4, "日…"),
            ("abc", 1, "…"),
            ("abc", 0, ""),
        ] {
            assert_eq!(cut(text, columns), expected);
            assert!(width(&cut(text, columns)) <= columns);
        }
        let line = Line::default()
            .with(Tone::Plain, "ab")
            .with(Tone::Bad, "cd")
            .with(Tone::Good, "ef");
        assert_eq!(line.clone().cut(6), line);
        assert_eq!(line.clone().cut(5).plain(), "abcd…");
        assert_eq!(line.clone().cut(4).plain(), "abcd");
        assert_eq!(line.cut(3).plain(), "ab…");
    }

    #[test]
    fn nothing_steers_the_terminal() {
        let line = Line::default().with(Tone::Plain, "a\x1b[31mb\tc");
        assert_eq!(line.plain(), "a [31mb c");
    }
}
