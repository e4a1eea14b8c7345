//! What an operator asks with.
fn main() {}
