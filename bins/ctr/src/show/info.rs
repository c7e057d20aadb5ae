//! `ctr info`: what is here, and what the machine can do. Docker's lines, as far as they are true of an engine without a daemon.

use super::{ps, stats, version};
use crate::cli;
use anyhow::Result;
use layout::container::Status;
use layout::images::summary;
use layout::tool::Tool;
use layout::{Layout, units};
use serde_json::{Value, json};
use std::path::Path;

/// Prints it.
pub fn info(layout: &Layout, args: &cli::Info) -> Result<u8> {
    let document = document(layout)?;
    match args.format.as_deref().filter(|format| !format.is_empty()) {
        Some("json") => println!("{document}"),
        Some(format) => match version::filled(&document, format, "system.info") {
            Ok(text) => println!("{text}"),
            Err(error) => {
                println!();
                return Err(error);
            }
        },
        None => {
            print!("{}", text(&document));
            for warning in document["Warnings"].as_array().into_iter().flatten() {
                eprintln!("{}", warning.as_str().unwrap_or_default());
            }
        }
    }
    Ok(0)
}

/// Docker's keys.
fn document(layout: &Layout) -> Result<Value> {
    let listed = ps::list::all(layout)?;
    let count = |fits: &dyn Fn(Status) -> bool| listed.iter().filter(|one| fits(one.state.status)).count();
    let paused = count(&|status| status == Status::Paused);
    let running = count(&|status| status.is_up()) - paused;
    let cgroup = cgroup_version(Path::new("/sys/fs/cgroup"));
    let hostname = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let registries = registries();
    let insecure = registries["insecure-registries"].as_array().cloned().unwrap_or_default();
    let mirrors = registries["registry-mirrors"].as_array().cloned().unwrap_or_default();
    let runtime = Tool::UnshareRun.find().map(|path| path.display().to_string()).unwrap_or_default();
    let mut info = json!({
        "ID": "",
        "Containers": listed.len(),
        "ContainersRunning": running,
        "ContainersPaused": paused,
        "ContainersStopped": listed.len() - running - paused,
        "Images": summary::all(layout)?.len(),
        "Driver": "overlay2",
        "DriverStatus": [["Backing Filesystem", filesystem(layout.root())], ["Supports d_type", "true"]],
        "Plugins": {
            "Volume": ["local"],
            "Network": ["bridge", "host", "null"],
            "Authorization": null,
            "Log": ["journald", "json-file", "local", "none", "syslog"],
        },
    });
    let machine = json!({
        "MemoryLimit": has("memory"),
        "SwapLimit": has("memory"),
        "CpuCfsPeriod": has("cpu"),
        "CpuCfsQuota": has("cpu"),
        "CPUShares": has("cpu"),
        "CPUSet": has("cpuset"),
        "PidsLimit": has("pids"),
        "IPv4Forwarding": is_one("/proc/sys/net/ipv4/ip_forward"),
        "Debug": false,
        "OomKillDisable": cgroup == "1",
        "SystemTime": layout::time::now(),
        "LoggingDriver": "json-file",
        "CgroupDriver": "cgroupfs",
        "CgroupVersion": cgroup,
        "KernelVersion": layout::kernel::release(),
        "OperatingSystem": operating_system(),
        "OSType": "linux",
        "Architecture": rustix::system::uname().machine().to_string_lossy(),
        "IndexServerAddress": "https://index.docker.io/v1/",
    });
    let rest = json!({
        "RegistryConfig": {
            "InsecureRegistryCIDRs": ["127.0.0.0/8"],
            "InsecureRegistries": insecure,
            "Mirrors": mirrors,
        },
        "NCPU": std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        "MemTotal": stats::host_memory(),
        "DockerRootDir": layout.root(),
        "RunDir": layout.run(),
        "HttpProxy": proxy("http_proxy"),
        "HttpsProxy": proxy("https_proxy"),
        "NoProxy": proxy("no_proxy"),
        "Name": hostname,
        "Labels": [],
        "ExperimentalBuild": false,
        "ServerVersion": env!("CARGO_PKG_VERSION"),
        "Runtimes": {"unshare-run": {"path": runtime}},
        "DefaultRuntime": "unshare-run",
        "Swarm": {"LocalNodeState": "inactive"},
        "LiveRestoreEnabled": true,
        "InitBinary": "",
        "SecurityOptions": ["name=seccomp,profile=default", "name=cgroupns"],
        "Warnings": warnings(),
        "ClientInfo": {"Debug": false, "Context": "default", "Plugins": [], "Warnings": null},
    });
    for part in [machine, rest] {
        if let (Value::Object(all), Value::Object(part)) = (&mut info, part) {
            all.extend(part);
        }
    }
    Ok(info)
}

