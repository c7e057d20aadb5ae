//! Removing interfaces, and coming back as soon as they are gone.
//!
//! They are gone within a millisecond or two: no list has them, their names are free. But the kernel lets whoever removes an
//! interface wait until it is freed too, when no processor can be looking at it any more (RCU), and that takes 15 to 30
//! more. A container's end would be that much slower. So a child asks for the removal, and waits the rest out.

use crate::netlink::{Link, Netlink};
use crate::sys::{self, Fork};
use anyhow::{Context, Result};
use std::io;
use std::time::{Duration, Instant};

/// How long the child may take before it is done here, whatever that takes.
const PATIENCE: Duration = Duration::from_secs(1);

/// Removes an interface.
pub fn delete_link(netlink: &mut Netlink, link: &Link) -> Result<()> {
    let delete = |netlink: &mut Netlink| netlink.delete_link(link.index);
    in_the_background(netlink, link, delete).with_context(|| format!("remove {}", link.name))
}

/// Removes all interfaces that are in one group with a bridge: itself and its cables.
pub fn delete_group(netlink: &mut Netlink, bridge: &Link) -> Result<()> {
    let delete = |netlink: &mut Netlink| netlink.delete_group(bridge.group);
    in_the_background(netlink, bridge, delete).with_context(|| format!("remove bridge {} and its cables", bridge.name))
}

fn in_the_background(
    netlink: &mut Netlink,
    link: &Link,
    delete: impl Fn(&mut Netlink) -> io::Result<()>,
) -> io::Result<()> {
    if let Fork::Child = sys::fork()? {
        // Neither the locks nor the pipes of this process are to stay open for a child that nobody waits for.
        let deleted = sys::close_files_from(0).and_then(|()| delete(&mut Netlink::open()?));
        std::process::exit(deleted.is_err().into());
    }
    let deadline = Instant::now() + PATIENCE;
    while netlink.link(&link.name)?.is_some_and(|now| now.index == link.index) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_micros(200));
    }
    // Nothing is left to do, unless the child could not do it: then this says why.
    delete(netlink)
}
