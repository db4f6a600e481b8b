#!/usr/bin/env bash
# Subtitles in an mp4 are timed text (3GPP TS 26.245), a track with the handler sbtl and the sample
# entry tx3g. mkvmerge 74.0.0 (Debian 12) copies such a file without that track, warns of nothing,
# and ends with status 0, where 1 stands for warnings; its own list of the file's tracks does not have
# it either. The same subtitles beside the file, as SubRip, are taken. FFmpeg 7.0.2 (imageio-ffmpeg
# 0.6.0) finds both tracks, and all of the text. Whoever archives with mkvmerge has to take subtitles
# out first.
#
# Seen:
#   ffmpeg: video h264, subtitle mov_text; 2 lines of text
#   mkvmerge lists: video
#   mkvmerge: status 0, 0 warnings, copied: video
#   beside it: status 0, 0 warnings, copied: video subtitles
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
export LD_LIBRARY_PATH=$folder/root/usr/lib/x86_64-linux-gnu:$folder/root/lib/x86_64-linux-gnu
mkvmerge=root/usr/bin/mkvmerge
python3 -m venv python
python/bin/pip install -q imageio-ffmpeg==0.6.0 2>pip.log || { cat pip.log >&2; exit 2; }
ffmpeg=$(python/bin/python -c 'import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())')
plain() { LD_LIBRARY_PATH='' "$ffmpeg" "$@"; }

cat >told.srt <<'SRT'
1
00:00:00,000 --> 00:00:01,000
one

2
00:00:01,000 --> 00:00:02,000
two
SRT
plain -v error -f lavfi -i testsrc2=size=64x48:rate=10:duration=2 -c:v libx264 alone.mp4
plain -v error -i alone.mp4 -i told.srt -c copy -c:s mov_text both.mp4

tracks() { "$mkvmerge" -J "$1" | python3 -c '
import json, sys
print(*(track["type"] for track in json.load(sys.stdin)["tracks"]))'; }
copied() {
    local status=0
    "$mkvmerge" -o copy.mkv "$@" >said || status=$?
    echo "status $status, $(grep -ci warning said || true) warnings, copied: $(tracks copy.mkv)"
}
{
    kinds=$({ plain -hide_banner -i both.mp4 2>&1 || true; } | sed -nE \
        's/.*Stream.*: (Video|Subtitle): ([a-z0-9_]+).*/\L\1 \2/p' | paste -sd, | sed 's/,/, /')
    plain -v error -i both.mp4 -map 0:s out.srt
    echo "ffmpeg: $kinds; $(grep -cE '^(one|two)$' out.srt) lines of text"
    echo "mkvmerge lists: $(tracks both.mp4)"
    echo "mkvmerge: $(copied both.mp4)"
    echo "beside it: $(copied alone.mp4 told.srt)"
} >seen
cat seen
diff seen - <<'EXPECTED' || { echo "it has changed" >&2; exit 1; }
ffmpeg: video h264, subtitle mov_text; 2 lines of text
mkvmerge lists: video
mkvmerge: status 0, 0 warnings, copied: video
beside it: status 0, 0 warnings, copied: video subtitles
EXPECTED
