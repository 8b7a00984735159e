//! Injected failures.
