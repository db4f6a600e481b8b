//! File servers of others over a tree, on ports of their own; they end with the test.

use std::fs;
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::daemon::{run_tool, text, try_tool, wait_until};
use crate::ports::{free_port, free_ports};

/// How long one may take to begin, in seconds.
const PATIENCE: u64 = 30;

/// A server.
pub struct Server(Child);

impl Server {
    fn start(command: &mut Command) -> Server {
        // Some of them start others, which would outlive them.
        let command = command.process_group(0).stdin(Stdio::null());
        let started = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Server(started.unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let group = nix::unistd::Pid::from_raw(self.0.id() as i32);
        let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
        let _ = self.0.wait();
    }
}

/// Samba, with the tree as a share that anybody may read and write.
pub struct Samba {
    /// The server.
    pub server: Server,
    /// What `smbclient` is called with, up to `-c`.
    pub client: Vec<String>,
    /// Its port.
    pub port: u16,
}

impl Samba {
    /// Serves a tree; what it needs for itself goes into a folder.
    pub fn over(folder: &Path, root: &Path) -> Samba {
        let port = free_port();
        let mut settings = "[global]\nserver role = standalone\nmap to guest = Bad User\n\
                            guest account = root\nload printers = no\ndisable spoolss = yes\n\
                            interfaces = 127.0.0.1\nbind interfaces only = yes\nlog level = 1\n"
            .to_owned();
        for place in ["private dir", "lock directory", "state directory", "cache directory"]
            .into_iter()
            .chain(["pid directory", "ncalrpc dir"])
        {
            settings += &format!("{place} = {}/samba\n", text(folder));
        }
        settings += &format!("log file = {}/samba/log\n", text(folder));
        settings += &format!("[tree]\npath = {}\nguest ok = yes\nread only = no\n", text(root));
        fs::create_dir_all(folder.join("samba")).expect("room");
        let file = folder.join("smb.conf");
        fs::write(&file, settings).expect("room");
        let words = ["-F", "--no-process-group", "-s", text(&file), "-p", &port.to_string()];
        let server = Server::start(Command::new("smbd").args(words));
        let port_word = port.to_string();
        let client = ["-s", text(&file), "-p", &port_word, "-N", "//127.0.0.1/tree", "-c"];
        let samba = Samba { server, client: client.map(str::to_owned).to_vec(), port };
        wait_until("Samba serves", PATIENCE, || samba.ask("ls").is_ok());
        samba
    }

    /// Has `smbclient` do something; what it says when it fails.
    pub fn ask(&self, what: &str) -> Result<String, String> {
        let mut words: Vec<&str> = self.client.iter().map(String::as_str).collect();
        words.push(what);
        let output = try_tool("smbclient", &words);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        // Its status tells of the connection alone.
        if output.status.success() && !said.contains("NT_STATUS") { Ok(said) } else { Err(said) }
    }
}

/// NFS-Ganesha, for clients of version 4.
pub struct Nfs {
    _server: Server,
    port: u16,
}

impl Nfs {
    /// Serves a tree; what it needs for itself goes into a folder.
    pub fn over(folder: &Path, root: &Path) -> Nfs {
        let (home, port) = (folder.join("nfs"), free_port());
        fs::create_dir_all(home.join("recovery")).expect("room");
        let settings = format!(
            "NFS_CORE_PARAM {{ NFS_Port = {port}; NFS_Protocols = 4; Enable_NLM = false; \
             Enable_RQUOTA = false; Bind_addr = 127.0.0.1; }}\n\
             NFSv4 {{ Graceless = true; RecoveryBackend = fs; RecoveryRoot = {home}/recovery; \
             Only_Numeric_Owners = true; }}\n\
             EXPORT {{ Export_Id = 7; Path = {root}; Pseudo = /tree; Access_Type = RW; \
             Squash = No_Root_Squash; SecType = sys; Protocols = 4; Filesystem_Id = 7.7; \
             FSAL {{ Name = VFS; }} }}\n",
            home = text(&home),
            root = text(root),
        );
        let file = home.join("ganesha.conf");
        fs::write(&file, settings).expect("room");
        let (log, id) = (home.join("log"), home.join("pid"));
        let words = ["-F", "-f", text(&file), "-L", text(&log), "-p", text(&id)];
        let server = Server::start(Command::new("ganesha.nfsd").args(words));
        let nfs = Nfs { _server: server, port };
        let serves = || try_tool("nfs-ls", &[&nfs.url("")]).status.success();
        wait_until("Ganesha serves", PATIENCE, serves);
        nfs
    }

    /// Where something of the tree is, for the tools of libnfs.
    pub fn url(&self, below: &str) -> String {
        format!("nfs://127.0.0.1/tree/{below}?version=4&nfsport={}", self.port)
    }
}

/// `rclone serve` with one of its protocols.
pub struct Rclone {
    _server: Server,
    /// What another rclone calls it.
    pub remote: String,
}

impl Rclone {
    /// Serves a tree by `webdav` or `sftp`.
    pub fn serve(protocol: &str, root: &Path) -> Rclone {
        let port = free_ports(1);
        let address = format!("127.0.0.1:{port}");
        let mut command = Command::new("rclone");
        let words = ["serve", protocol, "--config", "/dev/null", "--addr", &address];
        command.args(words).args(["--user", "u", "--pass", "p", text(root)]);
        let server = Server::start(&mut command);
        wait_until("rclone serves", PATIENCE, || TcpStream::connect(&address).is_ok());
        let hidden = run_tool("rclone", &["obscure", "p"]).trim().to_owned();
        let remote = match protocol {
            "webdav" => format!(":webdav,url='http://{address}',user=u,pass={hidden}:"),
            _ => format!(":{protocol},host=127.0.0.1,port={port},user=u,pass={hidden}:"),
        };
        Rclone { _server: server, remote }
    }
}

/// nginx with a tree as its root.
pub fn nginx(folder: &Path, root: &Path, port: u16) -> Server {
    let home = folder.join("nginx");
    fs::create_dir_all(&home).expect("room");
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {}/{kind};\n", text(&home)))
        .concat();
    let settings = format!(
        "daemon off;\nmaster_process off;\npid {home}/pid;\nerror_log {home}/error.log;\n\
         events {{}}\nhttp {{\naccess_log off;\n{temporary}\
         server {{\nlisten 127.0.0.1:{port};\nlocation / {{ root {root}; }}\n}}\n}}\n",
        home = text(&home),
        root = text(root),
    );
    let (file, log) = (home.join("nginx.conf"), home.join("first.log"));
    fs::write(&file, settings).expect("room");
    let words = ["-p", text(&home), "-c", text(&file), "-e", text(&log)];
    let server = Server::start(Command::new("/usr/sbin/nginx").args(words));
    wait_until("nginx serves", PATIENCE, || TcpStream::connect(("127.0.0.1", port)).is_ok());
    server
}
