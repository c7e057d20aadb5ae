//! `ctr inspect`: what is known of a container, an image, a volume or a network, as docker shows it.

mod container;
mod image;
mod network;
pub mod shape;
mod volume;

use super::format::unescape;
use super::template::{Data, Template};
use crate::cli;
use anyhow::{Context, Result};
use layout::oci::image::Platform;
use layout::{Layout, exit, images};
use serde::Serialize;
use serde_json::Value;
use std::io::Write;

/// What a name may stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// Whatever has the name: a container, an image, a network, a volume, in this order.
    Any,
    /// Only a container.
    Container,
    /// Only an image.
    Image,
    /// Only a network.
    Network,
    /// Only a volume.
    Volume,
}

impl Of {
    /// Docker's word for `--type`.
    fn word(self) -> &'static str {
        match self {
            Of::Any => "object",
            Of::Container => "container",
            Of::Image => "image",
            Of::Network => "network",
            Of::Volume => "volume",
        }
    }

    /// Reads `--type`.
    fn parse(word: Option<&str>) -> Result<Of> {
        let Some(word) = word.filter(|word| !word.is_empty()) else { return Ok(Of::Any) };
        let known = [Of::Container, Of::Image, Of::Network, Of::Volume].into_iter().find(|of| of.word() == word);
        known.ok_or_else(|| exit::coded(1, format!("{word:?} is not a valid value for --type")))
    }
}

/// How they are to be shown.
#[derive(Debug, Default)]
pub struct How<'a> {
    /// `--format`
    pub format: Option<&'a str>,
    /// Whether sizes of files are added up.
    pub size: bool,
    /// Of an image for several platforms this one.
    pub platform: Option<Platform>,
}

/// `ctr inspect`
pub fn inspect(layout: &Layout, args: &cli::Inspect) -> Result<u8> {
    let how = How { format: args.format.as_deref(), size: args.size, platform: None };
    show(layout, &args.names, Of::parse(args.kind.as_deref())?, &how)
}

/// `ctr container inspect`
pub fn containers(layout: &Layout, args: &cli::ContainerInspect) -> Result<u8> {
    let how = How { format: args.format.as_deref(), size: args.size, platform: None };
    show(layout, &args.names, Of::Container, &how)
}

/// `ctr image inspect`
pub fn images(layout: &Layout, args: &cli::ImageInspect) -> Result<u8> {
    let platform = args.platform.as_deref().map(Platform::parse).transpose()?;
    let how = How { format: args.format.as_deref(), size: false, platform };
    show(layout, &args.names, Of::Image, &how)
}

/// Prints a JSON array with an object for each name, or a line for each by the template; what is not found is told of at
/// the end, and gives exit code 1.
pub fn show(layout: &Layout, names: &[String], of: Of, how: &How<'_>) -> Result<u8> {
    let template =
        how.format.filter(|format| !matches!(*format, "" | "json")).map(|text| Template::parse(&unescape(text)));
    let template = template.transpose().map_err(|error| exit::coded(64, format!("template parsing error: {error}")))?;
    let (mut found, mut errors) = (Vec::new(), Vec::new());
    for name in names {
        match one(layout, name, of, how) {
            Ok(Some(object)) => found.push(object),
            Ok(None) => errors.push(format!("Error: No such {}: {name}", of.word())),
            Err(error) => errors.push(format!("ctr: {error:#}")),
        }
    }
    match (&template, how.format) {
        (Some(template), _) => {
            for object in &found {
                let data = Data { shape: shape::shape, absent: shape::absent, ..Data::map(object) };
                let line = template.render(&data).map_err(|error| {
                    println!();
                    exit::coded(1, format!("template parsing error: {error}"))
                })?;
                println!("{line}");
            }
        }
        (None, Some("json")) => println!("{}", Value::Array(found)),
        (None, _) if found.is_empty() => println!("[]"),
        (None, _) => println!("{}", indented(&found)?),
    }
    std::io::stdout().flush().context("write to standard output")?;
    errors.iter().for_each(|error| eprintln!("{error}"));
    Ok(u8::from(!errors.is_empty()))
}

/// JSON as docker indents it.
pub fn indented<T: Serialize>(value: &T) -> Result<String> {
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, formatter))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The object of a name, if there is one.
fn one(layout: &Layout, name: &str, of: Of, how: &How<'_>) -> Result<Option<Value>> {
    let may_be = |kind: Of| of == kind || of == Of::Any;
    if may_be(Of::Container) {
        match layout.find_container(name) {
            Ok(id) => return container::document(layout, &id, how.size).map(Some),
            // The start of several ids: none of the other kinds is meant.
            Err(error) if !error.to_string().starts_with("No such container") => return Err(error),
            Err(_) => {}
        }
    }
    if may_be(Of::Image) {
        let image = match &how.platform {
            Some(platform) => Some(images::platforms::find(layout, name, Some(platform))?),
            None => images::lookup(layout, name)?,
        };
        if let Some(image) = image {
            return image::document(layout, &image).map(Some);
        }
    }
    if may_be(Of::Network)
        && let Some(document) = network::document(layout, name)?
    {
        return Ok(Some(document));
    }
    if may_be(Of::Volume) { volume::document(layout, name) } else { Ok(None) }
}
