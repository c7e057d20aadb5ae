//! Images go from docker to `ctr` and back in archives, and are the same images afterwards: an image's id is the
//! digest of its configuration, which names its layers by theirs.

use crate::dockerd::Docker;
use ctr_tests::Sandbox;
use std::path::Path;

/// The id that docker has an image by.
fn id_of(docker: &Docker, image: &str) -> String {
    docker.run(["inspect", "-f", "{{.Id}}", image]).ok().text().to_owned()
}

/// The id that `ctr` has it by.
fn our_id_of(sandbox: &Sandbox, image: &str) -> String {
    sandbox.ctr(["image", "inspect", "-f", "{{.Id}}", image]).ok().text().to_owned()
}

fn path(file: &Path) -> &str {
    file.to_str().unwrap()
}

#[test]
fn an_image_of_dockers_goes_to_ctr_and_back_with_the_same_id() {
    let (docker, sandbox) = (Docker::get(), Sandbox::new());
    let (there, back) = (docker.cell.path().join("there.tar"), docker.cell.path().join("back.tar"));
    docker.run(["run", "--name", "changed", "base", "sh", "-c", "echo new > /new; rm /etc/passwd"]).ok();
    docker.run(["commit", "-c", "ENV A=<b>&c", "-c", "CMD [\"cat\", \"/new\"]", "changed", "travels:1"]).ok();
    docker.run(["rm", "changed"]).ok();
    docker.run(["tag", "travels:1", "localhost:5000/travels"]).ok();
    docker.run(["save", "-o", path(&there), "travels:1", "localhost:5000/travels", "base"]).ok();
    let ids = [id_of(&docker, "travels:1"), id_of(&docker, "base")];

    let loaded = sandbox.ctr(["load", "-i", path(&there)]).ok();
    for name in ["travels:1", "localhost:5000/travels:latest", "base:latest"] {
        assert!(loaded.stdout.contains(&format!("Loaded image: {name}\n")), "{loaded}");
    }
    assert_eq!([our_id_of(&sandbox, "travels:1"), our_id_of(&sandbox, "base")], ids);
    assert_eq!(sandbox.ctr(["image", "inspect", "-f", "{{.Parent}}", "travels:1"]).ok().text(), ids[1]);
    sandbox.ctr(["run", "--rm", "--network", "none", "travels:1"]).ok().prints("new");
    sandbox.ctr(["save", "-o", path(&back), "travels:1"]).ok();

    docker.run(["rmi", "travels:1", "localhost:5000/travels"]).ok();
    docker.run(["load", "-i", path(&back)]).ok().prints("Loaded image: travels:1");
    assert_eq!(id_of(&docker, "travels:1"), ids[0]);
    docker.run(["run", "--rm", "travels:1"]).ok().prints("new");
    docker.run(["rmi", "travels:1"]).ok();
}

#[test]
fn an_image_of_ours_goes_to_docker_and_back_with_the_same_id() {
    let (docker, sandbox) = (Docker::get(), Sandbox::with_base());
    let (there, back) = (docker.cell.path().join("ours.tar"), docker.cell.path().join("returned.tar"));
    sandbox.ctr(["create", "--name", "box", "base", "true"]).ok();
    let id = sandbox.ctr(["commit", "-m", "note", "-a", "me", "box", "ours:1"]).ok().text().to_owned();
    // By a name and by an id, which has none.
    for (image, said) in [("ours:1", "Loaded image: ours:1".to_owned()), (&id, format!("Loaded image ID: {id}"))] {
        sandbox.ctr(["save", "-o", path(&there), image]).ok();
        docker.run(["load", "-i", path(&there)]).ok().prints(&said);
        assert_eq!(id_of(&docker, &id), id);
    }
    docker.run(["history", "--format", "{{.Comment}}", "ours:1"]).ok().prints("note\nImported from -");
    docker.run(["save", "-o", path(&back), "ours:1"]).ok();
    let other = Sandbox::new();
    other.ctr(["load", "-i", path(&back)]).ok().prints("Loaded image: ours:1");
    assert_eq!(our_id_of(&other, "ours:1"), id);
    docker.run(["rmi", "ours:1"]).ok();
}
