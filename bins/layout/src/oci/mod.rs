//! The documents of the Open Container Initiative, as far as they are read or written here.

pub mod capabilities;
pub mod default_seccomp;
pub mod defaults;
pub mod healthcheck;
pub mod image;
pub mod runtime;
pub mod seccomp_profile;
