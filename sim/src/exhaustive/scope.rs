//! What a search is bounded by.

/// The bounds of one search: within them it is complete.
#[derive(Clone, Debug)]
pub struct Scope {
    /// Its name.
    pub name: &'static str,
    /// The third member holds data too.
    pub third_data: bool,
    /// It begins with a record of the primary alone, else of the first two members.
    pub lone: bool,
    /// The highest term.
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
    /// Answers may come late; else at once, or never.
    pub late: bool,
    /// Members without a leader ask each other (R3).
    pub asks: bool,
    /// Gives up after so many states.
    pub most: usize,
}

impl Scope {
    /// Two terms, one write, nothing breaks.
    pub const SMALL: Scope = Scope {
        name: "small",
        third_data: false,
        lone: false,
        terms: 2,
        versions: 3,
        writes: 1,
        crashes: 0,
        losses: 0,
        discards: 0,
        late: false,
        asks: false,
        most: 5_000_000,
    };
}
