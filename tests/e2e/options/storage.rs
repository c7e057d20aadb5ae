//! What is mounted into a container.

/// The options that the tests here show the effect of.
pub const COVERS: &[&str] = &[];
