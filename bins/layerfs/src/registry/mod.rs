//! Registries: the places that images come from and go to, spoken to over HTTP.
//!
//! The protocol is the [OCI distribution specification](https://github.com/opencontainers/distribution-spec/blob/main/spec.md):
//! a manifest or a blob is a `GET` by name or digest, an upload is a `POST` that says where to `PUT`. What makes it more
//! than that is who may ask, which host answers, and what may go wrong on the way.
//!
//! | file | what it holds |
//! | --- | --- |
//! | [`pull`], [`push`] | the commands: an image into the store, an image out of it |
//! | [`choose`] | from a name's document to the image of one platform |
//! | [`download`], [`part`], [`arrival`] | a blob into the store, resumed and verified; reading it while it comes |
//! | [`upload`] | a blob to a registry, unless it is there |
//! | [`failure`] | how threads that work together give up |
//! | [`progress`] | what is shown meanwhile |
//! | [`repository`] | the protocol: manifests, blobs, uploads |
//! | [`session`], [`hosts`] | where to ask for a repository: mirrors first, https before http |
//! | [`auth`], [`credentials`], [`login`] | who asks: challenges and tokens; where passwords are kept; trying one |
//! | [`http`], [`repeat`] | one request and its answer: redirects, repeats, time-outs |
//! | [`connect`], [`tls`], [`proxy`] | the way there: whom to believe, whom to go through |
//! | [`settings`] | `registries.json`: which hosts are mirrors, which are not secure |
//! | [`explain`] | what a registry's refusal means, and what to do about it |

pub mod arrival;
pub mod auth;
pub mod choose;
pub mod connect;
pub mod credentials;
pub mod download;
pub mod explain;
pub mod failure;
pub mod hosts;
pub mod http;
pub mod login;
pub mod part;
pub mod progress;
pub mod proxy;
pub mod pull;
pub mod push;
pub mod repeat;
pub mod repository;
pub mod session;
pub mod settings;
pub mod tls;
pub mod upload;

use layout::{Layout, Reference, events, images};

/// Notes that an image has come or gone: as docker does, by its name.
fn note(layout: &Layout, action: &str, shown: &str, reference: &Reference) {
    let image = images::lookup(layout, shown).ok().flatten();
    let labels = image.as_ref().and_then(|image| image.config.config.labels.as_ref());
    events::of_image(layout, action, shown, &reference.repository(), labels);
}
