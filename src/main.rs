//! khd.
fn main() {}
