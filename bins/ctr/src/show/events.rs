//! `ctr events`: what happened, and with no end given what happens from now on.

use super::format::unescape;
use super::template::{Data, Shape, Template};
use super::{ps, when};
use crate::cli;
use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use layout::events;
use layout::{Layout, Reference, exit};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Prints events, the oldest first.
pub fn events(layout: &Layout, args: &cli::Events) -> Result<u8> {
    let printer = Printer::new(args)?;
    let now = Timestamp::now();
    let time = |text: &Option<String>, option| -> Result<Option<Timestamp>> {
        let Some(text) = text else { return Ok(None) };
        Ok(Some(Timestamp::from_nanosecond(when::parse(text, option, now)?)?))
    };
    let (until, since) = (time(&args.until, "until")?, time(&args.since, "since")?);
    // Watched from before the first look: what comes between is not missed.
    let watch = Watch::new(layout)?;
    let mut files = vec![];
    if since.is_some() {
        files.extend(Follower::open(&events::older_file(layout))?);
    }
    files.extend(Follower::open(&layout.events_file())?);
    if since.is_none() && until.is_none_or(|until| until > Timestamp::now()) {
        files.iter_mut().try_for_each(Follower::skip)?;
    }
    let begin = since.unwrap_or(Timestamp::MIN);
    loop {
        for file in &mut files {
            while let Some(event) = file.next()? {
                let time = time_of(&event);
                if time >= begin && until.is_none_or(|until| time <= until) {
                    printer.print(&event)?;
                }
            }
        }
        if until.is_some_and(|until| Timestamp::now() >= until) {
            return Ok(0);
        }
        // A new file was begun: the one before is read to its end as well, for who was about to write to it.
        let current = layout.events_file();
        if current.metadata().is_ok_and(|there| files.last().is_none_or(|file| file.inode != there.ino())) {
            files.extend(Follower::open(&current)?);
            let too_many = files.len().saturating_sub(2);
            files.drain(..too_many);
            continue;
        }
        watch.wait(until)?;
    }
}

/// A file that others append to.
struct Follower {
    inode: u64,
    reader: BufReader<File>,
    line: Vec<u8>,
}

impl Follower {
    fn open(path: &Path) -> Result<Option<Follower>> {
        match File::open(path) {
            Ok(file) => {
                let inode = file.metadata().with_context(|| format!("read {}", path.display()))?.ino();
                Ok(Some(Follower { inode, reader: BufReader::new(file), line: Vec::new() }))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("open {}", path.display())),
        }
    }

    /// The next whole event. What is no event is passed over.
    fn next(&mut self) -> Result<Option<Value>> {
        loop {
            self.reader.read_until(b'\n', &mut self.line).context("read the events")?;
            if !self.line.ends_with(b"\n") {
                return Ok(None);
            }
            let line = std::mem::take(&mut self.line);
            if let Ok(event @ Value::Object(_)) = serde_json::from_slice(&line) {
                return Ok(Some(event));
            }
        }
    }

    fn skip(&mut self) -> Result<()> {
        while self.next()?.is_some() {}
        Ok(())
    }
}

/// Wakes when something in the run folder changes (inotify(7)).
struct Watch(std::os::fd::OwnedFd);

impl Watch {
    fn new(layout: &Layout) -> Result<Watch> {
        let failed = || format!("watch {}", layout.run().display());
        let fd = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK).with_context(failed)?;
        let changes = inotify::WatchFlags::MODIFY | inotify::WatchFlags::CREATE | inotify::WatchFlags::MOVED_TO;
        inotify::add_watch(&fd, layout.run(), changes).with_context(failed)?;
        Ok(Watch(fd))
    }

    fn wait(&self, until: Option<Timestamp>) -> Result<()> {
        let left = until.map(|until| until.duration_since(Timestamp::now()));
        let timeout = left.map(|left| {
            let left = left.max(jiff::SignedDuration::from_millis(1));
            Timespec { tv_sec: left.as_secs(), tv_nsec: i64::from(left.subsec_nanos()) }
        });
        let mut fds = [PollFd::new(&self.0, PollFlags::IN)];
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).context("wait for events"),
        }
        // What changed does not matter: the files tell.
        let mut buffer = [0u8; 4096];
        while rustix::io::read(&self.0, &mut buffer).is_ok_and(|length| length > 0) {}
        Ok(())
    }
}

fn time_of(event: &Value) -> Timestamp {
    let nanoseconds = event["timeNano"].as_i64().unwrap_or_default();
    Timestamp::from_nanosecond(nanoseconds.into()).unwrap_or(Timestamp::MIN)
}

/// Which events are printed, and how.
struct Printer {
    filters: Vec<(String, Vec<String>)>,
    template: Option<Template>,
    as_json: bool,
}

impl Printer {
    fn new(args: &cli::Events) -> Result<Printer> {
        let format = args.format.as_deref().filter(|format| !format.is_empty());
        let wrong = |error: String| exit::coded(64, format!("Error parsing format: {error}"));
        let template = format.filter(|format| *format != "json").map(|text| Template::parse(&unescape(text)));
        let template = template.transpose().map_err(|error| wrong(error.to_string()))?;
        let mut filters: Vec<(String, Vec<String>)> = Vec::new();
        for (name, value) in ps::parse_filters(&args.filter, "-f, --filter")? {
            if !matches!(
                name.as_str(),
                "config"
                    | "container"
                    | "daemon"
                    | "event"
                    | "image"
                    | "label"
                    | "network"
                    | "node"
                    | "plugin"
                    | "scope"
                    | "secret"
                    | "service"
                    | "type"
                    | "volume"
            ) {
                bail!("Invalid filter '{name}'");
            }
            match filters.iter_mut().find(|(known, _)| *known == name) {
                Some((_, values)) => values.push(value),
                None => filters.push((name, vec![value])),
            }
        }
        let printer = Printer { filters, template, as_json: format == Some("json") };
        // A template that cannot be right is told of before anything happens.
        printer.text(&json!({})).map_err(|error| wrong(error.to_string()))?;
        Ok(printer)
    }

