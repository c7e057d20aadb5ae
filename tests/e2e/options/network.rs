//! What a container is connected to.

/// The options that the tests here show the effect of.
pub const COVERS: &[&str] = &[];
