//! A registry that holds one small image, and as much of a lie around it as a test wants; and a user of it.

use super::http::{Reply, Seen};
use super::{Store, Tar};
use layout::Digest;
use serde_json::json;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

/// What an honest registry has of the image `app:1`.
#[derive(Clone)]
pub struct Content {
    /// By path: media type and bytes.
    files: BTreeMap<String, (&'static str, Vec<u8>)>,
    pub manifest: Digest,
    pub config: Digest,
    pub layer: Digest,
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

impl Content {
    /// In the repository of this name.
    pub fn new(repository: &str) -> Content {
        let layer = Tar::new().file("hello", b"hello, world\n").end();
        let diff_id = Digest::of(&layer);
        let config = json!({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/hello"]},
            "rootfs": {"type": "layers", "diff_ids": [diff_id]}});
        let config = config.to_string().into_bytes();
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "digest": Digest::of(&config), "size": config.len()},
            "layers": [{"mediaType": LAYER, "digest": diff_id, "size": layer.len()}]});
        let manifest = manifest.to_string().into_bytes();
        let digests = [Digest::of(&manifest), Digest::of(&config), diff_id];
        let mut files = BTreeMap::new();
        for name in ["1", "latest", digests[0].as_str()] {
            files.insert(format!("/v2/{repository}/manifests/{name}"), (MANIFEST, manifest.clone()));
        }
        for (digest, bytes) in [(&digests[1], config), (&digests[2], layer)] {
            files.insert(format!("/v2/{repository}/blobs/{digest}"), ("application/octet-stream", bytes));
        }
        let [manifest, config, layer] = digests;
        Content { files, manifest, config, layer }
    }

    /// What an honest registry without accounts answers.
    pub fn answer(&self, seen: &Seen) -> Reply {
        let path = seen.target.split('?').next().unwrap();
        if path == "/v2/" {
            return Reply::new(200, "{}");
        }
        if seen.method == "GET"
            && let Some((media_type, bytes)) = self.files.get(path)
        {
            return Reply::new(200, bytes.clone()).with("Content-Type", *media_type);
        }
        refusal(404, if path.contains("/manifests/") { "MANIFEST_UNKNOWN" } else { "BLOB_UNKNOWN" }, "it is not here")
    }

    pub fn bytes(&self, path: &str) -> &[u8] {
        &self.files[path].1
    }
}

/// What was pushed to a registry, by repository and name.
#[derive(Default)]
pub struct Received(Mutex<BTreeMap<(String, String), Vec<u8>>>);

impl Received {
    /// What an honest registry answers to one who pushes. It takes blobs over from any other repository.
    pub fn answer(&self, seen: &Seen) -> Reply {
        let (path, query) = seen.target.split_once('?').unwrap_or((&seen.target, ""));
        let parameter = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        let mut words = path.trim_start_matches("/v2/").split('/').map(str::to_owned);
        let (repository, last) = (words.next().unwrap(), words.next_back().unwrap());
        match seen.method.as_str() {
            "PUT" if seen.header("expect").is_some() => Reply::new(100, ""),
            "POST" => match parameter("mount").and_then(|digest| Some((digest, self.get(digest)?))) {
                Some((digest, bytes)) => {
                    self.0.lock().unwrap().insert((repository, digest.to_owned()), bytes);
                    Reply::new(201, "")
                }
                None => Reply::new(202, "").with("Location", format!("{path}one?state=half")),
            },
            "PUT" => {
                let digest = Digest::of(&seen.body).to_string();
                let is_blob = path.contains("/uploads/");
                if is_blob && (parameter("digest") != Some(&digest) || parameter("state") != Some("half")) {
                    return refusal(400, "DIGEST_INVALID", "that is something else");
                }
                let name = if is_blob { digest.clone() } else { last };
                self.0.lock().unwrap().insert((repository, name), seen.body.clone());
                Reply::new(201, "").with("Docker-Content-Digest", digest)
            }
            _ => match self.0.lock().unwrap().get(&(repository, last)) {
                Some(bytes) => Reply::new(200, bytes.clone()),
                None => refusal(404, "BLOB_UNKNOWN", "it is not here"),
            },
        }
    }

    /// The blob or the manifest of that name, of whatever repository.
    pub fn get(&self, name: &str) -> Option<Vec<u8>> {
        self.0.lock().unwrap().iter().find(|((_, stored), _)| stored == name).map(|(_, bytes)| bytes.clone())
    }
}

/// A refusal in the form of the specification.
pub fn refusal(status: u16, code: &str, message: &str) -> Reply {
    Reply::new(status, json!({"errors": [{"code": code, "message": message}]}).to_string())
        .with("Content-Type", "application/json")
}

/// Somebody with a store, a home and settings of their own; nothing of this machine's gets in the way.
pub struct User {
    pub store: Store,
}

impl User {
    pub fn new() -> User {
        let user = User { store: Store::new() };
        for folder in ["home", "docker", "config", "programs"] {
            fs::create_dir(user.store.path(folder)).unwrap();
        }
        user
    }

    pub fn command<S: AsRef<OsStr>>(&self, args: &[S]) -> Command {
        let mut command = self.store.command(args);
        for name in ["HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy"] {
            command.env_remove(name);
        }
        for name in ["SSL_CERT_FILE", "SSL_CERT_DIR", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"] {
            command.env_remove(name);
        }
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .env("PATH", format!("{}:{path}", self.store.path("programs").display()))
            .env("HOME", self.store.path("home"))
            .env("DOCKER_CONFIG", self.store.path("docker"))
            .env("CTR_CONFIG", self.store.path("config"));
        command
    }

    #[track_caller]
    pub fn ok<S: AsRef<OsStr>>(&self, args: &[S]) -> String {
        super::succeeded(self.command(args).output().unwrap())
    }

    #[track_caller]
    pub fn fails<S: AsRef<OsStr>>(&self, args: &[S]) -> String {
        super::failed(self.command(args).output().unwrap())
    }

    /// `registries.json`.
    pub fn settings(&self, text: &str) {
        fs::write(self.store.path("config").join("registries.json"), text).unwrap();
    }

    /// docker's `config.json`.
    pub fn docker(&self) -> PathBuf {
        self.store.path("docker").join("config.json")
    }

    /// Puts a file into `certs.d/HOST`.
    pub fn trust(&self, host: &str, name: &str, file: &Path) {
        let folder = self.store.path("config").join("certs.d").join(host);
        fs::create_dir_all(&folder).unwrap();
        fs::copy(file, folder.join(name)).unwrap();
    }

    /// Says that the image is there as it should be, under this name.
    #[track_caller]
    pub fn has(&self, name: &str, content: &Content) {
        let found: serde_json::Value = serde_json::from_str(&self.ok(&["inspect", name])).unwrap();
        assert_eq!(found[0]["Id"], content.config.as_str());
        self.ok(&["fsck"]);
    }
}
