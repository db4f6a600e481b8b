"""written.py SOURCE FILE FLAGS [PACKETS]: the packets of a file, written by the FFmpeg that PyAV
has into an mp4 with these movflags; ended by force behind so many packets, where that is said.
"""
import os
import sys

import av


def main():
    source, file, flags, *rest = sys.argv[1:]
    last = int(rest[0]) if rest else None
    with av.open(source) as read:
        write = av.open(file, 'w', format='mp4', options={'movflags': flags, 'flush_packets': '1'})
        into = {stream.index: write.add_stream_from_template(stream) for stream in read.streams}
        for number, packet in enumerate(read.demux()):
            if packet.dts is None:
                continue
            if number == last:
                # As killed: what the library still has is not written.
                os._exit(9)
            packet.stream = into[packet.stream.index]
            write.mux(packet)
        write.close()


main()
