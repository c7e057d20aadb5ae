//! Care for the store: what refers to what, removing what nothing refers to, proving the rest.

pub mod df;
pub mod fsck;
pub mod gc;
pub mod reach;
