//! The small ones: tasks, huge pages, RDMA devices, marks and priorities of packets (kernel: cgroup-v1/{pids, hugetlb, rdma,
//! net_cls, net_prio}.rst; cgroup-v2.rst, "PID", "HugeTLB", "RDMA").

use crate::convert::or_max;
use crate::hierarchy::Version;
use crate::limits::Setting;
use anyhow::{Result, bail};
use layout::oci::runtime::Resources;

/// Tasks. 0 asks for nothing, as in runc; below 0 is no limit.
pub fn pids(resources: &Resources, _: Version) -> Result<Vec<Setting>> {
    let limit = resources.pids.map(|pids| pids.limit).filter(|limit| *limit != 0);
    Ok(limit.map(|limit| Setting::new("pids.max", or_max(limit))).into_iter().collect())
}

/// Huge pages, of each size by itself: those that are used, and, from Linux 5.7 on, those that are promised by mmap(2).
pub fn hugetlb(resources: &Resources, version: Version) -> Result<Vec<Setting>> {
    let (limit, promised) = match version {
        Version::V1 => ("limit_in_bytes", "rsvd.limit_in_bytes"),
        Version::V2 => ("max", "rsvd.max"),
    };
    let mut settings: Vec<Setting> = Vec::new();
    for page in &resources.hugepage_limits {
        let size = &page.page_size;
        let unit = size.trim_start_matches(|c: char| c.is_ascii_digit());
        if unit.len() == size.len() || !["KB", "MB", "GB"].contains(&unit) {
            bail!("limit huge pages of size {size:?}: a size is written as in 64KB, 2MB or 1GB");
        }
        let file = format!("hugetlb.{size}.{limit}");
        if settings.iter().any(|setting| setting.either[0].0 == file) {
            bail!("limit huge pages of size {size}: there are two limits for it");
        }
        settings.push(Setting::new(file, page.limit));
        settings.push(Setting::new(format!("hugetlb.{size}.{promised}"), page.limit).where_there());
    }
    Ok(settings)
}

/// RDMA devices, a line each: `mlx5_0 hca_handle=2 hca_object=2000`.
pub fn rdma(resources: &Resources, _: Version) -> Result<Vec<Setting>> {
    let mut settings = Vec::new();
    for (device, limits) in &resources.rdma {
        if device.is_empty() || device.contains(char::is_whitespace) {
            bail!("limit RDMA device {device:?}: that is no name of a device (ls /sys/class/infiniband)");
        }
        let handles = limits.hca_handles.map(|n| format!(" hca_handle={n}"));
        let objects = limits.hca_objects.map(|n| format!(" hca_object={n}"));
        if handles.is_some() || objects.is_some() {
            let line = [Some(device.clone()), handles, objects].into_iter().flatten().collect::<String>();
            settings.push(Setting::new("rdma.max", line));
        }
    }
    Ok(settings)
}

/// The mark on packets, which tc(8) and the firewall can see.
pub fn net_class(resources: &Resources, _: Version) -> Result<Vec<Setting>> {
    let class = resources.network.as_ref().and_then(|network| network.class_id).filter(|class| *class != 0);
    Ok(class.map(|class| Setting::new("net_cls.classid", class)).into_iter().collect())
}

/// The priority of packets on each interface.
pub fn net_priorities(resources: &Resources, _: Version) -> Result<Vec<Setting>> {
    let Some(network) = &resources.network else { return Ok(Vec::new()) };
    let mut settings = Vec::new();
    for interface in &network.priorities {
        if interface.name.is_empty() || interface.name.contains(char::is_whitespace) {
            bail!("set the priority of interface {:?}: that is no name of an interface", interface.name);
        }
        settings.push(Setting::new("net_prio.ifpriomap", format!("{} {}", interface.name, interface.priority)));
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::setting::tests::shown;
    use serde_json::{Value, json};

    type Settings = fn(&Resources, Version) -> Result<Vec<Setting>>;

    fn on(version: Version, settings: Settings, value: Value) -> Result<String> {
        settings(&serde_json::from_value(value).unwrap(), version).map(|settings| shown(&settings))
    }

    #[test]
    fn no_tasks_is_not_asked_for_and_less_is_no_limit() {
        for (limit, wanted) in [(0, ""), (20, "pids.max=20"), (-1, "pids.max=max"), (-5, "pids.max=max")] {
            for version in [Version::V1, Version::V2] {
                assert_eq!(on(version, pids, json!({"pids": {"limit": limit}})).unwrap(), wanted);
            }
        }
    }

    #[test]
    fn huge_pages_are_limited_by_use_and_by_promise() {
        let asked = json!({"hugepageLimits": [{"pageSize": "2MB", "limit": 0}]});
        assert_eq!(
            on(Version::V1, hugetlb, asked.clone()).unwrap(),
            "hugetlb.2MB.limit_in_bytes=0, hugetlb.2MB.rsvd.limit_in_bytes=0"
        );
        assert_eq!(on(Version::V2, hugetlb, asked).unwrap(), "hugetlb.2MB.max=0, hugetlb.2MB.rsvd.max=0");
        for bad in ["2", "MB", "2mb", "../2MB", "2MB/../../x"] {
            let asked = json!({"hugepageLimits": [{"pageSize": bad, "limit": 5}]});
            assert!(on(Version::V2, hugetlb, asked).is_err(), "{bad}");
        }
        let twice = json!({"hugepageLimits": [{"pageSize": "2MB", "limit": 5}, {"pageSize": "2MB", "limit": 6}]});
        assert!(on(Version::V2, hugetlb, twice).is_err());
    }

    #[test]
    fn devices_and_interfaces_are_a_line_each() {
        let asked = json!({
            "rdma": {"mlx5_0": {"hcaHandles": 2, "hcaObjects": 9}, "mlx5_1": {"hcaObjects": 3}, "mlx5_2": {}},
            "network": {"classID": 1048577, "priorities": [{"name": "lo", "priority": 5}]}
        });
        let lines = "rdma.max=mlx5_0 hca_handle=2 hca_object=9, rdma.max=mlx5_1 hca_object=3";
        assert_eq!(on(Version::V2, rdma, asked.clone()).unwrap(), lines);
        assert_eq!(on(Version::V1, net_class, asked.clone()).unwrap(), "net_cls.classid=1048577");
        assert_eq!(on(Version::V1, net_priorities, asked).unwrap(), "net_prio.ifpriomap=lo 5");
        assert!(
            on(Version::V1, net_priorities, json!({"network": {"priorities": [{"name": "", "priority": 5}]}})).is_err()
        );
    }
}
