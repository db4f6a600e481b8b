"""played.py FILE SECONDS: plays a file with VLC's library for so long, as fast as the clock on the
wall goes, on no screen and no loudspeaker, and prints how many pictures it showed and left out.
"""
import ctypes
import sys
from time import sleep

# What `libvlc_media_stats_t` has up to the pictures: C ints and floats are of one size.
STATS = ['read', 'rate', 'demuxed', 'demux_rate', 'corrupted', 'discontinuities', 'video', 'audio',
         'displayed', 'lost']
# And behind them.
MORE = 5


class Stats(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int) for name in STATS] + [('more', ctypes.c_int * MORE)]


def main():
    file, seconds = sys.argv[1], float(sys.argv[2])
    library, pointer = ctypes.CDLL('libvlc.so.5'), ctypes.c_void_p
    for name in ('libvlc_new', 'libvlc_media_new_path', 'libvlc_media_player_new_from_media'):
        getattr(library, name).restype = pointer
    words = [b'--quiet', b'--vout=vdummy', b'--aout=adummy', b'--avcodec-hw=none']
    vlc = pointer(library.libvlc_new(len(words), (ctypes.c_char_p * len(words))(*words)))
    media = pointer(library.libvlc_media_new_path(vlc, file.encode()))
    player = pointer(library.libvlc_media_player_new_from_media(media))
    library.libvlc_media_player_play(player)
    sleep(seconds)
    stats = Stats()
    library.libvlc_media_get_stats(media, ctypes.byref(stats))
    playing = library.libvlc_media_player_is_playing(player)
    library.libvlc_media_player_stop(player)
    print(stats.displayed, stats.lost, 'playing' if playing else 'ended')


main()
