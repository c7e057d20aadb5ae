//! Where passwords are kept: docker's and podman's files, and the programs that keep them better.
//!
//! In a file (`~/.docker/config.json`) a password is only written in another alphabet, not encrypted. A helper,
//! `docker-credential-NAME`, asks the desktop's key ring for it, or a cloud. It is told everything on standard input:
//! command lines can be read by everybody.

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use layout::paths;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What docker calls docker.io in its file.
const DOCKER_IO: &str = "https://index.docker.io/v1/";
/// The name of a user that a helper gives for a token.
const TOKEN_USER: &str = "<token>";

/// What proves to a registry who asks.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// A name and a password.
    Password {
        /// The name.
        user: String,
        /// The password.
        password: String,
    },
    /// What the token server takes instead of a password.
    IdentityToken(String),
    /// What the registry itself takes.
    RegistryToken(String),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential")
    }
}

/// docker's `config.json`. Keys not named here are kept.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    auths: BTreeMap<String, Entry>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    creds_store: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    cred_helpers: BTreeMap<String, String>,
    #[serde(flatten)]
    extra: Map<String, Value>,
}

#[derive(Default, Serialize, Deserialize)]
struct Entry {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    auth: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    password: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    identitytoken: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    registrytoken: Option<String>,
    #[serde(flatten)]
    extra: Map<String, Value>,
}

/// What a helper says, and is told.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Spoken {
    #[serde(default, rename = "ServerURL")]
    server_url: String,
    username: String,
    secret: String,
}

