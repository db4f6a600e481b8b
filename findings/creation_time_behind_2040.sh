#!/usr/bin/env bash
# The movie header of an mp4 has 32 or 64 bits for when it was made, in seconds since 1904 (ISO/IEC
# 14496-12, 8.2.2): 32 are enough until 2040-02-06 06:28:15 UTC. FFmpeg 7.0.2 (imageio-ffmpeg 0.6.0)
# chooses by the length of the tracks alone: a creation_time behind that is written modulo 2^32 into
# version 0 of the box, in fragmented files as well, without a word and with status 0. Read again,
# by FFmpeg itself, a recording of 2083 is one of 2012, because a number that would be before 1970
# is taken for seconds since then. Matroska has 64 bits, and keeps it. Who places files by their
# creation time can't see that it is another.
#
# Seen:
#   mp4, to 2040-02-06T06:28:15Z: version 0, 4294967295; read 2040-02-06T06:28:15
#   mp4, to 2083-01-01T00:00:00Z: version 0, 1353864704; read 2012-11-25T17:31:44
#   fragments, to 2083-01-01T00:00:00Z: version 0, 1353864704; read 2012-11-25T17:31:44
#   mkv, to 2083-01-01T00:00:00Z: read 2083-01-01T00:00:00
#
# Needs python3 with venv. Exit status 1 where it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv python
python/bin/pip install -q imageio-ffmpeg==0.6.0 2>pip.log || { cat pip.log >&2; exit 2; }
ffmpeg=$(python/bin/python -c 'import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())')

written() {
    local name=$1 time=$2
    shift 2
    "$ffmpeg" -v error -y -f lavfi -i testsrc2=size=64x48:rate=10:duration=1 \
        -metadata creation_time="$time" "$@" "$name"
}
header() {
    python3 -c '
import sys
data = open(sys.argv[1], "rb").read()
at = data.index(b"mvhd") + 4
seconds = int.from_bytes(data[at + 4:at + 8], "big")
print(f"version {data[at]}, {seconds}; ", end="")' "$1"
}
read_again() {
    { "$ffmpeg" -hide_banner -i "$1" 2>&1 || true; } |
        sed -nE 's/.*creation_time *: ([0-9T:-]+).*/read \1/p' | head -n 1
}
{
    for time in 2040-02-06T06:28:15Z 2083-01-01T00:00:00Z; do
        written plain.mp4 "$time"
        echo "mp4, to $time: $(header plain.mp4)$(read_again plain.mp4)"
    done
    written fragments.mp4 "$time" -movflags frag_keyframe+empty_moov
    echo "fragments, to $time: $(header fragments.mp4)$(read_again fragments.mp4)"
    written plain.mkv "$time"
    echo "mkv, to $time: $(read_again plain.mkv)"
} >seen

cat seen
diff seen - <<'EXPECTED' || { echo "it has changed" >&2; exit 1; }
mp4, to 2040-02-06T06:28:15Z: version 0, 4294967295; read 2040-02-06T06:28:15
mp4, to 2083-01-01T00:00:00Z: version 0, 1353864704; read 2012-11-25T17:31:44
fragments, to 2083-01-01T00:00:00Z: version 0, 1353864704; read 2012-11-25T17:31:44
mkv, to 2083-01-01T00:00:00Z: read 2083-01-01T00:00:00
EXPECTED
