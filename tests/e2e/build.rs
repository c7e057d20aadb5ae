//! From a Dockerfile to an image: the steps, the cache, and what the image then is.

#![allow(clippy::unwrap_used)] // helpers fail as their tests do

use ctr_tests::Sandbox;

fn app(sandbox: &Sandbox) -> std::path::PathBuf {
    let dir = sandbox.path().join("app");
    std::fs::create_dir_all(dir.join("data")).unwrap();
    std::fs::write(dir.join("data/file"), "content\n").unwrap();
    std::fs::write(
        dir.join("Dockerfile"),
        "FROM base\nWORKDIR /app\nCOPY . .\nRUN cat data/file > copied && echo made > /made\nENV NAME=World\nEXPOSE 80\n\
         CMD [\"sh\", \"-c\", \"pwd; cat copied /made; echo $NAME\"]\n",
    )
    .unwrap();
    dir
}

#[test]
fn a_dockerfile_becomes_an_image_that_runs() {
    let sandbox = Sandbox::with_base();
    let dir = app(&sandbox);
    let build = sandbox.ctr(["build".as_ref(), "-t".as_ref(), "app".as_ref(), dir.as_os_str()]).ok();
    for line in
        ["Step 1/7 : FROM base", "Step 7/7 : CMD [\"sh\"", "Successfully built", "Successfully tagged app:latest"]
    {
        assert!(build.stdout.contains(line), "{line}\n{build}");
    }
    sandbox.ctr(["run", "--rm", "app"]).ok().prints("/app\ncontent\nmade\nWorld");
    sandbox.ctr(["images"]).ok().shows("REPOSITORY").shows("app").shows("base");
    sandbox.ctr(["history", "app"]).ok().shows("COPY").shows("EXPOSE");
}

#[test]
fn a_second_build_finds_every_step_done_and_a_changed_file_is_noticed() {
    let sandbox = Sandbox::with_base();
    let dir = app(&sandbox);
    let build = || sandbox.ctr(["build".as_ref(), "-t".as_ref(), "app".as_ref(), dir.as_os_str()]).ok();
    let id = |output: &ctr_tests::Output| output.stdout.split("Successfully built ").nth(1).unwrap()[..12].to_owned();
    let first = build();
    let second = build();
    assert_eq!(second.stdout.matches("Using cache").count(), 6, "{second}");
    assert_eq!(id(&first), id(&second));
    std::fs::write(dir.join("data/file"), "changed\n").unwrap();
    let third = build();
    assert_eq!(third.stdout.matches("Using cache").count(), 1, "{third}");
    sandbox.ctr(["run", "--rm", "app"]).ok().shows("changed");
}

#[test]
fn a_step_that_fails_ends_the_build_and_leaves_nothing_running() {
    let sandbox = Sandbox::with_base();
    std::fs::write(sandbox.path().join("Dockerfile"), "FROM base\nRUN echo before; exit 3\nRUN echo never\n").unwrap();
    let build = sandbox.ctr(["build", "-t", "app", "."]);
    assert_ne!(build.code, 0, "{build}");
    let build = build.shows("before").says("returned a non-zero code: 3");
    assert!(!build.stdout.contains("never\n"), "{build}");
    assert_eq!(sandbox.mounts(), Vec::<std::path::PathBuf>::new());
    sandbox.ctr(["images", "-q", "app"]).ok().prints("");
}

#[test]
fn an_image_is_removed_when_nobody_uses_it() {
    let sandbox = Sandbox::with_base();
    let dir = app(&sandbox);
    sandbox.ctr(["build".as_ref(), "-t".as_ref(), "app".as_ref(), dir.as_os_str()]).ok();
    sandbox.ctr(["create", "--name", "box", "app"]).ok();
    sandbox.ctr(["rmi", "app"]).exits(1).says("is using");
    sandbox.ctr(["rm", "box"]).ok();
    sandbox.ctr(["rmi", "app"]).ok().shows("Untagged: app:latest").shows("Deleted: sha256:");
    sandbox.ctr(["run", "--rm", "base", "true"]).ok();
    sandbox.run(sandbox.tool("layerfs").arg("fsck")).ok();
    sandbox.ctr(["rmi", "base"]).ok();
    assert_eq!(std::fs::read_dir(sandbox.root().join("layers")).unwrap().count(), 0);
    assert_eq!(std::fs::read_dir(sandbox.root().join("images/blobs/sha256")).unwrap().count(), 0);
}
