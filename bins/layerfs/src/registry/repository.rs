//! The protocol: manifests, blobs and uploads of one repository.

pub use super::hosts::Access;

use super::explain::Refused;
use super::hosts::{self, Endpoint};
use super::http::{self, Answer, Client, Payload, Request};
use super::settings::Settings;
use anyhow::{Context, Result, bail};
use layout::oci::image::{self, Descriptor};
use layout::{Digest, Reference};
use std::collections::BTreeSet;
use std::io::{self, Read};
use ureq::http::header::{ACCEPT, CONTENT_RANGE, CONTENT_TYPE, HeaderName, LINK, LOCATION, RANGE};
use ureq::http::{Method, Uri};

/// A manifest may be this large: what registries take.
const MAX_MANIFEST: u64 = 4 << 20;
/// So many pages of tags are read.
const MAX_PAGES: usize = 1000;
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// A repository in a registry, with what it takes to speak to it. Threads share it.
pub struct Repository {
    client: Client,
    endpoint: Endpoint,
    name: String,
    path: String,
}

/// A manifest or an index, as the registry gave it.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// Its very bytes: the digest is of them.
    pub bytes: Vec<u8>,
    /// What the registry says it is.
    pub media_type: String,
    /// Computed from the bytes.
    pub digest: Digest,
}

/// A blob on its way.
pub struct Body {
    reader: Box<dyn Read + Send>,
    /// Which byte of the blob comes first: 0 if the registry ignores the wish to begin later.
    pub from: u64,
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer)
    }
}

/// What became of the wish to take a blob over from another repository.
pub enum Mounted<'a> {
    /// It is there now.
    Yes,
    /// It has to be sent.
    No(Upload<'a>),
}

/// An upload that the registry waits for.
pub struct Upload<'a> {
    repository: &'a Repository,
    location: Uri,
}

impl Repository {
    /// Prepares to speak to the repository that `reference` names. Its tag and digest are not looked at.
    pub fn open(settings: &Settings, reference: &Reference, access: Access) -> Result<Repository> {
        let mut endpoints = hosts::endpoints(settings, reference, access)?;
        let name = reference.repository();
        let path = reference.path.clone();
        Ok(Repository { client: Client::new(settings)?, endpoint: endpoints.remove(0), name, path })
    }

    /// Gets a manifest by tag or by digest.
    ///
    /// # Errors
    /// A refusal ([`Refused`]); one larger than 4 MiB; one that is not what the digest says.
    pub fn manifest(&self, which: &str) -> Result<Manifest> {
        let what = format!("get the manifest {which} of {}", self.name);
        let answer = self.ask(self.request(Method::GET, &format!("manifests/{which}"))?.accept_manifests(), &what)?;
        let media_type = answer.header(CONTENT_TYPE).unwrap_or_default();
        let media_type = media_type.split(';').next().unwrap_or_default().trim().to_owned();
        let bytes = answer.bytes(MAX_MANIFEST).with_context(|| what.clone())?;
        let digest = Digest::of(&bytes);
        if let Ok(wanted) = which.parse::<Digest>()
            && wanted != digest
        {
            bail!("{what}: what came has the digest {digest}: the registry, or somebody on the way, changed it");
        }
        Ok(Manifest { bytes, media_type, digest })
    }

    /// Asks whether there is such a manifest, and gives its digest.
    pub fn has_manifest(&self, which: &str) -> Result<Option<Digest>> {
        let what = format!("look for the manifest {which} of {}", self.name);
        let request = self.request(Method::HEAD, &format!("manifests/{which}"))?.accept_manifests();
        let Some(answer) = found(self.ask(request, &what))? else { return Ok(None) };
        match answer.header(CONTENT_DIGEST).map(str::parse) {
            Some(Ok(digest)) => Ok(Some(digest)),
            // A registry need not tell.
            _ => Ok(Some(self.manifest(which)?.digest)),
        }
    }

    /// All tags, page by page as the registry gives them, sorted.
    ///
    /// # Errors
    /// A refusal; pages without end.
    pub fn tags(&self) -> Result<Vec<String>> {
        let what = format!("list the tags of {}", self.name);
        let (mut tags, mut request) = (BTreeSet::new(), self.request(Method::GET, "tags/list")?);
        for _ in 0..MAX_PAGES {
            let answer = self.ask(request, &what)?;
            let next = answer.header(LINK).and_then(next_page).map(|page| http::join(&answer.url, page)).transpose()?;
            let bytes = answer.bytes(MAX_MANIFEST).with_context(|| what.clone())?;
            let page: TagList = serde_json::from_slice(&bytes).with_context(|| what.clone())?;
            tags.extend(page.tags.unwrap_or_default());
            match next {
                None => return Ok(tags.into_iter().collect()),
                Some(url) => {
                    request = Request { method: Method::GET, url, headers: Vec::new(), payload: Payload::None }
                }
            }
        }
        bail!("{what}: there are more than {MAX_PAGES} pages of them")
    }

    /// Asks whether the registry has a blob.
    pub fn has_blob(&self, digest: &Digest) -> Result<bool> {
        let what = format!("look for the blob {} of {}", digest.short(), self.name);
        Ok(found(self.ask(self.request(Method::HEAD, &format!("blobs/{digest}"))?, &what))?.is_some())
    }

