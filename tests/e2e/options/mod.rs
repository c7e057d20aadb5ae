//! One file a group of options. Each says in `COVERS` which options its tests show the effect of, by their long names.

pub mod life;
pub mod network;
pub mod process;
pub mod resources;
pub mod security;
pub mod storage;
pub mod watch;

/// All options whose effect a test shows.
pub fn covered() -> Vec<&'static str> {
    [
        life::COVERS,
        network::COVERS,
        process::COVERS,
        resources::COVERS,
        security::COVERS,
        storage::COVERS,
        watch::COVERS,
    ]
    .concat()
}
