//! Docker and ctr at one registry: what one pushes the other pulls with the same id, and both say the same.

use crate::dockerd::Docker;
use ctr_tests::{Output, Sandbox, bin_dir, output, poll_until};
use std::sync::Arc;

/// Debian's `docker-registry` beside dockerd, in its cell, and a ctr that works there too.
struct Both {
    docker: Arc<Docker>,
    sandbox: Sandbox,
    registry: String,
    host: String,
}

impl Both {
    fn new() -> Both {
        let (docker, sandbox) = (Docker::get(), Sandbox::new());
        let dir = sandbox.path().display();
        let config = format!(
            "version: 0.1\nlog: {{level: info, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {dir}/data}}}}\nhttp: {{addr: '127.0.0.1:0'}}\n"
        );
        std::fs::write(sandbox.path().join("config.yml"), config).unwrap();
        let start = format!("docker-registry serve {dir}/config.yml >{dir}/log 2>&1 & echo $!");
        let registry = docker.cell.sh(&start).ok().text().to_owned();
        let mut both = Both { docker, sandbox, registry, host: String::new() };
        both.host = poll_until(60, "docker-registry to listen", || {
            let log = std::fs::read_to_string(both.sandbox.path().join("log")).ok()?;
            let port = log.split("listening on 127.0.0.1:").nth(1)?;
            Some(format!("localhost:{}", port.split(|c: char| !c.is_ascii_digit()).next()?))
        });
        both
    }

    fn name(&self, image: &str) -> String {
        format!("{}/{image}", self.host)
    }

    fn docker(&self, args: &[&str]) -> Output {
        self.docker.run(args)
    }

    fn ctr(&self, args: &[&str]) -> Output {
        let mut command = self.docker.cell.command(bin_dir().join("ctr").canonicalize().unwrap());
        command
            .env("CTR_ROOT", self.sandbox.root())
            .env("CTR_RUN", self.sandbox.run_dir())
            .env("CTR_BIN_DIR", bin_dir().canonicalize().unwrap());
        output::run(command.args(args), b"")
    }

    fn docker_id(&self, name: &str) -> String {
        self.docker(&["inspect", "-f", "{{.Id}}", name]).ok().text().to_owned()
    }

    fn ctr_id(&self, name: &str) -> String {
        self.ctr(&["inspect", name]).ok().json()[0]["Id"].as_str().unwrap().to_owned()
    }
}

impl Drop for Both {
    fn drop(&mut self) {
        let end = format!("kill {0} && while kill -0 {0} 2>&-; do sleep 0.1; done", self.registry);
        self.docker.cell.sh(&end);
        for name in ["docker/app:v1", "ctr/app:v1", "other/app:v1", "ours:v1"] {
            self.docker.run(["rmi", "-f", &self.name(name)]);
        }
    }
}

/// What was said, without what differs by chance: ids, the order of layers, states that are passed through quickly.
fn words(output: &Output) -> Vec<String> {
    let mut lines: Vec<String> = output
        .stdout
        .lines()
        .chain(output.stderr.lines().map(|line| line.trim_start_matches("layerfs: ")))
        .map(|line| line.trim_end().replace("docker/app", "NAME").replace("ctr/app", "NAME"))
        .filter(|line| !line.ends_with(": Verifying Checksum") && !line.ends_with(": Waiting"))
        .map(|line| match line.split_once(": ") {
            Some((id, state)) if id.len() == 12 => format!("LAYER: {state}"),
            _ => line,
        })
        .collect();
    lines.sort();
    lines
}

#[test]
fn docker_and_ctr_push_and_pull_each_others_images_in_the_same_words() {
    let both = Both::new();
    let (theirs, ours, other) = (both.name("docker/app:v1"), both.name("ctr/app:v1"), both.name("other/app:v1"));
    both.docker(&["tag", "base", &theirs]).ok();
    let pushed = both.docker(&["push", &theirs]).ok();

    let pulled = both.ctr(&["pull", &theirs]).ok();
    assert_eq!(both.ctr_id(&theirs), both.docker_id(&theirs));
    let again = both.ctr(&["pull", &theirs]).ok();
    assert_eq!(words(&again), words(&both.docker(&["pull", &theirs]).ok()));

    // It goes on under another name with the same digest.
    both.ctr(&["tag", &theirs, &ours]).ok();
    let digest = |output: &Output| output.stdout.split("digest: ").nth(1).unwrap().trim().to_owned();
    let mounted = both.ctr(&["push", &ours]).ok();
    assert_eq!(digest(&mounted), digest(&pushed));
    both.docker(&["tag", &theirs, &other]).ok();
    let docker_mounted = both.docker(&["push", &other]).ok();
    assert_eq!(
        words(&mounted),
        words(&docker_mounted).iter().map(|l| l.replace("other/app", "NAME")).collect::<Vec<_>>()
    );
    let (repeated, docker_repeated) = (both.ctr(&["push", &ours]).ok(), both.docker(&["push", &theirs]).ok());
    assert_eq!(words(&repeated), words(&docker_repeated));

    // Docker forgets all of it, and gets it back from where ctr has put it.
    let id = both.docker_id(&theirs);
    both.docker(&["rmi", &theirs, &other]).ok();
    both.docker(&["pull", &ours]).ok();
    assert_eq!(both.docker_id(&ours), id);

    for refused in [
        vec!["push".to_owned(), both.name("nosuch")],
        vec!["push".to_owned(), both.name("ctr/app:v2")],
        vec!["push".to_owned(), "-a".to_owned(), ours.clone()],
        vec!["pull".to_owned(), "-a".to_owned(), ours.clone()],
    ] {
        let args: Vec<&str> = refused.iter().map(String::as_str).collect();
        assert_eq!(words(&both.ctr(&args).exits(1)), words(&both.docker(&args).exits(1)));
    }
    assert!(words(&pulled).contains(&"LAYER: Pull complete".to_owned()), "{pulled}");
}

#[test]
fn docker_pulls_an_image_that_ctr_made_with_the_same_id_and_loads_as_it_does() {
    let both = Both::new();
    let name = both.name("ours:v1");
    let dir = both.sandbox.path().join("rootfs");
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join("file"), "content").unwrap();
    both.sandbox.sh("tar -C rootfs -cf rootfs.tar .").ok();
    let tar = both.sandbox.path().join("rootfs.tar");
    both.ctr(&["import", tar.to_str().unwrap(), &name]).ok();
    both.ctr(&["push", &name]).ok();
    let first = both.docker(&["pull", &name]).ok();
    assert_eq!(both.docker_id(&name), both.ctr_id(&name));
    both.ctr(&["rmi", &name]).ok();
    let ours = both.ctr(&["pull", &name]).ok();
    assert_eq!(words(&ours), words(&first));
}