/// The credentials for a registry (`docker.io`, `localhost:5000`), from the first file that has some.
///
/// # Errors
/// A file that cannot be read or is not what it should be; a helper that fails.
pub fn find(account: &str) -> Result<Option<Credential>> {
    for path in files() {
        if let Some(file) = read(&path)?
            && let Some(found) = file.find(account).with_context(|| format!("log in as {} says", path.display()))?
        {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Where a password was put.
pub enum Kept {
    /// Into this file, where everybody who reads it can read the password.
    Openly(PathBuf),
    /// With a helper.
    Well,
}

/// Keeps a name and a password for a registry in docker's file, or with the helper that it names.
///
/// # Errors
/// The file cannot be written; the helper fails.
pub fn store(account: &str, user: &str, password: &str) -> Result<Kept> {
    let path = paths::docker_config()?;
    let mut file = read(&path)?.unwrap_or_default();
    let key = key(account);
    file.forget(account);
    let helper = file.helper(account);
    let entry = match &helper {
        Some(helper) => {
            let spoken = Spoken { server_url: key.to_owned(), username: user.to_owned(), secret: password.to_owned() };
            run_helper(helper, "store", &serde_json::to_vec(&spoken).context("encode credentials")?)?;
            Entry::default()
        }
        None => Entry { auth: Some(BASE64_STANDARD.encode(format!("{user}:{password}"))), ..Entry::default() },
    };
    file.auths.insert(key.to_owned(), entry);
    write(&path, &file)?;
    Ok(if helper.is_some() { Kept::Well } else { Kept::Openly(path) })
}

/// Forgets what docker's file has for a registry; says whether there was anything.
///
/// # Errors
/// The file cannot be written; the helper fails.
pub fn erase(account: &str) -> Result<bool> {
    let path = paths::docker_config()?;
    let Some(mut file) = read(&path)? else { return Ok(false) };
    let mut was = file.forget(account);
    if let Some(helper) = file.helper(account) {
        let key = key(account).as_bytes();
        was |= run_helper(&helper, "get", key)?.is_some();
        if was {
            run_helper(&helper, "erase", key)?;
        }
    }
    if was {
        write(&path, &file)?;
    }
    Ok(was)
}

/// What the file calls a registry.
pub fn key(account: &str) -> &str {
    if account == "docker.io" { DOCKER_IO } else { account }
}

/// The registry that a key of the file, or what a user typed, means: `https://index.docker.io/v1/` is `docker.io`.
pub fn account(key: &str) -> &str {
    let bare = key.trim_start_matches("https://").trim_start_matches("http://");
    match bare.split('/').next().unwrap_or_default() {
        "index.docker.io" | "registry-1.docker.io" => "docker.io",
        host => host,
    }
}

impl File {
    fn find(&self, account: &str) -> Result<Option<Credential>> {
        if let Some(helper) = self.helper(account)
            && let Some(said) = run_helper(&helper, "get", key(account).as_bytes())?
        {
            return Ok(Some(said));
        }
        // A key without a path is for all that the registry has (podman writes keys of a part of it too).
        let is_for_all = |key: &str| key.contains("://") || !key.contains('/') || key.ends_with('/');
        let entries = self.auths.iter().filter(|(key, _)| is_for_all(key) && self::account(key) == account);
        for (key, entry) in entries {
            if let Some(found) = entry.credential().with_context(|| format!("read what is kept for {key}"))? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn helper(&self, account: &str) -> Option<String> {
        let own = self.cred_helpers.iter().find(|(key, _)| self::account(key) == account).map(|(_, helper)| helper);
        own.or(self.creds_store.as_ref()).filter(|helper| !helper.is_empty()).cloned()
    }

    fn forget(&mut self, account: &str) -> bool {
        let before = self.auths.len();
        self.auths.retain(|key, _| self::account(key) != account);
        self.auths.len() < before
    }
}

impl Entry {
    fn credential(&self) -> Result<Option<Credential>> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(token) = given(&self.identitytoken) {
            return Ok(Some(Credential::IdentityToken(token)));
        }
        if let Some(token) = given(&self.registrytoken) {
            return Ok(Some(Credential::RegistryToken(token)));
        }
        if let Some(auth) = given(&self.auth) {
            // The causes are left out: they may quote the password.
            let decoded = BASE64_STANDARD.decode(auth.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let Some((user, password)) = decoded.as_deref().and_then(|text| text.split_once(':')) else {
                bail!("\"auth\" is not NAME:PASSWORD in base64");
            };
            let password = password.trim_end_matches('\0').to_owned();
            return Ok(Some(Credential::Password { user: user.to_owned(), password }));
        }
        let password = given(&self.password);
        Ok(given(&self.username).zip(password).map(|(user, password)| Credential::Password { user, password }))
    }
}

/// Runs `docker-credential-NAME`; what `get` says, if it knows the registry.
fn run_helper(name: &str, verb: &str, input: &[u8]) -> Result<Option<Credential>> {
    let program = format!("docker-credential-{name}");
    if name.contains('/') {
        bail!("run {program}: a helper is named without a folder");
    }
    let mut child = Command::new(&program)
        .arg(verb)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("run {program}, which keeps the passwords: is it installed?"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that needs nothing may be gone already.
        let _ = stdin.write_all(input);
    }
    let output = child.wait_with_output().with_context(|| format!("wait for {program}"))?;
    if !output.status.success() {
        // The words of all helpers for this, in which there are no others.
        let said = String::from_utf8_lossy(&output.stdout);
        if verb != "store" && said.contains("credentials not found") {
            return Ok(None);
        }
        bail!(
            "{program} {verb} failed ({}): what it prints in that case is not shown, as it may be a password",
            output.status
        );
    }
    if verb != "get" {
        return Ok(None);
    }
    let Ok(said) = serde_json::from_slice::<Spoken>(&output.stdout) else {
        bail!("{program} get printed something else than the JSON of a credential");
    };
    Ok(match (said.username, said.secret) {
        (user, secret) if user == TOKEN_USER => Some(Credential::IdentityToken(secret)),
        (user, password) if !user.is_empty() => Some(Credential::Password { user, password }),
        _ => None,
    })
}

/// The files that may hold credentials, the first to look at first.
fn files() -> Vec<PathBuf> {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let mut files: Vec<PathBuf> = paths::docker_config().into_iter().chain(named("REGISTRY_AUTH_FILE")).collect();
    let run = named("XDG_RUNTIME_DIR")
        .unwrap_or_else(|| PathBuf::from(format!("/run/containers/{}", rustix::process::geteuid().as_raw())));
    let config = named("XDG_CONFIG_HOME").or_else(|| named("HOME").map(|home| home.join(".config")));
    files.extend([Some(run), config].into_iter().flatten().map(|folder| folder.join("containers/auth.json")));
    files
}

fn read(path: &Path) -> Result<Option<File>> {
    match fs::read(path) {
        Ok(bytes) if bytes.trim_ascii().is_empty() => Ok(None),
        Ok(bytes) => match serde_json::from_slice(&bytes) {
            Ok(file) => Ok(Some(file)),
            // The cause may quote what is in the file; where it is, is enough.
            Err(error) => {
                bail!("read {}: wrong JSON at line {} column {}", path.display(), error.line(), error.column())
            }
        },
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        // Somebody else's file, as one finds under `sudo`, is no reason to fail.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(None),
        Err(error) => Err(error).with_context(|| format!("read {}", path.display())),
    }
}

/// Publishes the file by rename, for its owner alone to read.
fn write(path: &Path, file: &File) -> Result<()> {
    // Where it is a link, what it leads to is replaced, and the link stays.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = path.parent().context("find the folder of config.json")?;
    let failed = || format!("write {}", path.display());
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(failed)?;
    let mut new = tempfile::NamedTempFile::new_in(folder).with_context(failed)?;
    new.as_file().set_permissions(Permissions::from_mode(0o600)).with_context(failed)?;
    let mut text = serde_json::to_vec_pretty(file).with_context(failed)?;
    text.push(b'\n');
    new.write_all(&text).with_context(failed)?;
    new.as_file().sync_all().with_context(failed)?;
    new.persist(&path).map_err(|error| error.error).with_context(failed)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> File {
        serde_json::from_str(text).unwrap()
    }

    fn password(user: &str, password: &str) -> Option<Credential> {
        Some(Credential::Password { user: user.to_owned(), password: password.to_owned() })
    }

    #[test]
    fn a_registry_has_several_names_in_the_files() {
        let of = |key: &str, account: &str| {
            let text = format!(r#"{{"auths": {{"{key}": {{"auth": "bWU6czpjcmV0"}}}}}}"#);
            file(&text).find(account).unwrap()
        };
        let me = password("me", "s:cret");
        for key in ["https://index.docker.io/v1/", "docker.io", "index.docker.io", "https://registry-1.docker.io"] {
            assert_eq!(of(key, "docker.io"), me, "{key}");
        }
        assert_eq!(of("localhost:5000", "localhost:5000"), me);
        assert_eq!(of("https://reg.example/v2/", "reg.example"), me);
        assert_eq!(of("localhost:5000", "localhost:5001"), None);
        assert_eq!(of("reg.example/team", "reg.example"), None, "that is for a part of it");
    }

    #[test]
    fn tokens_and_plain_fields_are_understood() {
        let of = |entry: &str| file(&format!(r#"{{"auths": {{"r": {entry}}}}}"#)).find("r");
        assert_eq!(
            of(r#"{"identitytoken": "t", "auth": "YTpi"}"#).unwrap(),
            Some(Credential::IdentityToken("t".into()))
        );
        assert_eq!(of(r#"{"registrytoken": "t"}"#).unwrap(), Some(Credential::RegistryToken("t".into())));
        assert_eq!(of(r#"{"username": "a", "password": "b"}"#).unwrap(), password("a", "b"));
        assert_eq!(of("{}").unwrap(), None);
        let error = format!("{:#}", of(r#"{"auth": "c2VjcmV0"}"#).unwrap_err());
        assert!(error.contains("base64") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn what_is_not_ours_in_the_file_stays() {
        let text = r#"{"psFormat":"table","auths":{"b":{"auth":"YTpi","email":"x"},"a":{"auth":"YTpi"}},"credHelpers":{"c":"x"}}"#;
        let mut file = file(text);
        assert!(file.forget("a"));
        let written: Value = serde_json::to_value(&file).unwrap();
        let wanted = r#"{"psFormat":"table","auths":{"b":{"auth":"YTpi","email":"x"}},"credHelpers":{"c":"x"}}"#;
        assert_eq!(written, serde_json::from_str::<Value>(wanted).unwrap());
    }

    #[test]
    fn nothing_secret_is_shown_by_accident() {
        assert_eq!(format!("{:?}", password("me", "geheim")), "Some(Credential)");
    }
}
