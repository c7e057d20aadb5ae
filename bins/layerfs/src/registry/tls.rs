//! Whom to believe: the machine's authorities, `certs.d/HOST[:PORT]`, and what a client shows of itself.
//!
//! Two things differ from what a web browser does. A certificate that signed itself is believed when that very certificate
//! lies in `certs.d`, though it calls itself an authority: this is how people make certificates for a registry of their own.
//! And a registry that is listed as insecure is believed whatever it shows.

use anyhow::{Context, Result, bail};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where systems keep the authorities that they believe, in one file: Debian, Red Hat, SUSE, Alpine.
const BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
/// Where docker keeps certificates; looked at after our own folder.
const DOCKER: &str = "/etc/docker/certs.d";

type Certificate = CertificateDer<'static>;

/// The authorities that the machine believes: `$SSL_CERT_FILE` and `$SSL_CERT_DIR`, else the system's bundle.
///
/// # Errors
/// A file that the environment names and that cannot be read.
pub fn system_authorities() -> Result<Vec<Certificate>> {
    let named = |variable: &str| std::env::var_os(variable).filter(|value| !value.is_empty());
    let bundle = match named("SSL_CERT_FILE") {
        Some(file) => Some(PathBuf::from(file)),
        None => BUNDLES.iter().map(PathBuf::from).find(|bundle| bundle.exists()),
    };
    let mut found: Vec<Certificate> = Vec::new();
    if let Some(bundle) = bundle {
        let text = fs::read(&bundle)
            .with_context(|| format!("read {}, the authorities that this machine believes", bundle.display()))?;
        // One that cannot be read is no reason not to believe the others.
        found.extend(CertificateDer::pem_slice_iter(&text).flatten());
    }
    for folder in named("SSL_CERT_DIR").iter().flat_map(|folders| std::env::split_paths(folders)) {
        // Folders of this kind hold other things too.
        let files = list(&folder).unwrap_or_default();
        found.extend(files.iter().filter_map(|file| read_certificates(file).ok()).flatten());
    }
    let mut seen = HashSet::new();
    found.retain(|certificate| seen.insert(certificate.clone()));
    Ok(found)
}

/// What TLS needs to know for one host.
///
/// `host` is `HOST` or `HOST:PORT`, `folder` the one of `certs.d`.
///
/// # Errors
/// A file in `certs.d` that is no certificate or no key; a certificate without its key.
pub fn config(folder: &Path, host: &str, system: &[Certificate], insecure: bool) -> Result<Arc<ClientConfig>> {
    let own = certificates_of(folder, host)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(system.iter().chain(&own.authorities).cloned());
    let verifier = Verifier {
        authorities: match roots.is_empty() {
            true => None,
            false => Some(
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                    .build()
                    .context("use the authorities")?,
            ),
        },
        own: own.authorities.into_iter().collect(),
        provider: provider.clone(),
        insecure,
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("set up TLS")?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let config = match own.client {
        None => builder.with_no_client_auth(),
        Some((file, chain, key)) => builder
            .with_client_auth_cert(chain, key)
            .with_context(|| format!("use the client certificate {}: does its key belong to it?", file.display()))?,
    };
    Ok(Arc::new(config))
}

/// What lies in `certs.d` for one host.
#[derive(Default)]
struct Own {
    authorities: Vec<Certificate>,
    client: Option<(PathBuf, Vec<Certificate>, PrivateKeyDer<'static>)>,
}

fn certificates_of(folder: &Path, host: &str) -> Result<Own> {
    let mut own = Own::default();
    for folder in [folder.join("certs.d").join(host), Path::new(DOCKER).join(host)] {
        let Ok(files) = list(&folder) else { continue };
        for file in &files {
            match file.extension().and_then(OsStr::to_str) {
                Some("crt") => own.authorities.extend(read_certificates(file)?),
                Some("cert") if own.client.is_none() => {
                    let key = file.with_extension("key");
                    let found = PrivateKeyDer::from_pem_file(&key).with_context(|| {
                        format!("read {}, the key of the client certificate beside it", key.display())
                    })?;
                    own.client = Some((file.clone(), read_certificates(file)?, found));
                }
                Some("key") if !file.with_extension("cert").exists() => bail!(
                    "{} has no certificate beside it: a client's is called NAME.cert, and an authority's NAME.crt",
                    file.display()
                ),
                _ => {}
            }
        }
    }
    Ok(own)
}

/// The files in a folder, sorted.
fn list(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = fs::read_dir(folder)?.map(|entry| entry.map(|e| e.path())).collect::<std::io::Result<Vec<_>>>()?;
    files.sort();
    Ok(files)
}

fn read_certificates(file: &Path) -> Result<Vec<Certificate>> {
    let text = fs::read(file).with_context(|| format!("read {}", file.display()))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.map_err(|error| anyhow::anyhow!("read {}: {error}", file.display()))?;
    if found.is_empty() {
        bail!("read {}: there is no certificate in it (in PEM: -----BEGIN CERTIFICATE-----)", file.display());
    }
    Ok(found)
}

/// Decides whether a server is the one that it says it is.
#[derive(Debug)]
struct Verifier {
    /// `None` on a machine that believes nobody.
    authorities: Option<Arc<WebPkiServerVerifier>>,
    /// What was put into `certs.d` for this host.
    own: HashSet<Certificate>,
    provider: Arc<CryptoProvider>,
    insecure: bool,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.insecure {
            return Ok(ServerCertVerified::assertion());
        }
        let Some(authorities) = &self.authorities else {
            return Err(Error::InvalidCertificate(CertificateError::UnknownIssuer));
        };
        match authorities.verify_server_cert(certificate, between, name, ocsp, now) {
            // Its dates are right, which is looked at first, but it is an authority's: fine if it is exactly the one
            // that was put there for this host.
            Err(Error::InvalidCertificate(CertificateError::Other(_))) if self.own.contains(certificate) => {
                rustls::client::verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
