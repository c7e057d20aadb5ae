//! Builds with the real layerfs, unshare-run and cgset, on an image of busybox. As root.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on fails

mod common;

use common::Store;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::time::{Duration, SystemTime};

const DEMO: &str = "\
FROM base
WORKDIR /app
COPY . /app
RUN echo compiled > made && echo said
ENV NAME World
EXPOSE 80
CMD [\"sh\", \"app.sh\"]
";

fn demo() -> Store {
    let store = Store::with_base();
    store.file("app.sh", "echo hello");
    store.file("lib/one", "1");
    store.mode("app.sh", 0o750);
    // Else a changed Dockerfile is another content of `COPY .`
    store.file(".dockerignore", "Dockerfile\n.dockerignore\n");
    store
}

#[test]
fn the_demo_is_built_step_by_step_and_then_from_the_cache() {
    let store = demo();
    let first = store.built(DEMO, &["-t", "web", "-t", "web:2"]);
    assert!(first.out.starts_with("Sending build context to Docker daemon  5.632kB\nStep 1/7 : FROM base\n ---> "));
    assert!(first.out.contains("\nsaid\nRemoving intermediate container "), "{}", first.out);
    assert!(first.out.ends_with("\nSuccessfully tagged web:latest\nSuccessfully tagged web:2\n"), "{}", first.out);
    assert_eq!(first.steps(), ["done"; 6]);

    let image = store.inspect("web");
    assert_eq!(image["Config"]["Cmd"], serde_json::json!(["sh", "app.sh"]));
    assert_eq!(image["Config"]["WorkingDir"], "/app");
    assert_eq!(image["Config"]["ExposedPorts"], serde_json::json!({"80/tcp": {}}));
    assert!(image["Config"]["Env"].as_array().unwrap().iter().any(|variable| variable == "NAME=World"));

    let second = store.built(DEMO, &["-t", "web"]);
    assert_eq!(second.steps(), ["cached"; 6]);
    assert_eq!(store.inspect("web")["Id"], image["Id"]);

    let third = store.built(DEMO, &["--no-cache"]);
    assert_eq!(third.steps(), ["done"; 6]);
}

#[test]
fn times_keep_the_cache_and_contents_do_not() {
    let store = demo();
    store.built(DEMO, &[]);
    let file = store.context().join("app.sh");
    let opened = fs::File::options().append(true).open(&file).unwrap();
    opened.set_modified(SystemTime::now() - Duration::from_secs(5000)).unwrap();
    assert_eq!(store.built(DEMO, &[]).steps(), ["cached"; 6]);
    fs::write(&file, "echo other").unwrap();
    assert_eq!(store.built(DEMO, &[]).steps(), ["cached", "done", "done", "done", "done", "done"]);
    let changed = DEMO.replace("EXPOSE 80", "EXPOSE 81");
    assert_eq!(store.built(&changed, &[]).steps(), ["cached", "cached", "cached", "cached", "done", "done"]);
}

#[test]
fn layers_hold_what_a_step_did_and_nothing_else() {
    let store = demo();
    store.built("FROM base\nWORKDIR /a/b", &["-t", "workdir"]);
    assert_eq!(store.layer_of("workdir"), ["40755 0:0 a", "40755 0:0 a/b"]);
    store.built("FROM base\nWORKDIR /tmp", &["-t", "there"]);
    assert_eq!(store.inspect("there")["RootFS"], store.inspect("base")["RootFS"], "the folder was there");

    store.built("FROM base\nWORKDIR /a\nCOPY --chown=web:logs app.sh lib ./new/", &["-t", "copy"]);
    let expected = ["40755 0:0 a", "40755 33:4 a/new", "100750 33:4 a/new/app.sh", "100644 33:4 a/new/one"];
    assert_eq!(store.layer_of("copy"), expected);

    // /tmp has another mode than a new folder, and keeps it.
    store.built("FROM base\nCOPY app.sh /tmp/", &["-t", "tmp"]);
    assert_eq!(store.layer_of("tmp"), ["41777 0:0 tmp", "100750 0:0 tmp/app.sh"]);

    // No mount point, no resolv.conf, no hosts.
    store.built("FROM base\nUSER web\nRUN id -u > /tmp/x && touch /tmp/y", &["-t", "run"]);
    assert_eq!(store.layer_of("run"), ["41777 0:0 tmp", "100644 33:34 tmp/x", "100644 33:34 tmp/y"]);
    store.built("FROM base\nRUN cat /etc/hosts /etc/resolv.conf /proc/self/status > /dev/null", &["-t", "nothing"]);
    assert_eq!(store.inspect("nothing")["RootFS"], store.inspect("base")["RootFS"], "the command changed nothing");
}

#[test]
fn run_sees_the_environment_the_user_and_the_args() {
    let store = Store::with_base();
    let dockerfile = "\
ARG FROM_BASE=base
FROM $FROM_BASE
ARG A
ARG B=b
ENV C=\"c $A\"
USER web
WORKDIR /srv
RUN echo \"$A|$B|$C|$HOME|$http_proxy|$NOT\" && id -u && id -g && pwd
RUN [\"sh\", \"-c\", \"echo exec form\"]
";
    let args = ["--build-arg", "A=1", "--build-arg", "http_proxy=p", "--build-arg", "NOT=x"];
    let built = store.built(dockerfile, &args);
    assert!(built.out.contains("\n1|b|c 1|/srv|p|\n33\n34\n/srv\n"), "{}", built.out);
    assert!(built.out.contains("\nexec form\n"), "{}", built.out);
    assert!(built.out.contains("[Warning] One or more build-args [NOT] were not consumed\n"), "{}", built.out);
    assert!(!built.steps().contains(&"cached"));
    // Another proxy is the same build; another argument is not.
    let same = store.built(dockerfile, &["--build-arg", "A=1", "--build-arg", "http_proxy=q"]);
    assert!(!same.steps().contains(&"done"), "{}", same.out);
    let other = store.built(dockerfile, &["--build-arg", "A=2"]);
    assert_eq!(other.steps()[..2], ["cached", "cached"], "ARG itself");
    assert!(other.steps()[2..].iter().all(|step| *step == "done"), "{}", other.out);
}

#[test]
fn a_failing_run_gives_its_code_and_leaves_the_steps_before_it() {
    let store = Store::with_base();
    let dockerfile = "FROM base\nENV A=b\nRUN echo partly; touch /x; exit 7\nRUN echo never";
    let failed = store.build(dockerfile, &["-t", "failed"]);
    assert_eq!(failed.code, 7, "{failed:?}");
    assert!(failed.out.ends_with("\npartly\n"), "{failed:?}");
    assert_eq!(failed.err, "The command '/bin/sh -c echo partly; touch /x; exit 7' returned a non-zero code: 7\n");
    assert_eq!(store.images(), 2, "base and ENV");
    store.assert_clean();
    let again = store.build(dockerfile, &["-q"]);
    assert_eq!((again.code, again.out.as_str()), (7, ""));
    assert!(again.err.contains("Using cache") && again.err.contains("\npartly\n"), "{again:?}");
    assert_eq!(store.build("FROM base\nRUN [\"/no/such\"]", &[]).code, 127);
}

#[test]
fn quiet_prints_the_id_alone() {
    let store = Store::with_base();
    let built = store.built("FROM base\nRUN echo noise", &["-q", "-t", "x"]);
    assert_eq!(built.out, format!("{}\n", store.inspect("x")["Id"].as_str().unwrap()));
    assert_eq!(built.err, "");
}

#[test]
fn nothing_outside_of_the_context_can_be_copied() {
    let store = Store::with_base();
    store.file("inside", "inside");
    store.file("dir/x", "x");
    store.link("out", "/etc/hostname");
    store.link("up", "../root/LAYOUT");
    store.link("in", "dir/../inside");
    for gone in ["out", "up", "../root/LAYOUT", "/etc/hostname", "dir/../../root/LAYOUT"] {
        let failed = store.build(&format!("FROM base\nCOPY {gone} /x"), &[]);
        assert_eq!(failed.code, 1, "{gone}: {failed:?}");
        let expected = "imgbuild: context/Dockerfile:2: COPY failed: file not found in build context or excluded by";
        assert!(failed.err.starts_with(expected), "{gone}: {failed:?}");
    }
    let built = store.built("FROM base\nCOPY in /y\nCOPY . /all/\nRUN cat /y; ls -l /all", &[]);
    assert!(built.out.contains("\ninside"), "{}", built.out);
    assert!(built.out.contains("out -> /etc/hostname\n"), "links are copied as links: {}", built.out);
    // A link in the image does not lead out of the image.
    let dockerfile = "FROM base\nRUN ln -s /../../../../etc /leak 2>/dev/null || true\nCOPY in /leak/imgbuild-was-here";
    store.build(dockerfile, &[]);
    assert!(!std::path::Path::new("/etc/imgbuild-was-here").exists());
}

#[test]
fn ignored_files_are_not_copied() {
    let store = Store::with_base();
    for name in ["a.txt", "b.txt", "d/c.txt", "d/e", "secret/key"] {
        store.file(name, name);
    }
    store.file(".dockerignore", "# rules\n**/*.txt\n!b.txt\nsecret\nDockerfile\n.dockerignore\n");
    store.built("FROM base\nCOPY . /all/", &["-t", "all"]);
    let files = store.layer_of("all");
    let names: Vec<&str> = files.iter().map(|line| line.rsplit(' ').next().unwrap()).collect();
    assert_eq!(names, ["all", "all/b.txt", "all/d", "all/d/e"]);
    assert_eq!(store.build("FROM base\nCOPY a.txt /", &[]).code, 1);
}

#[test]
fn scratch_is_a_base_too() {
    let store = Store::with_base();
    store.file("hello", "hello");
    let built = store.built("FROM scratch\nCOPY hello /\nCMD [\"/hello\"]", &["-t", "tiny"]);
    assert!(built.out.contains("Step 1/3 : FROM scratch\n ---> \nStep 2/3"), "{}", built.out);
    assert_eq!(store.layer_of("tiny"), ["100644 0:0 hello"]);
    assert_eq!(store.built("FROM scratch\nCOPY hello /\nCMD [\"/hello\"]", &[]).steps(), ["cached", "cached"]);
    let empty = store.build("FROM scratch", &[]);
    assert_eq!((empty.code, empty.err.contains("No image was generated")), (1, true), "{empty:?}");
}

#[test]
fn what_is_wrong_is_said_with_file_and_line() {
    let store = Store::with_base();
    for (dockerfile, expected) in [
        (
            "FROM base\n\nRUNN x",
            "context/Dockerfile:3:1: dockerfile parse error line 3: unknown instruction: RUNN: did you mean RUN?",
        ),
        ("FROM localhost:1/nosuch:1", "context/Dockerfile:1: layerfs: ask localhost:1: connection refused"),
        ("FROM base\nEXPOSE nope", "context/Dockerfile:2: Invalid containerPort: nope"),
        ("FROM base\nWORKDIR ${x", "context/Dockerfile:2: failed to process \"${x\": syntax error: missing '}'"),
        ("FROM base\nUSER nobody\nRUN true", "context/Dockerfile:3: unable to find user nobody"),
        (
            "FROM base\nCOPY --chown=nobody Dockerfile /x",
            "context/Dockerfile:2: unable to convert uid/gid chown string",
        ),
        ("FROM base\nCOPY Dockerfile /etc/passwd/x", "context/Dockerfile:2: /etc/passwd is not a directory"),
        ("", "the Dockerfile (context/Dockerfile) cannot be empty"),
    ] {
        let failed = store.build(dockerfile, &[]);
        assert_eq!(failed.code, 1, "{dockerfile}: {failed:?}");
        assert!(failed.err.starts_with(&format!("imgbuild: {expected}")), "{dockerfile}: {failed:?}");
    }
    assert_eq!(store.command("imgbuild").arg("nowhere").output().unwrap().status.code(), Some(1));
    assert_eq!(store.command("imgbuild").args(["-t", "Bad:", "."]).output().unwrap().status.code(), Some(125));
}

#[test]
fn an_interrupted_build_cleans_up() {
    let store = Store::with_base();
    store.file("Dockerfile", "FROM base\nRUN trap '' TERM INT; echo begun; sleep 1000");
    for (signal, code) in [(rustix::process::Signal::TERM, 143), (rustix::process::Signal::INT, 130)] {
        let mut child =
            store.command("imgbuild").arg("context").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap() == "begun"));
        rustix::process::kill_process(rustix::process::Pid::from_child(&child), signal).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code));
        let mut err = String::new();
        child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        assert!(err.contains("ended by SIG"), "{err}");
        store.assert_clean();
        assert_eq!(store.images(), 1);
    }
}

#[test]
fn verbose_shows_each_call_as_a_line_of_shell() {
    let store = Store::with_base();
    let built = store.built("FROM base\nRUN true\nENV a=b", &["--verbose", "-t", "x"]);
    let tools: Vec<&str> = built.err.lines().map(|line| line.split(" | ").last().unwrap()).collect();
    let starts = [
        "layerfs mount ",
        "unshare-run --root ",
        "layerfs umount ",
        "layerfs commit ",
        "layerfs commit ",
        "layerfs tag ",
    ];
    assert_eq!(tools.len(), starts.len(), "{tools:?}");
    for (line, start) in tools.iter().zip(starts) {
        assert!(line.starts_with(start), "{line}");
    }
    let again = store.built("FROM base\nRUN true\nENV a=b", &["--verbose", "-t", "x"]);
    assert_eq!(again.err, "", "nothing is run for cached steps");
}
