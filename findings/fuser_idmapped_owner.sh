#!/usr/bin/env bash
# fuser 0.18.0 with the capability FUSE_ALLOW_IDMAP (Linux 6.12) and its default SessionACL::Owner
# answers EACCES to everybody, the user who has mounted it and root included: a kernel that may map
# ids leaves them out of most requests (uid and gid are -1 there), and fuser compares that uid with
# the one of the session. With SessionACL::All the same file system can be used, and it is the
# kernel that decides who may enter ("allow_other" is a mount option of its own).
#
# Seen, each as root, who has mounted it:
#   as it is, owner: hello
#   idmapped, owner: Permission denied
#   idmapped, all: hello
#
# Needs root, FUSE, Linux 6.12 or later and cargo; installs nothing. Exit status 1 where it has
# changed, 2 where it can't be tried.
set -euo pipefail

folder=$(mktemp -d)
server=
cleanup() {
    umount "$folder/mount" 2>/dev/null || true
    [ -z "$server" ] || wait "$server" || true
    rm -rf "$folder"
}
trap cleanup EXIT
cd "$folder"
mkdir -p mount src
cat >Cargo.toml <<'TOML'
[package]
name = "hello"
version = "0.1.0"
edition = "2024"

[dependencies]
fuser = "=0.18.0"
TOML
cat >src/main.rs <<'RUST'
use std::ffi::OsStr;
use std::time::{Duration, UNIX_EPOCH};

use fuser::*;

const TTL: Duration = Duration::ZERO;

struct Hello {
    maps_ids: bool,
}

fn attributes(ino: INodeNo) -> FileAttr {
    let kind = if ino.0 == 1 { FileType::Directory } else { FileType::RegularFile };
    let time = UNIX_EPOCH;
    FileAttr {
        ino, size: 6, blocks: 1, atime: time, mtime: time, ctime: time, crtime: time, kind,
        perm: if ino.0 == 1 { 0o755 } else { 0o644 }, nlink: 1, uid: 0, gid: 0, rdev: 0,
        blksize: 4096, flags: 0,
    }
}

impl Filesystem for Hello {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> std::io::Result<()> {
        if self.maps_ids && config.add_capabilities(InitFlags::FUSE_ALLOW_IDMAP).is_err() {
            eprintln!("this kernel maps no ids");
            std::process::exit(2);
        }
        Ok(())
    }

    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match name == "file" {
            true => reply.entry(&TTL, &attributes(INodeNo(2)), Generation(0)),
            false => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&TTL, &attributes(ino));
    }

    fn read(
        &self, _: &Request, _: INodeNo, _: FileHandle, offset: u64, _: u32, _: OpenFlags,
        _: Option<LockOwner>, reply: ReplyData,
    ) {
        reply.data(b"hello\n".get(offset as usize..).unwrap_or_default());
    }
}

fn main() {
    let words: Vec<String> = std::env::args().collect();
    let mut config = Config::default();
    config.mount_options = vec![MountOption::DefaultPermissions];
    config.acl = if words[2] == "all" { SessionACL::All } else { SessionACL::Owner };
    let hello = Hello { maps_ids: words[1] == "idmapped" };
    mount(hello, "mount", &config).expect("a mount");
}
RUST
cargo build -q 2>cargo.log || { cat cargo.log >&2; exit 2; }

for how in "as-it-is owner" "idmapped owner" "idmapped all"; do
    read -r ids acl <<<"$how"
    target/debug/hello "$ids" "$acl" 2>server.log &
    server=$!
    for _ in $(seq 50); do
        mountpoint -q mount && break
        kill -0 "$server" 2>/dev/null || { cat server.log >&2; server=; exit 2; }
        sleep 0.1
    done
    echo "${ids//-/ }, $acl: $(cat mount/file 2>&1 | sed 's/.*: //')"
    umount mount
    wait "$server" || true
    server=
done | tee seen
diff - seen <<'EXPECTED' || { echo "this has changed" >&2; exit 1; }
as it is, owner: hello
idmapped, owner: Permission denied
idmapped, all: hello
EXPECTED
