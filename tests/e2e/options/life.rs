//! How long a container lives, and what is kept of it.

/// The options that the tests here show the effect of.
pub const COVERS: &[&str] = &[];
