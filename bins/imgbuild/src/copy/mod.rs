//! COPY and ADD: which files ([`sources`]), where to ([`destination`]), and the layer that they make ([`layer`]).

pub mod destination;
pub mod layer;
pub mod sources;
