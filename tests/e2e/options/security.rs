//! What a container may do.

/// The options that the tests here show the effect of.
pub const COVERS: &[&str] = &[];
