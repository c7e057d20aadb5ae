//! `ctr version`: docker's form. There is no server; its place is taken by the tools that `ctr` calls.

use super::format::unescape;
use super::template::{Data, Template};
use crate::cli;
use crate::show::inspect::shape;
use anyhow::Result;
use layout::exit;
use layout::tool::{Call, Tool};
use serde_json::{Value, json};

/// Prints the versions of `ctr` and of the tools.
pub fn version(args: &cli::Version) -> Result<u8> {
    let document = document();
    match args.format.as_deref().filter(|format| !format.is_empty()) {
        Some("json") => println!("{document}"),
        Some(format) => println!("{}", filled(&document, format, "system.versionInfo")?),
        None => print!("{}", text(&document)),
    }
    Ok(0)
}

/// A document by a template.
///
/// # Errors
/// As docker's: 64 for what is no template, 1 for what names a field that is not there.
pub fn filled(document: &Value, format: &str, type_name: &'static str) -> Result<String> {
    let template = Template::parse(&unescape(format));
    let template = template.map_err(|error| exit::coded(64, format!("template parsing error: {error}")))?;
    let data = Data {
        type_name: Some(type_name),
        shape: shape::shape,
        absent: shape::absent,
        document: Some(document),
        ..Data::map(document)
    };
    template.render(&data).map_err(|error| exit::coded(1, error.to_string()))
}

/// Docker's keys. What runs containers has an entry a tool, and as a whole the version of `ctr`.
pub fn document() -> Value {
    let version = env!("CARGO_PKG_VERSION");
    let (os, architecture) = ("linux", layout::oci::image::Platform::host().architecture);
    let components: Vec<Value> = Tool::ALL.into_iter().filter(|tool| *tool != Tool::Ctr).map(component).collect();
    json!({
        "Client": {
            "Platform": {"Name": ""}, "Version": version, "ApiVersion": "", "DefaultAPIVersion": "", "GitCommit": "",
            "GoVersion": "", "Os": os, "Arch": architecture, "BuildTime": "", "Context": "default", "Experimental": false,
        },
        "Server": {
            "Platform": {"Name": ""}, "Components": components, "Version": version, "ApiVersion": "", "MinAPIVersion": "",
            "GitCommit": "", "GoVersion": "", "Os": os, "Arch": architecture,
            "KernelVersion": layout::kernel::release(), "BuildTime": "",
        },
    })
}

fn component(tool: Tool) -> Value {
    let said = Call::new(tool).arg("--version").output();
    // `cgset 0.1.0`; runc in the place of unshare-run says more.
    let said = said.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let first = said.lines().next().unwrap_or_default();
    let version = first.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit())).unwrap_or("");
    let path = tool.find().map(|path| path.display().to_string());
    json!({"Name": tool.name(), "Version": version, "Details": {"Path": path.unwrap_or_else(|error| format!("{error:#}"))}})
}

fn text(document: &Value) -> String {
    let client = &document["Client"];
    let field = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut out = format!(
        "Client:\n Version:           {}\n OS/Arch:           {}/{}\n Context:           {}\n\nServer: none, these tools are called\n",
        field(&client["Version"]),
        field(&client["Os"]),
        field(&client["Arch"]),
        field(&client["Context"]),
    );
    for component in document["Server"]["Components"].as_array().into_iter().flatten() {
        out.push_str(&format!(
            " {}:\n  Version:          {}\n  Path:             {}\n",
            field(&component["Name"]),
            field(&component["Version"]),
            field(&component["Details"]["Path"])
        ));
    }
    out
}
