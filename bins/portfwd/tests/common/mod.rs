//! A host in a network namespace of its own, and containers that are a sleeping process in another.
//!
//! A namespace is a thread's, and what a thread starts inherits it. So each test makes its own thread a "host" with nothing but a
//! loopback: tests do not meet each other, nor the machine's real network, and what they leave goes with them.
#![allow(dead_code)]

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use nix::sched::{CloneFlags, setns, unshare};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The program under test.
pub fn portfwd() -> PathBuf {
    match std::env::var_os("CTR_BIN_DIR") {
        Some(dir) => Path::new(&dir).join("portfwd"),
        None => env!("CARGO_BIN_EXE_portfwd").into(),
    }
}

/// A host with an empty network, and a `$CTR_ROOT` and `$CTR_RUN` on it.
pub struct Host {
    dir: tempfile::TempDir,
}

impl Host {
    /// Makes this thread the host.
    pub fn new() -> Host {
        unshare(CloneFlags::CLONE_NEWNET).expect("these tests make network namespaces, which needs root");
        set_loopback_up();
        Host::another()
    }

    /// Another root on the host that this thread is.
    pub fn another() -> Host {
        Host { dir: tempfile::tempdir().unwrap() }
    }

    pub fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    pub fn run_dir(&self, id: &str) -> PathBuf {
        self.dir.path().join("run").join(id)
    }

    pub fn command<S: AsRef<str>>(&self, args: &[S]) -> Command {
        let mut command = Command::new(portfwd());
        command.args(args.iter().map(AsRef::as_ref)).stdin(Stdio::null());
        command.env("CTR_ROOT", self.root()).env("CTR_RUN", self.dir.path().join("run"));
        command
    }

    /// Runs portfwd and gives what it printed; it must succeed.
    pub fn ok<S: AsRef<str>>(&self, args: &[S]) -> String {
        let output = self.command(args).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs portfwd and gives what it complained about; it must fail with 125.
    pub fn fails<S: AsRef<str>>(&self, args: &[S]) -> String {
        let output: Output = self.command(args).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(125), "{said}");
        said.trim_end().to_owned()
    }

    /// Starts a container; the number makes its id.
    pub fn container(&self, number: u8) -> Container {
        let id = format!("{number:02x}").repeat(32);
        let dir = self.root().join("containers").join(&id);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("hosts"), "127.0.0.1\tlocalhost\n").unwrap();
        fs::write(dir.join("hostname"), format!("host{number}\n")).unwrap();
        let process = std::thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            Command::new("sleep").arg("1000").spawn().unwrap()
        });
        let process = process.join().unwrap();
        let pid_file = dir.join("pid");
        fs::write(&pid_file, process.id().to_string()).unwrap();
        Container { id, process, pid_file: pid_file.to_str().unwrap().to_owned(), hosts: dir.join("hosts") }
    }

    /// Attaches a container to the network `bridge` and gives what was printed.
    pub fn attach(&self, container: &Container, name: &str) -> serde_json::Value {
        let pid_file = &container.pid_file;
        let args = ["attach", "bridge", "--container", &container.id, "--name", name, "--pid-file", pid_file];
        serde_json::from_str(&self.ok(&args)).unwrap()
    }

    pub fn detach(&self, container: &Container) {
        assert_eq!(self.ok(&["detach", "bridge", "--container", &container.id]), "");
    }

    /// Publishes ports and gives those of the host.
    pub fn publish(&self, container: &Container, specs: &[&str]) -> Vec<u16> {
        self.ok(&publish_args(container, specs));
        let ports = fs::read(self.run_dir(&container.id).join("ports.json")).unwrap();
        let ports: Vec<serde_json::Value> = serde_json::from_slice(&ports).unwrap();
        ports.iter().map(|port| port["HostPort"].as_u64().unwrap() as u16).collect()
    }

    pub fn unpublish(&self, container: &Container) {
        assert_eq!(self.ok(&["unpublish", "--container", &container.id]), "");
    }

    /// The forwarder's pid.
    pub fn forwarder(&self, container: &Container) -> i32 {
        fs::read_to_string(self.run_dir(&container.id).join("portfwd.pid")).unwrap().trim().parse().unwrap()
    }

    /// The file of the network `bridge`.
    pub fn network(&self) -> serde_json::Value {
        serde_json::from_slice(&fs::read(self.root().join("networks/bridge.json")).unwrap()).unwrap()
    }
}

pub fn publish_args<'a>(container: &'a Container, specs: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["publish", "--container", &container.id, "--pid-file", &container.pid_file];
    args.extend(specs.iter().flat_map(|spec| ["--publish", spec]));
    args
}

/// A process in a network namespace of its own, which ends with this.
pub struct Container {
    pub id: String,
    pub pid_file: String,
    pub hosts: PathBuf,
    process: Child,
}

impl Container {
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Does something in the container's network namespace, on a thread of its own.
    pub fn inside<T: Send + 'static>(&self, act: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        let namespace = File::open(format!("/proc/{}/ns/net", self.process.id())).unwrap();
        std::thread::spawn(move || {
            setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
            act()
        })
    }

    /// Serves a port of the container: each connection by `serve` on a thread of its own.
    pub fn serve(&self, port: u16, serve: impl Fn(TcpStream) + Send + Sync + Clone + 'static) {
        let listener = self.inside(move || TcpListener::bind(("0.0.0.0", port)).unwrap()).join().unwrap();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let serve = serve.clone();
                std::thread::spawn(move || serve(client.unwrap()));
            }
        });
    }

    /// The names of its network interfaces.
    pub fn links(&self) -> Vec<String> {
        links(&format!("/proc/{}/net/dev", self.process.id()))
    }

    /// What the kernel says of its network: a file of proc(5)'s net folder.
    pub fn proc_net(&self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/net/{file}", self.process.id())).unwrap()
    }

    pub fn hosts(&self) -> String {
        fs::read_to_string(&self.hosts).unwrap()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A server that sends back what it gets, until it gets no more.
pub fn echo(mut client: TcpStream) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(length @ 1..) = client.read(&mut buffer) {
        if client.write_all(&buffer[..length]).is_err() {
            return;
        }
    }
}

/// The names of this host's network interfaces.
pub fn host_links() -> Vec<String> {
    links("/proc/thread-self/net/dev")
}

fn links(file: &str) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    let mut names: Vec<_> =
        text.lines().skip(2).filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned())).collect();
    names.sort();
    names
}

/// Runs a program on this host; it must succeed.
pub fn tool(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap_or_else(|error| panic!("run {program}: {error}"));
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Waits until something is so; a minute, for a machine may be emulated, or busy with something else.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "waited for: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// One message of rtnetlink(7): a header of 16 bytes (length, type RTM_NEWLINK, flags NLM_F_REQUEST), then interface 1, up.
fn set_loopback_up() {
    let words: [u32; 8] = [32, 16 | 1 << 16, 1, 0, 0, 1, 1, 1];
    let message: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let socket = Socket::new(NETLINK_ROUTE).unwrap();
    socket.send_to(&message, &SocketAddr::new(0, 0), 0).unwrap();
}