    fn print(&self, event: &Value) -> Result<()> {
        if !self.filters.iter().all(|(name, values)| values.iter().any(|value| fits(event, name, value))) {
            return Ok(());
        }
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}", self.text(event)?).and_then(|()| out.flush()).context("write to standard output")
    }

    fn text(&self, event: &Value) -> Result<String> {
        if self.as_json {
            return Ok(event.to_string());
        }
        let Some(template) = &self.template else { return Ok(line(event)) };
        let text = |key: &str| event[key].as_str().unwrap_or_default();
        let attributes = event["Actor"]["Attributes"].as_object().cloned().unwrap_or_default();
        let fields = json!({
            "Status": text("status"), "ID": text("id"), "From": text("from"), "Type": text("Type"), "Action": text("Action"),
            "Actor": {"ID": event["Actor"]["ID"].as_str().unwrap_or_default(), "Attributes": attributes},
            "Scope": text("scope"),
            "Time": event["time"].as_i64().unwrap_or_default(),
            "TimeNano": event["timeNano"].as_i64().unwrap_or_default(),
        });
        let shape = |key: &str| if key == "Attributes" { Shape::Map } else { Shape::Struct };
        let data = Data { type_name: Some("*events.Message"), shape, document: Some(event), ..Data::map(&fields) };
        template.render(&data).map_err(|error| anyhow::Error::msg(error.to_string()))
    }
}

/// `TIME container start ID (image=base, name=web)`
fn line(event: &Value) -> String {
    let local = time_of(event).to_zoned(jiff::tz::TimeZone::system());
    let time = local.strftime("%Y-%m-%dT%H:%M:%S.%9f%:z").to_string();
    let time = time.strip_suffix("+00:00").map_or(time.clone(), |utc| format!("{utc}Z"));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut words = vec![time, text(&event["Type"]), text(&event["Action"]), text(&event["Actor"]["ID"])];
    let attributes = event["Actor"]["Attributes"].as_object().into_iter().flatten();
    let attributes: Vec<String> = attributes.map(|(key, value)| format!("{key}={}", text(value))).collect();
    if !attributes.is_empty() {
        words.push(format!("({})", attributes.join(", ")));
    }
    words.join(" ")
}

fn fits(event: &Value, name: &str, value: &str) -> bool {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let attribute = |key: &str| event["Actor"]["Attributes"][key].as_str();
    let (kind, action, id) = (text(&event["Type"]), text(&event["Action"]), text(&event["Actor"]["ID"]));
    match name {
        // `exec_start: sh` is an exec_start.
        "event" => action == value || action.split(':').next() == Some(value),
        "type" => kind == value,
        "scope" => text(&event["scope"]) == value,
        "label" => match value.split_once('=') {
            Some((key, value)) => attribute(key) == Some(value),
            None => attribute(value).is_some(),
        },
        "image" => {
            let image = if kind == "image" { attribute("name") } else { attribute("image") };
            let image = image.unwrap_or_default();
            let repository = |name: &str| Reference::parse(name).is_ok_and(|name| name.repository() == value);
            [id.as_str(), image].into_iter().any(|name| name == value || repository(name))
        }
        // By the name or the id from its start on; as with docker, whatever it is that has them.
        _ => id.starts_with(value) || attribute("name").is_some_and(|name| name.starts_with(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Value {
        json!({"status": "start", "id": "abc", "from": "base:1", "Type": "container", "Action": "start",
            "Actor": {"ID": "abc", "Attributes": {"image": "base:1", "name": "web", "tier": "front"}},
            "scope": "local", "time": 1_795_286_244, "timeNano": 1_795_286_244_041_618_321_i64})
    }

    fn text(format: &str) -> String {
        let args = cli::Events { since: None, until: None, filter: vec![], format: Some(format.to_owned()) };
        Printer::new(&args).and_then(|printer| printer.text(&event())).unwrap_or_else(|error| error.to_string())
    }

    #[test]
    fn an_event_is_a_line_or_what_the_template_says() {
        let shown = text("");
        assert!(shown.ends_with(" container start abc (image=base:1, name=web, tier=front)"), "{shown}");
        assert_eq!(
            text("{{.Type}} {{.Action}} {{.Actor.Attributes.name}} {{.Time}}"),
            "container start web 1795286244"
        );
        assert_eq!(text("{{json .}}"), event().to_string());
        assert!(text("{{.Nosuch}}").ends_with("can't evaluate field Nosuch in type *events.Message"));
    }

    #[test]
    fn events_are_filtered_by_what_docker_filters_by() {
        for (name, value, expected) in [
            ("event", "start", true),
            ("event", "die", false),
            ("type", "container", true),
            ("container", "web", true),
            ("container", "ab", true),
            ("container", "we", true),
            ("container", "eb", false),
            ("image", "base", true),
            ("image", "base:1", true),
            ("label", "tier", true),
            ("label", "tier=back", false),
        ] {
            assert_eq!(fits(&event(), name, value), expected, "{name}={value}");
        }
    }
}
