//! What the seven tools share, and nothing else: the on-disk layout as types, and running a sibling.
//!
//! The tools never link each other. They meet in files, whose places and formats `lessons/LAYOUT.md`
//! specifies; this crate is that page as code, and the only code that knows a path. Two things follow:
//! a tool can be swapped for its full-size counterpart, and whoever wants to know what is on disk
//! reads one page, or one crate.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`paths`] | [`Layout`]: where everything is, and the version of it |
//! | [`id`], [`digest`], [`reference`] | the three ways to name things: containers, content, images |
//! | [`publish`], [`lock`] | the crash rules: publish by rename, guard by flock |
//! | [`oci`] | the OCI documents: image index, manifest, image config, runtime `config.json` |
//! | [`images`] | reading the image store (writing is `layerfs`'s) |
//! | [`container`], [`network`], [`volume`] | the JSON files of containers, networks and volumes |
//! | [`events`] | what happens, written down |
//! | [`rootfs`] | looking into a root filesystem without being led out of it; users and groups in it |
//! | [`tool`], [`exit`] | finding and running a sibling; exit codes and error lines |
//! | `memory` | where the tools get their memory from |
//! | [`units`], [`time`], [`socket`], [`kernel`] | byte sizes, timestamps, unix sockets with long paths, which kernel |

#![deny(unsafe_code)]

pub mod container;
pub mod digest;
pub mod duration;
pub mod events;
pub mod exit;
pub mod id;
pub mod images;
pub mod kernel;
pub mod lock;
mod memory;
pub mod network;
pub mod oci;
pub mod paths;
pub mod publish;
pub mod reference;
pub mod rootfs;
pub mod socket;
#[allow(unsafe_code)]
mod sys;
pub mod time;
pub mod tool;
pub mod units;
pub mod volume;

pub use digest::Digest;
pub use id::ContainerId;
pub use paths::Layout;
pub use reference::Reference;
