//! A store of its own for each test, a base image in it, and a folder to build.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Where a tool is: `$CTR_BIN_DIR`, else beside the tool under test.
pub fn tool(name: &str) -> PathBuf {
    match std::env::var_os("CTR_BIN_DIR") {
        Some(dir) => Path::new(&dir).join(name),
        None => Path::new(env!("CARGO_BIN_EXE_imgbuild")).with_file_name(name),
    }
}

/// What a build said and how it ended.
#[derive(Debug)]
pub struct Built {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Built {
    /// The steps' results, `cached` or `done`, of those after FROM.
    pub fn steps(&self) -> Vec<&str> {
        let after_from = self.out.split_once(" : FROM ").unwrap().1;
        after_from
            .split("\nStep ")
            .skip(1)
            .map(|step| if step.contains("\n ---> Using cache\n") { "cached" } else { "done" })
            .collect()
    }
}

pub struct Store {
    dir: tempfile::TempDir,
}

impl Store {
    /// A store with the image `base`: busybox, a user `web`, and a `/tmp` of mode 1777; no `/proc`, no `/etc/hosts`.
    pub fn with_base() -> Store {
        assert!(rustix::process::geteuid().is_root(), "these tests mount and make containers: run them as root");
        let store = Store { dir: tempfile::tempdir().unwrap() };
        fs::create_dir(store.context()).unwrap();
        let rootfs = store.dir.path().join("rootfs");
        for dir in ["bin", "etc", "tmp", "srv"] {
            fs::create_dir_all(rootfs.join(dir)).unwrap();
        }
        fs::set_permissions(rootfs.join("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
        let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).exists());
        let busybox = busybox.expect("these tests need a static busybox (Debian: busybox-static)");
        fs::copy(busybox, rootfs.join("bin/busybox")).unwrap();
        for applet in ["sh", "cat", "id", "ln", "ls", "sleep", "touch", "true"] {
            symlink("busybox", rootfs.join("bin").join(applet)).unwrap();
        }
        fs::write(rootfs.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34::/srv:/bin/sh\n").unwrap();
        fs::write(rootfs.join("etc/group"), "root:x:0:\nweb:x:34:\nlogs:x:4:web\n").unwrap();
        let tar = store.dir.path().join("base.tar");
        store.pack(&rootfs, &tar);
        store.run("layerfs", &["import", tar.to_str().unwrap(), "base"]);
        fs::remove_file(tar).unwrap();
        fs::remove_dir_all(rootfs).unwrap();
        store
    }

    fn pack(&self, dir: &Path, file: &Path) {
        let mut tar = tar::Builder::new(fs::File::create(file).unwrap());
        tar.follow_symlinks(false);
        tar.append_dir_all(".", dir).unwrap();
        tar.finish().unwrap();
    }

    /// The folder that is built.
    pub fn context(&self) -> PathBuf {
        self.dir.path().join("context")
    }

    /// `$CTR_ROOT`
    pub fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    /// Writes a file of the context.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.context().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    pub fn link(&self, name: &str, target: &str) {
        symlink(target, self.context().join(name)).unwrap();
    }

    pub fn mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.context().join(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    /// A command in this store.
    pub fn command(&self, name: &str) -> Command {
        let mut command = Command::new(tool(name));
        command.env("CTR_ROOT", self.root()).env("CTR_RUN", self.dir.path().join("run")).stdin(Stdio::null());
        command.current_dir(self.dir.path());
        command
    }

    /// Runs a tool that has to succeed; gives what it printed.
    pub fn run(&self, name: &str, args: &[&str]) -> String {
        let output: Output = self.command(name).args(args).output().unwrap();
        assert!(output.status.success(), "{name} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Builds a Dockerfile.
    pub fn build(&self, dockerfile: &str, args: &[&str]) -> Built {
        self.file("Dockerfile", dockerfile);
        let output = self.command("imgbuild").args(args).arg("context").output().unwrap();
        Built {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// As [`Store::build`], and it has to succeed.
    pub fn built(&self, dockerfile: &str, args: &[&str]) -> Built {
        let built = self.build(dockerfile, args);
        assert_eq!(built.code, 0, "{built:?}");
        built
    }

    /// The newest layer's files as the store has them: kind and mode, owner, path.
    pub fn layer_of(&self, image: &str) -> Vec<String> {
        use std::os::unix::fs::MetadataExt;
        let layers = &self.inspect(image)["RootFS"]["Layers"];
        let last = layers.as_array().unwrap().last().unwrap().as_str().unwrap();
        let diff = self.root().join("layers").join(last.strip_prefix("sha256:").unwrap()).join("diff");
        let mut files = Vec::new();
        let mut open = vec![diff.clone()];
        while let Some(dir) = open.pop() {
            for item in fs::read_dir(dir).unwrap() {
                let item = item.unwrap();
                let found = item.metadata().unwrap();
                if found.is_dir() {
                    open.push(item.path());
                }
                let path = item.path().strip_prefix(&diff).unwrap().display().to_string();
                files.push(format!("{:o} {}:{} {path}", found.mode(), found.uid(), found.gid()));
            }
        }
        files.sort_by(|a, b| a.rsplit(' ').next().cmp(&b.rsplit(' ').next()));
        files
    }

    pub fn inspect(&self, image: &str) -> serde_json::Value {
        let text = self.run("layerfs", &["inspect", image]);
        serde_json::from_str::<serde_json::Value>(&text).unwrap()[0].take()
    }

    /// The number of images, steps of builds included.
    pub fn images(&self) -> usize {
        let text = self.run("layerfs", &["ls", "--all", "--json"]);
        serde_json::from_str::<Vec<serde_json::Value>>(&text).unwrap().len()
    }

    /// Nothing half-made, mounted or running is left.
    pub fn assert_clean(&self) {
        let root = self.dir.path().to_str().unwrap();
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        let left: Vec<&str> = mounts.lines().filter(|line| line.contains(root)).collect();
        assert!(left.is_empty(), "{left:?}");
        for dir in [self.root().join("tmp"), self.dir.path().join("run/runtime")] {
            let left: Vec<_> = fs::read_dir(&dir).into_iter().flatten().map(|item| item.unwrap().path()).collect();
            assert!(left.is_empty(), "{left:?}");
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.assert_clean();
        }
    }
}
