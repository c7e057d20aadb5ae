//! Data files that programs open by fixed paths: no program names them, so no closure finds them.

use crate::tree::Tree;
use anyhow::Result;
use std::path::Path;

/// Single files, taken where the host has them.
const FILES: [&str; 12] = [
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
];

/// Terminals that shells and pagers meet: what their screens can do (terminfo(5)).
const TERMINALS: [&str; 8] =
    ["linux", "vt100", "xterm", "xterm-256color", "screen", "screen-256color", "tmux", "tmux-256color"];
const TERMINFO: [&str; 3] = ["/lib/terminfo", "/usr/share/terminfo", "/etc/terminfo"];

/// The locale in which text is UTF-8 and all else is plain; newer C libraries have it built in.
const LOCALES: [&str; 2] = ["/usr/lib/locale/C.utf8", "/usr/lib/locale/C.UTF-8"];

/// Copies what is there.
pub fn copy(tree: &mut Tree) -> Result<()> {
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
    // Debian's OpenSSL looks for a folder of hundreds of links, or for this one file.
    let (debian, bundle) = (Path::new("/usr/lib/ssl"), Path::new("/etc/ssl/certs/ca-certificates.crt"));
    if debian.is_dir() && tree.has(bundle) {
        tree.link(&debian.join("cert.pem"), bundle)?;
    }
    Ok(())
}

/// A user who is not root may find files that are not for them; this data is worth no failure.
fn is_readable(file: &Path) -> bool {
    file.is_file() && std::fs::File::open(file).is_ok()
}
