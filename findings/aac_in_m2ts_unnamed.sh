#!/usr/bin/env bash
# A transport stream says in a table of what type each of its streams is (ISO/IEC 13818-1, 2.4.4.8);
# AAC behind ADTS headers is 0x0f. Blu-ray's table knows no AAC, and FFmpeg 7.0.2 (imageio-ffmpeg
# 0.6.0), told to write 192-byte packets (-mpegts_m2ts_mode 1), calls it 0x06, private data, with
# nothing that describes it, without a word; other sound of the same file type has its number.
# mkvmerge 74.0.0 (Debian 12) goes by the table, as does every reader that wants to know what a stream
# is before the stream comes: it copies the file without sound, warns of nothing, and ends with
# status 0.
#
# Seen:
#   aac in 188 bytes: type 0x0f, 0 bytes of description; mkvmerge 0: video audio
#   aac in 192 bytes: type 0x06, 0 bytes of description; mkvmerge 0: video
#   ac3 in 192 bytes: type 0x81, described; mkvmerge 0: video audio
#
# Needs apt-get, dpkg and python3 with venv. Exit status 1 where it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
# What it needs beside the C library, in whichever version the archive has.
libraries=(libboost-filesystem1.74.0 libdouble-conversion3 libdvdread8 libebml5 libflac12 libfmt9
    libglib2.0-0 libgmp10 libicu72 libmatroska7 libogg0 libpcre2-16-0 libpcre2-8-0 libpugixml1v5
    libqt5core5a libvorbis0a libzstd1)
apt-get download -q mkvtoolnix=74.0.0-1+deb12u1 "${libraries[@]}" >apt.log 2>&1 ||
    { cat apt.log >&2; exit 2; }
for package in ./*.deb; do dpkg -x "$package" root; done
libraries=$folder/root/usr/lib/x86_64-linux-gnu:$folder/root/lib/x86_64-linux-gnu
mkvmerge() { LD_LIBRARY_PATH=$libraries root/usr/bin/mkvmerge "$@"; }
python3 -m venv python
python/bin/pip install -q imageio-ffmpeg==0.6.0 2>pip.log || { cat pip.log >&2; exit 2; }
ffmpeg=$(python/bin/python -c 'import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())')

cat >look.py <<'PY'
import sys
path, stride = sys.argv[1], int(sys.argv[2])
data = open(path, "rb").read()
packets = [data[at + stride - 188:at + stride] for at in range(0, len(data) - stride + 1, stride)]
pid = lambda packet: (packet[1] & 0x1F) << 8 | packet[2]
table = next(packet for packet in packets if pid(packet) == 0)
# The first programme that is one.
entries = [table[13 + 4 * at:17 + 4 * at] for at in range(4)]
map_pid = next((e[2] & 0x1F) << 8 | e[3] for e in entries if e[0] << 8 | e[1])
section = next(packet for packet in packets if pid(packet) == map_pid)[5:]
end = 3 + ((section[1] & 0xF) << 8 | section[2]) - 4
at = 12 + ((section[10] & 0xF) << 8 | section[11])
streams = []
while at < end:
    length = (section[at + 3] & 0xF) << 8 | section[at + 4]
    streams.append((section[at], length))
    at += 5 + length
kind, length = streams[1]
described = "described" if length else "0 bytes of description"
print(f"type 0x{kind:02x}, {described}; ", end="")
PY
look() {
    local name=$1 stride=$2 status=0
    python3 look.py "$name" "$stride"
    mkvmerge -o copy.mkv "$name" >said || status=$?
    ! grep -qi warning said || status=warned
    echo "mkvmerge $status: $(mkvmerge -J copy.mkv | python3 -c '
import json, sys
print(*(track["type"] for track in json.load(sys.stdin)["tracks"]))')"
}
source=(-f lavfi -i testsrc2=size=64x48:rate=10:duration=2 -f lavfi -i sine=duration=2 -c:v libx264)
{
    "$ffmpeg" -v error "${source[@]}" -c:a aac plain.ts
    echo "aac in 188 bytes: $(look plain.ts 188)"
    "$ffmpeg" -v error "${source[@]}" -c:a aac -mpegts_m2ts_mode 1 aac.m2ts
    echo "aac in 192 bytes: $(look aac.m2ts 192)"
    "$ffmpeg" -v error "${source[@]}" -c:a ac3 -mpegts_m2ts_mode 1 ac3.m2ts
    echo "ac3 in 192 bytes: $(look ac3.m2ts 192)"
} >seen

cat seen
diff seen - <<'EXPECTED' || { echo "it has changed" >&2; exit 1; }
aac in 188 bytes: type 0x0f, 0 bytes of description; mkvmerge 0: video audio
aac in 192 bytes: type 0x06, 0 bytes of description; mkvmerge 0: video
ac3 in 192 bytes: type 0x81, described; mkvmerge 0: video audio
EXPECTED
