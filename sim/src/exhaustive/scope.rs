//! What a search is bounded by.

/// The bounds of one search: within them it is complete, unless it gives up.
#[derive(Clone, Debug)]
pub struct Scope {
    /// What it is about.
    pub name: &'static str,
    /// The third member holds data too.
    pub third_data: bool,
    /// It begins with a record of the primary alone, else of all data members.
    pub lone: bool,
    /// The highest term: how many elections.
    pub terms: u64,
    /// The highest version of a record: how often it changes.
    pub versions: u64,
    /// Clients' writes.
    pub writes: u8,
    /// Daemons that restart, and hosts that lose power.
    pub crashes: u8,
    /// State files that are lost (R12).
    pub losses: u8,
    /// Copies that are given up and cloned anew (R11).
    pub discards: u8,
    /// Answers may come late, too; else at once, or never.
    pub late: bool,
    /// Members without a leader ask each other (R3).
    pub asks: bool,
    /// It gives up after so many different states.
    pub most: usize,
}

impl Scope {
    /// The first two members in sync, one write, no fault, no bound on states.
    pub const fn of(name: &'static str, terms: u64, versions: u64) -> Scope {
        Scope {
            name,
            third_data: false,
            lone: false,
            terms,
            versions,
            writes: 1,
            crashes: 0,
            losses: 0,
            discards: 0,
            late: false,
            asks: false,
            most: usize::MAX,
        }
    }

    /// Its bounds, in a few words.
    pub fn bounds(&self) -> String {
        let third = if self.third_data { "ABC" } else { "ABM" };
        let mut all = format!(
            "{third} {}, terms {}, versions {}, writes {}",
            if self.lone { "lone" } else { "in sync" },
            self.terms,
            self.versions,
            self.writes
        );
        for (what, count) in [
            ("crashes", self.crashes),
            ("losses", self.losses),
            ("discards", self.discards),
        ] {
            if count > 0 {
                all += &format!(", {what} {count}");
            }
        }
        for (what, is) in [("late answers", self.late), ("questions", self.asks)] {
            if is {
                all += &format!(", {what}");
            }
        }
        all
    }
}
