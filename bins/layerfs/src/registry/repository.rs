//! The protocol: manifests, blobs and uploads of one repository.

pub use super::hosts::Access;

use super::explain::{Refused, Subject};
use super::hosts;
use super::http::{self, Answer, Payload, Request, Stream};
use super::session::Session;
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
/// Up to here a blob is held in memory, and so can be sent again.
const SMALL: u64 = 64 << 10;
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// A repository in a registry, with what it takes to speak to it. Threads share it.
pub struct Repository {
    session: Session,
    access: Access,
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
    /// Which of the session's places waits.
    place: usize,
    scopes: Vec<String>,
    location: Uri,
}

impl Repository {
    /// Prepares to speak to the repository that `reference` names. Its tag and digest are not looked at.
    ///
    /// # Errors
    /// A registry or a mirror whose name is no host.
    pub fn open(settings: &Settings, reference: &Reference, access: Access) -> Result<Repository> {
        let session = Session::new(settings, hosts::endpoints(settings, reference, access)?);
        Ok(Repository { session, access, name: reference.repository(), path: reference.path.clone() })
    }

    /// Gets a manifest by tag or by digest.
    ///
    /// # Errors
    /// A refusal ([`Refused`]); one larger than 4 MiB; one that is not what the digest says.
    pub fn manifest(&self, which: &str) -> Result<Manifest> {
        let subject = self.subject(format!("get the manifest {which} of {}", self.name)).of_manifest(which);
        let what = &subject.operation;
        let (answer, _) = self.ask(&subject, Method::GET, &format!("manifests/{which}"), Request::accept_manifests)?;
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

    /// All tags, page by page as the registry gives them, sorted.
    ///
    /// # Errors
    /// A refusal; pages without end.
    pub fn tags(&self) -> Result<Vec<String>> {
        let subject = self.subject(format!("list the tags of {}", self.name));
        let what = || subject.operation.clone();
        let mut tags = BTreeSet::new();
        let (mut answer, place) = self.ask(&subject, Method::GET, "tags/list", |request| request)?;
        for _ in 0..MAX_PAGES {
            let next = answer.header(LINK).and_then(next_page).map(|page| http::join(&answer.url, page)).transpose()?;
            let bytes = answer.bytes(MAX_MANIFEST).with_context(what)?;
            let page: TagList = serde_json::from_slice(&bytes).with_context(what)?;
            tags.extend(page.tags.unwrap_or_default());
            let Some(url) = next else { return Ok(tags.into_iter().collect()) };
            answer = self.session.ask_at(place, &self.scopes(), &subject, Request::get(url))?;
        }
        bail!("{}: there are more than {MAX_PAGES} pages of them", what())
    }

    /// Asks whether the registry has a blob.
    ///
    /// # Errors
    /// A refusal for another reason than that it is not there.
    pub fn has_blob(&self, digest: &Digest) -> Result<bool> {
        let subject = self.subject(format!("look for the blob {} of {}", digest.short(), self.name));
        Ok(found(self.ask(&subject, Method::HEAD, &format!("blobs/{digest}"), |request| request))?.is_some())
    }

    /// Gets a blob from its byte `from` on. Nothing is verified here.
    ///
    /// # Errors
    /// A refusal; a part of the blob that the registry does not say the place of.
    pub fn blob(&self, descriptor: &Descriptor, from: u64) -> Result<Body> {
        let digest = &descriptor.digest;
        let subject = self.subject(format!("get the blob {} of {}", digest.short(), self.name));
        let get = |from: u64| {
            self.ask(&subject, Method::GET, &format!("blobs/{digest}"), |mut request| {
                if from > 0 {
                    request.headers.push((RANGE, format!("bytes={from}-")));
                }
                request
            })
        };
        let (answer, _) = match get(from) {
            // Whatever is wrong with the range, the whole will do.
            Err(error) if from > 0 && status(&error) == Some(416) => get(0)?,
            other => other?,
        };
        let from = match answer.status {
            206 => answer.header(CONTENT_RANGE).and_then(first_byte).with_context(|| {
                format!(
                    "{}: the registry sent a part of it and did not say which (no Content-Range)",
                    subject.operation
                )
            })?,
            _ => 0,
        };
        Ok(Body { reader: Box::new(answer.reader()), from })
    }

    /// Asks the registry to take a blob over from another repository of its own, which costs nothing.
    ///
    /// # Errors
    /// A refusal; perhaps only of reading there.
    pub fn mount_blob(&self, digest: &Digest, from: &str) -> Result<Mounted<'_>> {
        let subject = self.subject(format!("mount the blob {} of {from} in {}", digest.short(), self.name));
        let mut scopes = self.scopes();
        scopes.push(format!("repository:{from}:pull"));
        let (answer, place) = self.session.ask(&scopes, &subject, |base| {
            self.request(base, Method::POST, &format!("blobs/uploads/?mount={digest}&from={from}"))
        })?;
        if answer.status == 201 {
            return Ok(Mounted::Yes);
        }
        Ok(Mounted::No(self.begun(&answer, place, scopes, &subject)?))
    }

