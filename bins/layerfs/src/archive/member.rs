//! One entry of a tar, whichever way it goes.

use crate::archive::sparse::Part;

/// What a member is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A regular file; its data follows.
    File,
    /// A folder.
    Dir,
    /// A symbolic link to [`Member::link`].
    Symlink,
    /// Another name of the file [`Member::link`], a path from the archive's root.
    Hardlink,
    /// A character device.
    CharDevice(u32, u32),
    /// A block device.
    BlockDevice(u32, u32),
    /// A named pipe.
    Fifo,
}

/// One member's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its path, as the archive has it: any bytes.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// What a link points to.
    pub link: Vec<u8>,
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// Bytes of the file, holes included.
    pub size: u64,
    /// Of a sparse file: what is no hole, in order. The archive holds the data of these parts alone.
    pub parts: Option<Vec<Part>>,
    /// Modification time: seconds since 1970, nanoseconds.
    pub mtime: (i64, u32),
    /// Extended attributes, in the archive's order.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}
