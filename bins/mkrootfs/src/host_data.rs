//! Data files that programs open by fixed paths: no program names them, so no closure finds them.

use crate::tree::Tree;
use anyhow::{Result, bail};
use std::path::{Component, Path};

/// Single files, taken where the host has them.
const FILES: [&str; 14] = [
    "/etc/os-release",
    "/etc/services",
    "/etc/protocols",
    // Whom to trust on the net: Debian's, Fedora's and Arch's bundles of certificates.
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
    "/etc/ssl/openssl.cnf",
    "/usr/lib/ssl/openssl.cnf",
    "/etc/pki/tls/openssl.cnf",
    "/etc/crypto-policies/back-ends/opensslcnf.config",
    "/etc/mime.types",
    "/etc/inputrc",
    // Where musl's loader looks for libraries.
    "/etc/ld-musl-x86_64.path",
    "/etc/ld-musl-aarch64.path",
];

/// Terminals that shells and pagers meet: what their screens can do (terminfo(5)).
const TERMINALS: [&str; 8] =
    ["linux", "vt100", "xterm", "xterm-256color", "screen", "screen-256color", "tmux", "tmux-256color"];
const TERMINFO: [&str; 3] = ["/lib/terminfo", "/usr/share/terminfo", "/etc/terminfo"];

/// The locale in which text is UTF-8 and all else is plain; newer C libraries have it built in.
const LOCALES: [&str; 2] = ["/usr/lib/locale/C.utf8", "/usr/lib/locale/C.UTF-8"];

/// What the clocks of the world say (tzfile(5)), and which of them is ours.
const ZONES: &str = "/usr/share/zoneinfo";
const OUR_ZONE: &str = "/etc/localtime";

/// Copies what is there. The time zone is the host's, or `zone`.
///
/// # Errors
/// The host knows no such time zone.
pub fn copy(tree: &mut Tree, zone: Option<&str>) -> Result<()> {
    let terminals = TERMINALS
        .iter()
        .flat_map(|terminal| TERMINFO.iter().map(move |dir| format!("{dir}/{}/{terminal}", &terminal[..1])));
    for file in FILES.map(str::to_owned).into_iter().chain(terminals) {
        let file = Path::new(&file);
        if is_readable(file) {
            tree.place(file)?;
        }
    }
    for locale in LOCALES.map(Path::new) {
        if locale.is_dir() {
            tree.copy_dir(locale, &|_| true)?;
        }
    }
    our_zone(tree, zone)?;
    // Debian's OpenSSL looks for a folder of hundreds of links, or for this one file.
    let (debian, bundle) = (Path::new("/usr/lib/ssl"), Path::new("/etc/ssl/certs/ca-certificates.crt"));
    if debian.is_dir() && tree.has(bundle) {
        tree.link(&debian.join("cert.pem"), bundle)?;
    }
    Ok(())
}

/// The time zone: `/etc/localtime`, a link to the file of a zone.
fn our_zone(tree: &mut Tree, zone: Option<&str>) -> Result<()> {
    let Some(zone) = zone else {
        // A host that says nothing goes by UTC, and so does the new root.
        return if is_readable(Path::new(OUR_ZONE)) { tree.place(Path::new(OUR_ZONE)) } else { Ok(()) };
    };
    let file = Path::new(ZONES).join(zone);
    let is_plain = Path::new(zone).components().all(|part| matches!(part, Component::Normal(_)));
    if !is_plain || !is_readable(&file) {
        bail!("find the time zone {zone}: this host has no file {} (its package is tzdata)", file.display());
    }
    tree.place(&file)?;
    tree.link(Path::new(OUR_ZONE), &file)
}

/// All time zones. Of `posix` and `right` nobody asks: the same again, and with leap seconds.
///
/// # Errors
/// The host has none.
pub fn zones(tree: &mut Tree) -> Result<()> {
    let folder = Path::new(ZONES);
    if !folder.is_dir() {
        bail!("find the time zones: this host has no {ZONES} (its package is tzdata)");
    }
    let wanted = |path: &Path| !["posix", "right", "localtime"].iter().any(|name| path == folder.join(name));
    tree.copy_dir(folder, &wanted).map(drop)
}

/// A user who is not root may find files that are not for them; this data is worth no failure.
fn is_readable(file: &Path) -> bool {
    file.is_file() && std::fs::File::open(file).is_ok()
}
