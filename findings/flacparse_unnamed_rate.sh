#!/usr/bin/env bash
# flacparse of GStreamer 1.22.0 (Debian 12, gstreamer1.0-plugins-good) finds no frame in a FLAC
# stream whose frame headers leave the sample rate to STREAMINFO (rate code 0, RFC 9639, 9.1.2). The
# same frames with the code of the rate in their headers all pass, and so do both for ffmpeg. In an
# mp4 in which only some frames leave it out, those are dropped without a word, 3 s of 8 in one that
# was tried. Whoever writes frames by hand, of silence for one, has to name the rate.
#
# Seen:
#   rate named: gstreamer 60 frames, ffmpeg 60
#   rate left to STREAMINFO: gstreamer 0 frames, ffmpeg 60
#
# Needs apt-get, dpkg, python3, gstreamer1.0-tools and ffmpeg; installs nothing. Exit status 1 where
# it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get download -q gstreamer1.0-plugins-good=1.22.0-5+deb12u4 >apt.log 2>&1 ||
    { cat apt.log >&2; exit 2; }
dpkg -x gstreamer1.0-plugins-good_*.deb root
mkdir plugins
find root -name libgstaudioparsers.so -exec cp {} plugins/ \;
export GST_PLUGIN_PATH=$folder/plugins GST_REGISTRY=$folder/registry

cat >make.py <<'PYTHON'
import struct

def crc(data, width, polynomial):
    value = 0
    for byte in data:
        value ^= byte << width - 8
        for _ in range(8):
            value = (value << 1 ^ (polynomial if value >> width - 1 else 0)) & (1 << width) - 1
    return value

def frame(number, rate_code):
    """1024 samples of 16 bits that are all alike, mono."""
    header = bytes([0xFF, 0xF8, 0x70 | rate_code, 0x08, number]) + struct.pack(">H", 1023)
    header += bytes([crc(header, 8, 0x07)])
    body = header + b"\0" + struct.pack(">h", 100 + number)
    return body + struct.pack(">H", crc(body, 16, 0x8005))

# 8000 Hz, one channel, 16 bits; blocks of 1024; the length, sizes of frames and MD5 are not known.
described = (8000 << 44 | 0 << 41 | 15 << 36).to_bytes(8, "big")
information = struct.pack(">HH", 1024, 1024) + bytes(6) + described + bytes(16)
for name, rate_code in ("named", 4), ("left", 0):
    frames = b"".join(frame(number, rate_code) for number in range(60))
    open(name + ".flac", "wb").write(b"fLaC\x80\0\0\x22" + information + frames)
PYTHON
python3 make.py

for name in named left; do
    # Each frame that is found is a buffer; the first one or two are the stream's headers.
    found=$(timeout 20 gst-launch-1.0 -v filesrc location=$name.flac ! flacparse \
        ! fakesink silent=false 2>&1 | grep -c 'chain .*duration: 0:00:00.128' || true)
    timeout 20 ffmpeg -nostdin -v error -y -i $name.flac -f s16le $name.raw
    decoded=$(($(stat -c %s $name.raw) / 2048))
    [ $name = named ] && what="rate named" || what="rate left to STREAMINFO"
    echo "$what: gstreamer $found frames, ffmpeg $decoded"
done | tee seen
diff - seen <<'EXPECTED' || { echo "this has changed" >&2; exit 1; }
rate named: gstreamer 60 frames, ffmpeg 60
rate left to STREAMINFO: gstreamer 0 frames, ffmpeg 60
EXPECTED