    /// Gets a blob from its byte `from` on. Nothing is verified here.
    pub fn blob(&self, descriptor: &Descriptor, from: u64) -> Result<Body> {
        let digest = &descriptor.digest;
        let what = format!("get the blob {} of {}", digest.short(), self.name);
        let plain = || self.request(Method::GET, &format!("blobs/{digest}"));
        let mut request = plain()?;
        if from > 0 {
            request.headers.push((RANGE, format!("bytes={from}-")));
        }
        let answer = match self.ask(request, &what) {
            // Whatever is wrong with the range, the whole will do.
            Err(error) if from > 0 && status(&error) == Some(416) => self.ask(plain()?, &what)?,
            other => other?,
        };
        let from = match answer.status {
            206 => answer.header(CONTENT_RANGE).and_then(first_byte).with_context(|| {
                format!("{what}: the registry sent a part of it and did not say which (no Content-Range)")
            })?,
            _ => 0,
        };
        Ok(Body { reader: Box::new(answer.reader()), from })
    }

    /// Asks the registry to take a blob over from another repository of its own, which costs nothing.
    pub fn mount_blob(&self, digest: &Digest, from: &str) -> Result<Mounted<'_>> {
        let what = format!("mount the blob {} of {from} in {}", digest.short(), self.name);
        let request = self.request(Method::POST, &format!("blobs/uploads/?mount={digest}&from={from}"))?;
        let answer = self.ask(request, &what)?;
        if answer.status == 201 {
            return Ok(Mounted::Yes);
        }
        Ok(Mounted::No(self.begun(answer, &what)?))
    }

    /// Begins an upload.
    pub fn upload(&self) -> Result<Upload<'_>> {
        let what = format!("begin an upload to {}", self.name);
        let answer = self.ask(self.request(Method::POST, "blobs/uploads/")?, &what)?;
        self.begun(answer, &what)
    }

    /// Stores a manifest under a tag or its digest. All that it names must be there.
    pub fn put_manifest(&self, which: &str, media_type: &str, bytes: &[u8]) -> Result<()> {
        let what = format!("store the manifest {which} in {}", self.name);
        let mut request = self.request(Method::PUT, &format!("manifests/{which}"))?;
        request.headers.push((CONTENT_TYPE, media_type.to_owned()));
        request.payload = Payload::Bytes(bytes);
        let answer = self.ask(request, &what)?;
        let stored = answer.header(CONTENT_DIGEST).unwrap_or_default();
        let ours = Digest::of(bytes);
        if !stored.is_empty() && stored != ours.as_str() {
            bail!("{what}: the registry stored it as {stored}, which is not {ours}");
        }
        Ok(())
    }

    fn begun(&self, answer: Answer, what: &str) -> Result<Upload<'_>> {
        let location = answer.header(LOCATION).with_context(|| format!("{what}: the registry did not say where to"))?;
        Ok(Upload { repository: self, location: http::join(&answer.url, location)? })
    }

    fn request<'a>(&self, method: Method, tail: &str) -> Result<Request<'a>> {
        let url = http::join(&self.endpoint.base, &format!("/v2/{}/{tail}", self.path))?;
        Ok(Request { method, url, headers: Vec::new(), payload: Payload::None })
    }

    fn ask(&self, mut request: Request<'_>, what: &str) -> Result<Answer> {
        let answer = self.client.send(&mut request)?;
        match answer.status {
            200..=299 => Ok(answer),
            _ => Err(Refused::new(what.to_owned(), answer).into()),
        }
    }
}

impl Upload<'_> {
    /// Sends a blob of `size` bytes as it is read: it is never held in memory as a whole.
    ///
    /// # Errors
    /// A refusal ([`Refused`]); a body that ends early. The registry keeps nothing then, and a new upload may be begun.
    pub fn send(self, mut body: impl Read + Send, size: u64, digest: &Digest) -> Result<()> {
        let what = format!("send the blob {} to {}", digest.short(), self.repository.name);
        let separator = if self.location.query().is_some() { '&' } else { '?' };
        let url = format!("{}{separator}digest={digest}", self.location);
        let url = url.parse().with_context(|| what.clone())?;
        let headers = vec![(CONTENT_TYPE, "application/octet-stream".to_owned())];
        let payload = Payload::Stream(&mut body, size);
        self.repository.ask(Request { method: Method::PUT, url, headers, payload }, &what)?;
        Ok(())
    }
}

impl Request<'_> {
    fn accept_manifests(mut self) -> Self {
        let types = [image::MANIFEST, image::INDEX, image::DOCKER_MANIFEST, image::DOCKER_LIST];
        self.headers.push((ACCEPT, types.join(", ")));
        self
    }
}

/// The HTTP status of a refusal.
pub fn status(error: &anyhow::Error) -> Option<u16> {
    error.downcast_ref::<Refused>().map(|refused| refused.status)
}

/// Makes "not found" an answer instead of an error.
fn found(answer: Result<Answer>) -> Result<Option<Answer>> {
    match answer {
        Err(error) if status(&error) == Some(404) => Ok(None),
        other => other.map(Some),
    }
}

/// What a page of tags is.
#[derive(serde::Deserialize)]
struct TagList {
    tags: Option<Vec<String>>,
}

/// Where the next page is: `</v2/app/tags/list?n=100&last=x>; rel="next"` (RFC 8288).
fn next_page(link: &str) -> Option<&str> {
    let (page, relation) = link.strip_prefix('<')?.split_once('>')?;
    relation.contains("next").then_some(page)
}

/// The first byte of a part: `bytes 512-1023/2048` (RFC 9110, section 14.4).
fn first_byte(range: &str) -> Option<u64> {
    range.strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    fn is_shared<T: Send + Sync>() {}
    #[test]
    fn threads_share_a_repository() {
        is_shared::<Repository>();
    }
}