    /// Begins an upload.
    ///
    /// # Errors
    /// A refusal.
    pub fn upload(&self) -> Result<Upload<'_>> {
        let subject = self.subject(format!("begin an upload to {}", self.name));
        let (answer, place) = self.ask(&subject, Method::POST, "blobs/uploads/", |request| request)?;
        self.begun(&answer, place, self.scopes(), &subject)
    }

    /// Stores a manifest under a tag or its digest. All that it names must be there.
    ///
    /// # Errors
    /// A refusal; the registry stored something else.
    pub fn put_manifest(&self, which: &str, media_type: &str, bytes: &[u8]) -> Result<()> {
        let subject = self.subject(format!("store the manifest {which} in {}", self.name));
        let (answer, _) = self.session.ask(&self.scopes(), &subject, |base| {
            let mut request = self.request(base, Method::PUT, &format!("manifests/{which}"))?;
            request.headers.push((CONTENT_TYPE, media_type.to_owned()));
            request.payload = Payload::Bytes(bytes);
            Ok(request)
        })?;
        let stored = answer.header(CONTENT_DIGEST).unwrap_or_default();
        let ours = Digest::of(bytes);
        if !stored.is_empty() && stored != ours.as_str() {
            bail!("{}: the registry stored it as {stored}, which is not {ours}", subject.operation);
        }
        Ok(())
    }

    fn begun(&self, answer: &Answer, place: usize, scopes: Vec<String>, subject: &Subject) -> Result<Upload<'_>> {
        let location = answer
            .header(LOCATION)
            .with_context(|| format!("{}: the registry did not say where to", subject.operation))?;
        Ok(Upload { repository: self, place, scopes, location: http::join(&answer.url, location)? })
    }

    fn subject(&self, operation: String) -> Subject {
        Subject { operation, name: self.name.clone(), manifest: None, access: self.access }
    }

    /// What a token is to be good for.
    fn scopes(&self) -> Vec<String> {
        let actions = if self.access == Access::Push { "pull,push" } else { "pull" };
        vec![format!("repository:{}:{actions}", self.path)]
    }

    fn request<'a>(&self, base: &Uri, method: Method, tail: &str) -> Result<Request<'a>> {
        let url = format!("{}/v2/{}/{tail}", base.to_string().trim_end_matches('/'), self.path);
        Ok(Request { method, ..Request::get(url.parse().with_context(|| format!("ask for {tail} of {}", self.name))?) })
    }

    fn ask<'a>(
        &self,
        subject: &Subject,
        method: Method,
        tail: &str,
        change: impl Fn(Request<'a>) -> Request<'a>,
    ) -> Result<(Answer, usize)> {
        self.session.ask(&self.scopes(), subject, |base| Ok(change(self.request(base, method.clone(), tail)?)))
    }
}

impl Subject {
    fn of_manifest(mut self, which: &str) -> Subject {
        let separator = if which.contains(':') { '@' } else { ':' };
        self.manifest = Some(format!("{}{separator}{which}", self.name));
        self
    }
}

impl Upload<'_> {
    /// Sends a blob of `size` bytes as it is read: a large one is never held in memory as a whole.
    ///
    /// # Errors
    /// A refusal ([`Refused`]); a body that ends early. The registry keeps nothing then, and a new upload may be begun.
    pub fn send(self, mut body: impl Read + Send, size: u64, digest: &Digest) -> Result<()> {
        let subject = self.repository.subject(format!("send the blob {} to {}", digest.short(), self.repository.name));
        let what = || subject.operation.clone();
        let separator = if self.location.query().is_some() { '&' } else { '?' };
        let url = format!("{}{separator}digest={digest}", self.location).parse().with_context(what)?;
        let headers = vec![(CONTENT_TYPE, "application/octet-stream".to_owned())];
        let mut stream = Stream::new(&mut body, size);
        let mut small = Vec::new();
        let payload = if size <= SMALL {
            stream.read_to_end(&mut small).with_context(what)?;
            Payload::Bytes(&small)
        } else {
            Payload::Stream(stream)
        };
        let request = Request { method: Method::PUT, url, headers, authorization: None, payload };
        self.repository.session.ask_at(self.place, &self.scopes, &subject, request)?;
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
fn found<T>(answer: Result<T>) -> Result<Option<T>> {
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
