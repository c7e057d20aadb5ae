//! Tar archives: headers and data in blocks of 512 bytes, read and written member by member.

pub mod header;
pub mod member;
pub mod pax;
pub mod read;
pub mod sparse;
pub mod write;
