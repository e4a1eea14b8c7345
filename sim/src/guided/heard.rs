//! What members say of their decisions, without names and numbers: runs that differ in it went another way.

use crate::digest::Digest;
use std::fmt::{Display, Write};
use std::hash::Hasher;

/// Listens to one run.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    /// By member: what it said last.
    last: Vec<u64>,
    /// What was said after what, by one member; each as a number that stands for both.
    pub(super) pairs: Vec<u64>,
    text: String,
}

impl Heard {
    /// Of so many members.
    pub(crate) fn new(members: usize) -> Heard {
        Heard {
            last: vec![0; members],
            pairs: vec![],
            text: String::new(),
        }
    }

    /// A member explains what it does.
    pub(crate) fn says(&mut self, h: usize, reason: &impl Display) {
        self.text.clear();
        let _ = write!(self.text, "{reason}");
        let mut digest = Digest::new();
        let words = self
            .text
            .split([' ', ',', ';', ':', '(', ')', '[', ']', '{', '}']);
        for word in words.filter(|word| is_a_word(word)) {
            digest.note(word);
        }
        let said = digest.finish();
        if said != self.last[h] {
            let mut both = Digest::new();
            both.note((self.last[h], said));
            self.pairs.push(both.finish());
            self.last[h] = said;
        }
    }
}

/// Neither a number nor an id.
fn is_a_word(word: &str) -> bool {
    let is_id = word.len() == 4 && word.bytes().all(|c| c.is_ascii_hexdigit());
    !word.is_empty() && !is_id && !word.bytes().any(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_make_no_difference_and_words_do() {
        let hear = |texts: [&str; 2]| {
            let mut heard = Heard::new(1);
            texts.iter().for_each(|text| heard.says(0, text));
            heard.pairs
        };
        let one = hear([
            "elected: leads term 1",
            "record (1,1) in sync {m0/c658} is committed",
        ]);
        let same = hear([
            "elected: leads term 7",
            "record (7,9) in sync {m2/fade, m1/12aa} is committed",
        ]);
        let other = hear([
            "elected: leads term 1",
            "record (1,1) in sync {m0/c658} is proposed",
        ]);
        assert_eq!(one, same);
        assert_ne!(one, other);
    }
}
