//! Registries: images over HTTP, by the OCI distribution specification.
//!
//! | file | what it holds |
//! | --- | --- |
//! | [`choose`] | from a name's document to the image of one platform |
//! | [`download`], [`arrival`] | a blob into the store, resumed and verified; reading it while it comes |
//! | [`progress`] | what is shown meanwhile |

pub mod arrival;
pub mod choose;
pub mod download;
pub mod progress;
