#!/usr/bin/env bash
# Fragments may show a picture before it is decoded: composition offsets of a `trun` of version 1
# have signs (ISO/IEC 14496-12, 8.8.8), and the presentation can so begin with the first picture at
# zero, as HLS and CMAF want it. FFmpeg 8.0 (PyAV 16.0.1) and GStreamer 1.22.0 (Debian 12,
# gstreamer1.0-plugins-good) show every picture later by as much as the most negative offset, and
# leave sound where it is: the two are apart by 80 ms where one B picture refers to another at 25 a
# second. Of the same packets with offsets that are not negative both tell the right times. An edit
# list could put it right, but players that are fed with segments drop what is in front of its edit.
#
# Seen:
#   negative offsets: the first picture is at 0 in the file
#   ffmpeg: picture 0.08 s, sound 0.00 s
#   gstreamer: picture 0.08 s, sound 0.00 s
#   without, delayed: ffmpeg: picture 0.08 s, its offset 0.08 s
#
# Needs apt-get, dpkg, python3 with venv, gstreamer1.0-tools and gstreamer1.0-plugins-base. Exit
# status 1 where it has changed.
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

FLAGS = "frag_keyframe+empty_moov+default_base_moof"

def make(name, flags):
    with av.open(name, "w", format="mp4", options={"movflags": flags}) as file:
        pictures = file.add_stream("libx264", rate=25)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        pictures.options = {"bf": "3", "g": "50", "x264-params": "b-adapt=0:b-pyramid=strict"}
        sound = file.add_stream("aac", rate=48000, layout="mono")
        for number in range(100):
            image = numpy.full((48, 64, 3), number * 2, numpy.uint8)
            file.mux(pictures.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        for first in range(0, 4 * 48000, 1024):
            frame = av.AudioFrame.from_ndarray(numpy.zeros((1, 1024), numpy.float32), format="fltp",
                                               layout="mono")
            frame.sample_rate, frame.pts = 48000, first
            file.mux(sound.encode(frame))
        file.mux(pictures.encode(None))
        file.mux(sound.encode(None))

def first_offset(name):
    """When the first picture is shown, by the file's own word, in ticks."""
    data = open(name, "rb").read()
    run = data.index(b"trun") + 4
    flags = int.from_bytes(data[run:run + 4], "big") & 0xffffff
    at = run + 8 + 4 * bool(flags & 1) + 4 * bool(flags & 4)
    at += 4 * sum(bool(flags & bit) for bit in (0x100, 0x200, 0x400))
    assert flags & 0x800 and b"elst" not in data
    decoded = struct.unpack_from(">Q", data, data.index(b"tfdt") + 8)[0]
    return decoded + struct.unpack_from(">i", data, at)[0]

def start(name, kind):
    with av.open(name) as file:
        stream = getattr(file.streams, kind)[0]
        return float(stream.start_time * stream.time_base)

make("signed", FLAGS + "+negative_cts_offsets")
make("plain", FLAGS)
print("negative offsets: the first picture is at", first_offset("signed"), "in the file")
print(f"ffmpeg: picture {start('signed', 'video'):.2f} s, sound {start('signed', 'audio'):.2f} s")
with av.open("plain") as file:
    stream = file.streams.video[0]
    offset = float(first_offset("plain") * stream.time_base)
later = f"picture {start('plain', 'video'):.2f} s, its offset {offset:.2f} s"
open("later", "w").write(f"without, delayed: ffmpeg: {later}\n")
PYTHON
first() {
    timeout 20 gst-launch-1.0 -v filesrc location=signed ! qtdemux name=d "d.$1" \
        ! fakesink silent=false num-buffers=1 2>/dev/null |
        grep -om1 'pts: 0:00:00[0-9.]*' | cut -c12-15
}
{
    python/bin/python make.py
    echo "gstreamer: picture $(first video_0) s, sound $(first audio_0) s"
    cat later
} | tee seen
diff seen - <<'EXPECTED' || { echo "it has changed" >&2; exit 1; }
negative offsets: the first picture is at 0 in the file
ffmpeg: picture 0.08 s, sound 0.00 s
gstreamer: picture 0.08 s, sound 0.00 s
without, delayed: ffmpeg: picture 0.08 s, its offset 0.08 s
EXPECTED
