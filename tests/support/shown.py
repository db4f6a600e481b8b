"""shown.py PROGRAM FILE WHAT...: which numbered pictures a program shows of a file, and when beeps
are heard. PROGRAM is ffmpeg, mpv, gstreamer, pyav or vlc.

WHAT is `pictures`, `sound`, or times in s: seeks, one after the other. A line for each picture:
`picture`, its time in s and its number, `grey` where there is nothing in it, or `unclear`; for each
beep `beep` and its time; `seek` and its target in front of what is shown behind a seek.

VLC plays as fast as the clock on the wall goes, and its times are those of that clock. It is given
two numbers for each seek: where to, and how many seconds to play there.
"""
import ctypes
import re
import subprocess
import sys
import tempfile
from time import sleep

SQUARES = 10
# How many pictures are looked at behind a seek.
ENOUGH = 12
# In Hz, what sound is brought to.
HERTZ = 8000
GREYS = bytes(range(124, 133))
# High bytes of samples below a fifth of what is possible.
QUIET = bytes([*range(0, 26), *range(231, 256)])


def number(luma, width):
    """Read from the squares at the upper edge."""
    if not luma.translate(None, GREYS):
        return 'grey'
    side = width // SQUARES
    bits = [luma[side // 2 * width + side // 2 + side * bit] for bit in range(SQUARES)]
    if any(48 < bit < 200 for bit in bits):
        return 'unclear'
    return sum(1 << at for at, bit in enumerate(reversed(bits)) if bit > 128)


def say(*words):
    print(' '.join(map(str, words)) + '\n', end='', flush=True)


def picture(when, luma, width):
    say('picture', f'{when:.6f}', number(luma, width))


class Ear:
    """Hears where beeps begin."""

    def __init__(self):
        self.loud = None

    def hear(self, time, samples):
        high = samples[1::2]
        if not high.translate(None, QUIET):
            return
        for at, byte in enumerate(high):
            if byte in QUIET:
                continue
            now = time + at / HERTZ
            if self.loud is None or abs(now - self.loud) > 0.5:
                say('beep', f'{now:.6f}')
            self.loud = now


# The same for every size, and each picture's time on standard error.
ALIKE = 'scale=320:64,format=gray,showinfo'
# Packets stay at their times, where one lasts longer or shorter than what is in it, too.
IN_PLACE = f'aresample={HERTZ}:async=1:min_hard_comp=0.005:first_pts=0'


def run(*words):
    return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True)


def decode(file, before=(), after=(), begin=0.0):
    """What ffmpeg decodes, with the times that its filter sees."""
    words = ['-nostdin', '-nostats', *before, '-i', file, '-map', '0:v', '-vsync', 'passthrough']
    done = run('ffmpeg', *words, '-vf', ALIKE, *after, '-f', 'rawvideo', '-')
    times = re.findall(rb' pts_time: *(\S+)', done.stderr)
    size = 320 * 64
    # What the filter has seen and was wanted no more is at the end.
    for at in range(len(done.stdout) // size):
        when = begin + float(times[at])
        picture(when, done.stdout[at * size : (at + 1) * size], 320)


def listen(file):
    """Where ffmpeg hears beeps."""
    words = ['-v', 'error', '-nostdin', '-i', file, '-af', IN_PLACE, '-ac', '1', '-f', 's16le', '-']
    Ear().hear(0, run('ffmpeg', *words).stdout)


def ffmpeg(file, what):
    if what == 'pictures':
        decode(file)
    elif what == 'sound':
        listen(file)
    else:
        decode(file, ['-ss', str(what)], ['-frames:v', str(ENOUGH)], what)


def mpv(file, what):
    """What it shows or plays, written without loss to a file."""
    words = ['--no-config', '--really-quiet', '--of=matroska']
    if what == 'sound':
        words += ['--no-video', '--oac=pcm_s16le', f'--audio-samplerate={HERTZ}']
    else:
        words += ['--no-audio', '--vf=lavfi=[scale=320:64,format=gray]', '--ovc=ffv1']
    if isinstance(what, float):
        words += [f'--start={what}', f'--frames={ENOUGH}']
    with tempfile.TemporaryDirectory() as folder:
        shown = f'{folder}/shown.mkv'
        run('mpv', *words, f'--o={shown}', file)
        listen(shown) if what == 'sound' else decode(shown)


def pyav(file, what):
    import av

    with av.open(file) as container:
        if what == 'sound':
            ear = Ear()
            resampler = av.AudioResampler(format='s16', layout='mono', rate=HERTZ)
            for frame in container.decode(audio=0):
                for part in resampler.resample(frame):
                    ear.hear(float(part.time), bytes(part.planes[0])[: part.samples * 2])
            return
        if isinstance(what, float):
            container.seek(round(what * av.time_base))
        behind = 0
        for frame in container.decode(video=0):
            plane = frame.reformat(format='gray').planes[0]
            lines, width = bytes(plane), frame.width
            starts = range(0, frame.height * plane.line_size, plane.line_size)
            luma = b''.join(lines[start : start + width] for start in starts)
            picture(float(frame.time), luma, width)
            # It begins with the key frame; what is in front of the target is for others to drop.
            behind += isinstance(what, float) and frame.time >= what
            if behind == ENOUGH:
                return


def gstreamer(file, what):
    import gi

    gi.require_version('Gst', '1.0')
    from gi.repository import Gst

    Gst.init(None)
    sound = f'audioconvert ! audioresample ! audio/x-raw,format=S16LE,rate={HERTZ},channels=1'
    pad, form = ('audio', sound) if what == 'sound' else ('video', 'videoconvert')
    form += '' if what == 'sound' else ' ! video/x-raw,format=GRAY8'
    pipeline = Gst.parse_launch(
        f'filesrc location={file} ! qtdemux name=file file.{pad}_0 ! queue ! decodebin ! {form} ! '
        f'appsink name=sink sync=false max-buffers=4'
    )
    sink, ear = pipeline.get_by_name('sink'), Ear()
    if isinstance(what, float):
        pipeline.set_state(Gst.State.PAUSED)
        pipeline.get_state(5 * Gst.SECOND)
        how = Gst.SeekFlags.FLUSH | Gst.SeekFlags.ACCURATE
        assert pipeline.seek_simple(Gst.Format.TIME, how, round(what * Gst.SECOND))
    pipeline.set_state(Gst.State.PLAYING)
    left = ENOUGH if isinstance(what, float) else None
    while left != 0:
        sample = sink.emit('try-pull-sample', 5 * Gst.SECOND)
        if sample is None:
            assert sink.get_property('eos'), 'nothing comes'
            break
        buffer = sample.get_buffer()
        when = sample.get_segment().to_stream_time(Gst.Format.TIME, buffer.pts) / Gst.SECOND
        data = buffer.extract_dup(0, buffer.get_size())
        if what == 'sound':
            ear.hear(when, data)
        else:
            picture(when, data, sample.get_caps().get_structure(0).get_value('width'))
        left = left and left - 1
    pipeline.set_state(Gst.State.NULL)


class Screen:
    """What VLC draws on and plays to, through its library."""

    def __init__(self, library, player):
        now = library.libvlc_clock
        now.restype = ctypes.c_int64
        pointer, number_of = ctypes.c_void_p, ctypes.POINTER(ctypes.c_uint)
        self.size, self.drawn, self.ear = (0, 0), None, Ear()
        self.last = None

        def form(_, chroma, width, height, pitches, lines):
            wide, high = width[0], height[0]
            ctypes.memmove(chroma, b'I420', 4)
            for plane, part in enumerate((1, 2, 2)):
                pitches[plane], lines[plane] = wide // part, high // part
            self.size, self.drawn = (wide, high), ctypes.create_string_buffer(wide * high * 3 // 2)
            return 1

        def lock(_, planes):
            wide, high = self.size
            begin = ctypes.addressof(self.drawn)
            for plane, at in enumerate((0, wide * high, wide * high * 5 // 4)):
                planes[plane] = begin + at
            return None

        def show(*_):
            # One that stays is shown over and over.
            wide, high = self.size
            shown = number(self.drawn.raw[: wide * high], wide)
            if shown != self.last or shown == 'grey':
                say('picture', f'{now() / 1e6:.6f}', shown)
            self.last = shown

        def play(_, samples, count, time):
            self.ear.hear(time / 1e6, ctypes.string_at(samples, count * 2))

        kind = ctypes.CFUNCTYPE
        forms = kind(ctypes.c_uint, pointer, pointer, *[number_of] * 4)(form)
        pictures = kind(pointer, pointer, ctypes.POINTER(pointer))(lock), None
        shown = kind(None, pointer, pointer)(show)
        played = kind(None, pointer, pointer, ctypes.c_uint, ctypes.c_int64)(play)
        # They have to live as long as VLC calls them.
        self.called = forms, pictures, shown, played
        library.libvlc_video_set_format_callbacks(player, forms, None)
        library.libvlc_video_set_callbacks(player, *pictures, shown, None)
        library.libvlc_audio_set_format(player, b'S16N', HERTZ, 1)
        library.libvlc_audio_set_callbacks(player, played, None, None, None, None, None)


def vlc(file, stretches):
    library = ctypes.CDLL('libvlc.so.5')
    pointer = ctypes.c_void_p
    for name in ('libvlc_new', 'libvlc_media_new_path', 'libvlc_media_player_new_from_media'):
        getattr(library, name).restype = pointer
    words = [b'--quiet', b'--no-osd', b'--no-spu', b'--avcodec-hw=none', b'--no-video-title-show']
    words += [b'--no-drop-late-frames', b'--no-skip-frames']
    vlc = pointer(library.libvlc_new(len(words), (ctypes.c_char_p * len(words))(*words)))
    media = pointer(library.libvlc_media_new_path(vlc, file.encode()))
    player = pointer(library.libvlc_media_player_new_from_media(media))
    screen = Screen(library, player)
    for at, (begin, length) in enumerate(zip(stretches[::2], stretches[1::2])):
        if at == 0:
            say('seek', begin)
            library.libvlc_media_player_play(player)
        else:
            # What was under way is over before the seek.
            library.libvlc_media_player_set_pause(player, 1)
            sleep(0.3)
            say('seek', begin)
            library.libvlc_media_player_set_time(player, ctypes.c_int64(round(begin * 1000)))
            library.libvlc_media_player_set_pause(player, 0)
        sleep(length)
    library.libvlc_media_player_stop(player)
    del screen


PROGRAMS = {'ffmpeg': ffmpeg, 'mpv': mpv, 'pyav': pyav, 'gstreamer': gstreamer}


def main():
    program, file, *words = sys.argv[1:]
    if program == 'vlc':
        vlc(file, [float(word) for word in words])
    elif words[0] in ('pictures', 'sound'):
        PROGRAMS[program](file, words[0])
    else:
        for seek in map(float, words):
            say('seek', seek)
            PROGRAMS[program](file, seek)


main()
