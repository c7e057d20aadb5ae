//! What Go's types for docker's documents say and JSON does not: which objects are maps, and what a template finds in a key that
//! the document leaves out.

use crate::show::template::Shape;

/// Keys whose objects have keys of the user's.
const MAPS: [&str; 18] = [
    "Annotations",
    "Attributes",
    "Containers",
    "Data",
    "Details",
    "DriverOpts",
    "ExposedPorts",
    "IndexConfigs",
    "Labels",
    "Networks",
    "Options",
    "PortBindings",
    "Ports",
    "Runtimes",
    "StorageOpt",
    "Sysctls",
    "Tmpfs",
    "Volumes",
];

/// Keys whose null is no object, or no number.
const POINTERS: [&str; 9] = [
    "Health",
    "Healthcheck",
    "IPAMConfig",
    "Init",
    "MemorySwappiness",
    "OomKillDisable",
    "PidsLimit",
    "SizeRootFs",
    "SizeRw",
];

/// Keys whose numbers are lengths of time.
const DURATIONS: [&str; 3] = ["Interval", "StartPeriod", "Timeout"];

/// What the value of a key is.
pub fn shape(key: &str) -> Shape {
    match key {
        key if MAPS.contains(&key) => Shape::Map,
        key if POINTERS.contains(&key) => Shape::Pointer,
        key if DURATIONS.contains(&key) => Shape::Duration,
        _ => Shape::Struct,
    }
}

/// How Go prints a key that docker leaves out where it has nothing to say.
pub fn absent(key: &str) -> Option<&'static str> {
    Some(match key {
        "ArgsEscaped" | "Experimental" | "NetworkDisabled" => "false",
        // Of a health check: what is not said is docker's to choose.
        "Interval" | "StartPeriod" | "Timeout" => "0s",
        "Retries" => "0",
        // Of a mount, those that only a volume has.
        "Driver" | "APIVersion" | "MacAddress" | "Name" | "StopSignal" | "Variant" => "",
        "Mounts" | "OnBuild" | "Shell" => "[]",
        "Annotations" | "Status" | "StorageOpt" | "Sysctls" | "Tmpfs" | "ExposedPorts" => "map[]",
        "Health" | "Healthcheck" | "Init" | "Node" | "SizeRootFs" | "SizeRw" | "StopTimeout" | "UsageData" => "<nil>",
        _ => return None,
    })
}