fn text(info: &Value) -> String {
    let of = |key: &str| match &info[key] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let words = |value: &Value| {
        let words = value.as_array().into_iter().flatten().map(|word| word.as_str().unwrap_or_default());
        words.collect::<Vec<_>>().join(" ")
    };
    let mut lines = vec![
        "Client:".to_owned(),
        format!(" Context:    {}", info["ClientInfo"]["Context"].as_str().unwrap_or_default()),
        " Debug Mode: false".to_owned(),
        String::new(),
        "Server:".to_owned(),
        format!(" Containers: {}", of("Containers")),
        format!("  Running: {}", of("ContainersRunning")),
        format!("  Paused: {}", of("ContainersPaused")),
        format!("  Stopped: {}", of("ContainersStopped")),
        format!(" Images: {}", of("Images")),
        format!(" Server Version: {} (no daemon: ctr itself)", of("ServerVersion")),
        format!(" Storage Driver: {}", of("Driver")),
    ];
    for pair in info["DriverStatus"].as_array().into_iter().flatten() {
        lines.push(format!("  {}: {}", pair[0].as_str().unwrap_or_default(), pair[1].as_str().unwrap_or_default()));
    }
    lines.extend([
        format!(" Logging Driver: {}", of("LoggingDriver")),
        format!(" Cgroup Driver: {}", of("CgroupDriver")),
        format!(" Cgroup Version: {}", of("CgroupVersion")),
        " Plugins:".to_owned(),
        format!("  Volume: {}", words(&info["Plugins"]["Volume"])),
        format!("  Network: {}", words(&info["Plugins"]["Network"])),
        format!("  Log: {}", words(&info["Plugins"]["Log"])),
        " Swarm: inactive".to_owned(),
        " Runtimes: unshare-run".to_owned(),
        format!(" Default Runtime: {}", of("DefaultRuntime")),
        " Security Options:".to_owned(),
        "  seccomp".to_owned(),
        "   Profile: default".to_owned(),
        "  cgroupns".to_owned(),
    ]);
    for (title, key) in [
        ("Kernel Version", "KernelVersion"),
        ("Operating System", "OperatingSystem"),
        ("OSType", "OSType"),
        ("Architecture", "Architecture"),
        ("CPUs", "NCPU"),
    ] {
        lines.push(format!(" {title}: {}", of(key)));
    }
    lines.push(format!(" Total Memory: {}", units::binary_size(info["MemTotal"].as_u64().unwrap_or(0))));
    for (title, key) in [("Name", "Name"), ("Docker Root Dir", "DockerRootDir"), ("Run Dir", "RunDir")] {
        lines.push(format!(" {title}: {}", of(key)));
    }
    lines.push(" Debug Mode: false".to_owned());
    for (title, key) in [("HTTP Proxy", "HttpProxy"), ("HTTPS Proxy", "HttpsProxy"), ("No Proxy", "NoProxy")] {
        lines.extend(Some(of(key)).filter(|value| !value.is_empty()).map(|value| format!(" {title}: {value}")));
    }
    lines.push(format!(" Registry: {}", of("IndexServerAddress")));
    lines.extend([" Labels:".to_owned(), " Experimental: false".to_owned(), " Insecure Registries:".to_owned()]);
    let registries = &info["RegistryConfig"];
    let list = |key: &str| registries[key].as_array().cloned().unwrap_or_default();
    let line = |value: &Value| format!("  {}", value.as_str().unwrap_or_default());
    lines.extend(list("InsecureRegistries").iter().chain(&list("InsecureRegistryCIDRs")).map(line));
    if !list("Mirrors").is_empty() {
        lines.push(" Registry Mirrors:".to_owned());
        lines.extend(list("Mirrors").iter().map(line));
    }
    // Containers live on whatever becomes of the front end.
    lines.push(" Live Restore Enabled: true".to_owned());
    lines.join("\n") + "\n\n"
}

/// The name of the filesystem that holds a folder, as the kernel knows it (proc_pid_mountinfo(5)).
fn filesystem(dir: &Path) -> String {
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mounts = table.lines().filter_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let point = before.split(' ').nth(4)?;
        dir.starts_with(point).then(|| (point.len(), after.split(' ').next().unwrap_or_default()))
    });
    // The last of the innermost: what is mounted over another hides it.
    mounts.max_by_key(|(length, _)| *length).map_or_else(String::new, |(_, kind)| kind.to_owned())
}

fn cgroup_version(root: &Path) -> &'static str {
    if root.join("cgroup.controllers").exists() { "2" } else { "1" }
}

/// Whether the kernel has this controller, in either version.
fn has(controller: &str) -> bool {
    let root = Path::new("/sys/fs/cgroup");
    let unified = std::fs::read_to_string(root.join("cgroup.controllers")).unwrap_or_default();
    unified.split_whitespace().any(|name| name == controller) || root.join(controller).is_dir()
}

fn is_one(file: &str) -> bool {
    std::fs::read_to_string(file).is_ok_and(|text| text.trim() == "1")
}

fn warnings() -> Vec<String> {
    let missing = [("memory", "memory limit"), ("cpu", "cpu cfs quota"), ("cpuset", "cpuset"), ("pids", "pids limit")];
    let mut warnings: Vec<String> = missing
        .into_iter()
        .filter(|(controller, _)| !has(controller))
        .map(|(_, what)| format!("WARNING: No {what} support"))
        .collect();
    if !is_one("/proc/sys/net/ipv4/ip_forward") {
        warnings.push("WARNING: IPv4 forwarding is disabled".to_owned());
    }
    warnings
}

fn operating_system() -> String {
    let text = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map_or_else(|| "Linux".to_owned(), |name| name.trim_matches('"').to_owned())
}

/// `registries.json`, if there is one.
fn registries() -> Value {
    let read = layout::paths::config_dir().and_then(|dir| layout::publish::read_json(&dir.join("registries.json")));
    read.unwrap_or_default()
}

fn proxy(name: &str) -> String {
    std::env::var(name).or_else(|_| std::env::var(name.to_ascii_uppercase())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_cgroups_and_the_filesystem_are_seen() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(cgroup_version(dir.path()), "1");
        std::fs::write(dir.path().join("cgroup.controllers"), "cpu\n").unwrap();
        assert_eq!(cgroup_version(dir.path()), "2");
        assert_eq!(filesystem(Path::new("/proc/self")), "proc");
    }
}
