//! Who belongs to the cluster: names, data or witness, majority.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A member's place in the configured list. The list is equal on all hosts (R13), so the place names the member.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MemberId(pub u8);

/// What a member is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum MemberKind {
    /// Holds a copy of the database.
    Data,
    /// Only votes (the configuration's `monitor`).
    Witness,
}

/// One configured host.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Member {
    /// `[a-z0-9_]{1,40}`: the member's identity, whatever its address.
    pub name: String,
    /// Data or witness.
    pub kind: MemberKind,
}

/// A set of members.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct MemberSet(u8);

impl MemberSet {
    /// The set with nobody in it.
    pub const EMPTY: MemberSet = MemberSet(0);

    /// Puts a member in.
    pub fn insert(&mut self, member: MemberId) {
        self.0 |= 1 << member.0;
    }

    /// Takes a member out.
    pub fn remove(&mut self, member: MemberId) {
        self.0 &= !(1 << member.0);
    }

    /// Whether the member is in it.
    pub const fn contains(self, member: MemberId) -> bool {
        self.0 & (1 << member.0) != 0
    }

    /// How many members are in it.
    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether nobody is in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m{}", self.0)
    }
}

impl fmt::Debug for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for MemberSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries((0..8).map(MemberId).filter(|m| self.contains(*m)))
            .finish()
    }
}
