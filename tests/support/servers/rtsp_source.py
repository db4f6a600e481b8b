"""The server of the package rtsp: rtsp_source.py PORT FOOTAGE.mp4 SENT.h264

/live is the first ten seconds of the footage over and over, coded by the package itself. What it
hands to its sessions is written to SENT.h264, each NAL unit behind a start code. It can't be told
an address: it listens on all of them.

A session is told that it ends after 10 s of silence instead of 60, so that a test sees which
method keeps it alive. (This server never ends one; but GET_PARAMETER, which it doesn't offer,
stops the pictures, and is answered with 200.)

Standard output: "READY" once connections are taken and parameter sets are known.
"""
import itertools
import sys

import av
import rtsp
from rtsp import source as library

SESSION_TIMEOUT_SECONDS = 10
FRAMES = 250


def main():
    port, footage, log = sys.argv[1:]
    with av.open(footage) as container, open(log, 'wb') as sent:
        decoded = itertools.islice(container.decode(video=0), FRAMES)
        pictures = [frame.to_image() for frame in decoded]
        library._SESSION_TIMEOUT = SESSION_TIMEOUT_SECONDS
        broadcast = library._RTSPServer.broadcast

        def logged(self, unit, *more):
            sent.write(b'\0\0\0\1' + unit)
            sent.flush()
            broadcast(self, unit, *more)

        library._RTSPServer.broadcast = logged
        uri = f'rtsp://127.0.0.1:{port}/live'
        with rtsp.Source(uri, fps=25, frame_buffer=pictures) as source:
            if not (source.wait_ready() and source.wait_encoding_started()):
                sys.exit('it does not start')
            print('READY', flush=True)
            source.serve_forever()


if __name__ == '__main__':
    main()
