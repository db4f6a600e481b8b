#!/usr/bin/env bash
# mergerfs 2.33.5 (Debian 12), mounted with its defaults, opens a file with O_DIRECT and then
# refuses every aligned write of a page or more with EINVAL; a write of 512 bytes is taken, and a
# read of any length answers 512 bytes. A program that tries whether open(2) takes O_DIRECT, and
# falls back where it does not, is none the wiser: the flag has to be given up at the first write.
# The same file opened without the flag reads and writes all lengths.
#
# Seen:
#   direct 512: write 512, read 512
#   direct 4096: write EINVAL, read 512
#   direct 1048576: write EINVAL, read 512
#   buffered 4096: write 4096, read 4096
#
# Needs root, FUSE, apt-get and python3; installs nothing. Exit status 1 where it has changed.
set -euo pipefail

folder=$(mktemp -d)
mounted=no
cleanup() {
    [ "$mounted" = no ] || umount "$folder/pool"
    rm -rf "$folder"
}
trap cleanup EXIT
cd "$folder"
apt-get download -q mergerfs=2.33.5-1 >apt.log 2>&1 || { cat apt.log >&2; exit 2; }
dpkg -x mergerfs_*.deb root
mkdir branch pool
root/usr/bin/mergerfs branch pool
mounted=yes

cat >try.py <<'PYTHON'
import errno, mmap, os

def said(call):
    try:
        return call()
    except OSError as error:
        return errno.errorcode[error.errno]

for name, flag, lengths in ("direct", os.O_DIRECT, (512, 4096, 1 << 20)), ("buffered", 0, (4096,)):
    file = os.open("pool/file", os.O_RDWR | os.O_CREAT | flag, 0o600)
    for length in lengths:
        page_aligned = mmap.mmap(-1, length)
        written = said(lambda: os.pwritev(file, [page_aligned], 0))
        read = said(lambda: os.preadv(file, [page_aligned], 0))
        print(f"{name} {length}: write {written}, read {read}")
    os.close(file)
PYTHON
python3 try.py | tee seen
diff - seen <<'EXPECTED' || { echo "this has changed" >&2; exit 1; }
direct 512: write 512, read 512
direct 4096: write EINVAL, read 512
direct 1048576: write EINVAL, read 512
buffered 4096: write 4096, read 4096
EXPECTED
