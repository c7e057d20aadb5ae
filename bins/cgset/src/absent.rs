//! Why a controller is not there, and how to have it.

use crate::group::read_optional;
use crate::hierarchy::Hierarchy;
use std::path::Path;

/// Says it in a few words.
pub fn why(controller: &str, hierarchy: &Hierarchy, group: Option<&Path>) -> String {
    let top = hierarchy.unified.as_deref();
    let of_top = top.and_then(|top| read_optional(&top.join("cgroup.controllers")).ok().flatten()).unwrap_or_default();
    if of_top.split_whitespace().any(|found| found == controller) {
        let group = group.map(|group| group.display().to_string()).unwrap_or_default();
        return format!("{group}/cgroup.controllers does not list it: the group above does not pass it on");
    }
    let known = read_optional(Path::new("/proc/cgroups")).ok().flatten().unwrap_or_default();
    by_kernel(controller, &known, !hierarchy.v1.is_empty())
}

/// Lines `memory 4 38 1` of /proc/cgroups: name, tree, groups, whether it is enabled.
fn by_kernel(controller: &str, known: &str, has_v1: bool) -> String {
    let line =
        known.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).find(|w| w.first() == Some(&controller));
    match line.as_deref() {
        Some([.., "0"]) => format!("the kernel was booted with it switched off (cgroup_disable={controller})"),
        Some([_, "0", ..]) if has_v1 => {
            let folder = format!("/sys/fs/cgroup/{controller}");
            format!("not mounted; try: mkdir {folder}; mount -t cgroup -o {controller} none {folder}")
        }
        Some(_) if has_v1 => "it is in a v1 tree that is not mounted here".to_owned(),
        Some(_) => "cgroup v2 has no such controller, or a v1 tree that is not mounted here has it".to_owned(),
        None => format!("this kernel is built without it (CONFIG_CGROUP_{})", controller.to_uppercase()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const KNOWN: &str =
        "#subsys_name\thierarchy\tnum_cgroups\tenabled\nmemory\t0\t1\t0\nnet_cls\t0\t1\t1\npids\t8\t1\t1\n";

    #[test]
    fn the_kernels_own_list_tells() {
        assert!(by_kernel("memory", KNOWN, true).contains("cgroup_disable=memory"));
        assert!(by_kernel("net_cls", KNOWN, true).contains("mount -t cgroup -o net_cls none /sys/fs/cgroup/net_cls"));
        assert!(by_kernel("rdma", KNOWN, true).contains("CONFIG_CGROUP_RDMA"));
        assert!(by_kernel("pids", KNOWN, false).contains("a v1 tree"));
    }

    #[test]
    fn what_the_top_has_is_not_passed_on() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("cgroup.controllers"), "cpu io\n").unwrap();
        let hierarchy = Hierarchy { unified: Some(dir.path().to_owned()), ..Hierarchy::default() };
        let said = why("io", &hierarchy, Some(&dir.path().join("demo")));
        assert!(said.contains("demo/cgroup.controllers") && said.contains("does not pass it on"), "{said}");
    }
}
