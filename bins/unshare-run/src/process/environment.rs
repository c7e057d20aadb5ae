//! The environment (environ(7)): as configured, and `HOME`.

use std::path::Path;

/// The environment, each variable once (the last one counts; programs would take the first), and `HOME` from the
/// container's `/etc/passwd` where the configuration has none, as runc does.
pub fn environment(given: &[String], uid: u32) -> Vec<String> {
    let mut env: Vec<String> = Vec::with_capacity(given.len() + 1);
    let name = |variable: &str| variable.split('=').next().unwrap_or_default().to_owned();
    for variable in given {
        match env.iter().position(|earlier| name(earlier) == name(variable)) {
            Some(at) => env[at].clone_from(variable),
            None => env.push(variable.clone()),
        }
    }
    // An empty one is none.
    env.retain(|variable| variable != "HOME=");
    if !env.iter().any(|variable| variable.starts_with("HOME=")) {
        let home = layout::rootfs::find_user(Path::new("/"), &uid.to_string()).map(|user| user.home);
        env.push(format!("HOME={}", home.unwrap_or_else(|_| "/".to_owned())));
    }
    env
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_variable_is_there_once_and_the_last_one_counts() {
        let given = ["A=1", "HOME=/h", "B=x=y", "A=2"].map(str::to_owned);
        assert_eq!(environment(&given, 0), ["A=2", "HOME=/h", "B=x=y"]);
    }
}
