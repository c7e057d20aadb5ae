//! How much of the machine a container may use.

/// The options that the tests here show the effect of.
pub const COVERS: &[&str] = &[];
