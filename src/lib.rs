//! khd.
