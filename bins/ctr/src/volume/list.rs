//! `ctr volume ls` and `inspect`.

use crate::cli::{VolumeInspect, VolumeLs};
use crate::show::format::{Format, Listing, Row, TEMPLATE_ERROR, labels_cell};
use crate::show::inspect::{self, How, Of};
use anyhow::{Result, bail};
use layout::Layout;
use layout::volume::Volume;
use serde_json::json;
use std::collections::BTreeSet;

static LISTING: Listing = Listing {
    type_name: "*formatter.volumeContext",
    columns: &[
        ("Driver", "DRIVER"),
        ("Name", "VOLUME NAME"),
        ("Scope", "SCOPE"),
        ("Mountpoint", "MOUNTPOINT"),
        ("Labels", "LABELS"),
        ("Links", "LINKS"),
        ("Size", "SIZE"),
    ],
    words: TEMPLATE_ERROR,
};

/// Prints the volumes that the filters let through.
pub fn ls(layout: &Layout, args: &VolumeLs) -> Result<u8> {
    let filter = Filter::parse(&args.filter, &["dangling", "driver", "label", "name"])?;
    let mut volumes = layout.volumes_by_name()?;
    if let Some(dangling) = filter.dangling()? {
        let users = layout.volume_users()?;
        volumes.retain(|volume| users.contains_key(&volume.name) != dangling);
    }
    volumes.retain(|volume| filter.takes(volume));
    if args.quiet && args.format.is_none() {
        volumes.iter().for_each(|volume| println!("{}", volume.name));
        return Ok(0);
    }
    let rows: Vec<Row> = volumes.iter().map(row).collect();
    Format::choose(&LISTING, args.format.as_deref(), false)?.print(&["Driver", "Name"], &rows)?;
    Ok(0)
}

fn row(volume: &Volume) -> Row {
    let labels = volume.labels.clone().unwrap_or_default();
    let fields = json!({
        "Driver": volume.driver,
        "Labels": labels_cell(&labels),
        "Links": "N/A",
        "Mountpoint": volume.mountpoint,
        "Name": volume.name,
        "Scope": volume.scope,
        "Size": "N/A",
    });
    Row { fields, labels }
}

/// Prints what is known of each volume; one that is not there is reported, and gives exit code 1.
pub fn inspect(layout: &Layout, args: &VolumeInspect) -> Result<u8> {
    let how = How { format: args.format.as_deref(), size: false, platform: None };
    inspect::show(layout, &args.volumes, Of::Volume, &how)
}

/// `--filter`: what is said of one key is alternatives, all keys have to match; labels have to match all.
pub struct Filter(Vec<(String, String)>);

impl Filter {
    /// Reads the filters; `known` are the keys that the command has.
    pub fn parse(filters: &[String], known: &[&str]) -> Result<Filter> {
        let mut parsed = Vec::new();
        for text in filters {
            let Some((key, value)) = text.split_once('=') else {
                bail!("invalid argument {text:?} for \"-f, --filter\" flag: bad format of filter (expected name=value)")
            };
            let key = key.trim().to_lowercase();
            if !known.contains(&key.as_str()) {
                bail!("Invalid filter '{key}'");
            }
            parsed.push((key, value.trim().to_owned()));
        }
        Ok(Filter(parsed))
    }

    fn values(&self, key: &str) -> Vec<&str> {
        self.0.iter().filter(|(known, _)| known == key).map(|(_, value)| value.as_str()).collect()
    }

    /// What `dangling` says.
    fn dangling(&self) -> Result<Option<bool>> {
        let values: BTreeSet<bool> = self
            .values("dangling")
            .into_iter()
            .map(|value| match value {
                "true" | "1" => Ok(true),
                "false" | "0" => Ok(false),
                _ => bail!("Invalid filter 'dangling=[{value}]'"),
            })
            .collect::<Result<_>>()?;
        Ok(if values.len() == 1 { values.first().copied() } else { None })
    }

    /// Whether the filters, but for `dangling`, let a volume through.
    pub fn takes(&self, volume: &Volume) -> bool {
        let (names, drivers) = (self.values("name"), self.values("driver"));
        let has = |wanted: &&str| {
            let (key, value) = wanted.split_once('=').map_or((*wanted, None), |(key, value)| (key, Some(value)));
            let label = volume.labels.as_ref().and_then(|labels| labels.get(key));
            label.is_some_and(|label| value.is_none_or(|value| value == label))
        };
        (names.is_empty() || names.iter().any(|name| volume.name.contains(name)))
            && (drivers.is_empty() || drivers.contains(&volume.driver.as_str()))
            && self.values("label").iter().all(has)
            && !self.values("label!").iter().any(has)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_dockers() {
        let labels = [("a".to_owned(), "b".to_owned())].into_iter().collect();
        let volume = Volume {
            created_at: String::new(),
            driver: "local".into(),
            labels: Some(labels),
            mountpoint: String::new(),
            name: "data".into(),
            options: None,
            scope: "local".into(),
        };
        let takes = |filters: &[&str]| {
            let filters: Vec<String> = filters.iter().map(|filter| (*filter).to_owned()).collect();
            Filter::parse(&filters, &["name", "driver", "label", "label!"]).map(|filter| filter.takes(&volume))
        };
        for good in
            [&["name=at"][..], &["name=x", "name=da"], &["label=a"], &["label=a=b", "driver=local"], &["label!=c"]]
        {
            assert!(takes(good).unwrap(), "{good:?}");
        }
        for bad in [&["name=x"][..], &["label=a=c"], &["label=a", "label=c"], &["driver=nfs"], &["label!=a"]] {
            assert!(!takes(bad).unwrap(), "{bad:?}");
        }
        assert!(takes(&["size=1"]).is_err() && takes(&["name"]).is_err());
    }
}
