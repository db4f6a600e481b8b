#!/usr/bin/env bash
# Where the edit list of a track of sound ends amid a packet (ISO/IEC 14496-12, 8.6.6), FFmpeg 8.0
# (PyAV 16.0.1) decodes that packet to its end: 17408 samples of 1024 each where the edit has 16800,
# AAC and even plain PCM, which could be cut anywhere. At the edit's beginning it leaves out what it
# should, to the sample. GStreamer 1.22.0 (Debian 12, gstreamer1.0-plugins-good) ends where the edit
# does. Whoever cuts a file by its edit list and joins what ffmpeg decodes of the pieces has up to a
# packet of sound twice at each join: 64 ms of AAC at 16 kHz, 256 ms of FLAC in blocks of 4096.
#
# Seen:
#   pcm: 64000 samples, edit of 16800: ffmpeg 17408, gstreamer 16800
#   aac: 64000 samples, edit of 16800: ffmpeg 17408, gstreamer 16800
#
# Needs apt-get, dpkg, python3 with venv, gstreamer1.0-tools, gstreamer1.0-plugins-base and
# gstreamer1.0-libav. Exit status 1 where it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get download -q gstreamer1.0-plugins-good=1.22.0-5+deb12u4 >apt.log 2>&1 ||
    { cat apt.log >&2; exit 2; }
dpkg -x gstreamer1.0-plugins-good_*.deb root
mkdir plugins
find root -name libgstisomp4.so -exec cp {} plugins/ \;
export GST_PLUGIN_PATH=$folder/plugins GST_REGISTRY=$folder/registry
python3 -m venv python
python/bin/pip install -q av==16.0.1 numpy==2.3.4 2>pip.log || { cat pip.log >&2; exit 2; }

cat >make.py <<'PYTHON'
import struct
import av, numpy

RATE, LENGTH = 16000, 64000

for name, codec, container in ("pcm", "pcm_s16le", "mov"), ("aac", "aac", "mp4"):
    with av.open(name, "w", format=container) as file:
        stream = file.add_stream(codec, rate=RATE, layout="mono")
        tone = numpy.sin(numpy.arange(LENGTH) * 0.17) * 8000
        for first in range(0, LENGTH, 1024):
            part = tone[first:first + 1024].astype(numpy.int16)[None]
            frame = av.AudioFrame.from_ndarray(part, format="s16", layout="mono")
            frame.sample_rate, frame.pts = RATE, first
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    data = bytearray(open(name, "rb").read())
    timescale = struct.unpack_from(">I", data, data.index(b"mvhd") + 16)[0]
    place = data.index(b"elst")
    assert struct.unpack_from(">I", data, place + 8)[0] == 1
    struct.pack_into(">I", data, place + 12, 1050 * timescale // 1000)
    open(name, "wb").write(data)
PYTHON
python/bin/python make.py

cat >count.py <<'PYTHON'
import sys
import av
with av.open(sys.argv[1]) as file:
    print(sum(frame.samples for frame in file.decode(audio=0)))
PYTHON

for name in pcm aac; do
    decoded=$(python/bin/python count.py $name)
    gst=$(timeout 20 gst-launch-1.0 -q filesrc location=$name ! qtdemux ! decodebin \
        ! audioconvert ! audio/x-raw,format=S16LE ! fdsink 2>/dev/null | wc -c)
    echo "$name: 64000 samples, edit of 16800: ffmpeg $decoded, gstreamer $((gst / 2))"
done | tee seen
diff seen - <<'EXPECTED' || { echo "it has changed" >&2; exit 1; }
pcm: 64000 samples, edit of 16800: ffmpeg 17408, gstreamer 16800
aac: 64000 samples, edit of 16800: ffmpeg 17408, gstreamer 16800
EXPECTED
