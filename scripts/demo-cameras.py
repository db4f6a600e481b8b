#!/usr/bin/python3
"""Two RTSP cameras for scripts/demo, served by GStreamer's gst-rtsp-server on 127.0.0.1.

  demo-cameras.py STREET FRAMES_PER_SECOND

/clock   a test picture with the time of day burned in
/street  STREET, real footage as an H.264 byte stream with access unit delimiters, over and over

Standard output: "READY PORT" once connections are taken. SIGTERM or SIGINT stop it.
"""
import os
import signal
import sys
import threading
import time

import gi
gi.require_version('Gst', '1.0')
gi.require_version('GstApp', '1.0')
gi.require_version('GstRtspServer', '1.0')
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

SECOND = 1_000_000_000
DELIMITER = b'\0\0\0\1\x09'
PAYLOADER = 'rtph264pay name=pay0 pt=96 config-interval=-1'
CLOCK = ('videotestsrc is-live=true pattern=ball '
         '! video/x-raw,width=640,height=360,framerate=25/1 '
         '! clockoverlay time-format="%H:%M:%S" font-desc="Sans 40" halignment=center '
         'valignment=center shaded-background=true '
         '! x264enc tune=zerolatency speed-preset=veryfast bitrate=800 key-int-max=50 '
         f'! video/x-h264,profile=main ! {PAYLOADER}')
STREET = ('appsrc name=source is-live=true format=time block=false max-bytes=8000000 '
          'caps="video/x-h264,stream-format=byte-stream,alignment=au" '
          f'! {PAYLOADER}')


class Street:
    """The footage: its access units go to whoever watches, from the first one on."""

    def __init__(self, path, frames_per_second):
        with open(path, 'rb') as f:
            units = f.read().split(DELIMITER)[1:]
        self.units = [DELIMITER + unit for unit in units]
        self.interval = SECOND // frames_per_second

    def configure(self, _factory, media):
        source, ended = media.get_element().get_by_name('source'), threading.Event()
        media.connect('unprepared', lambda *_: ended.set())
        threading.Thread(target=self.send, args=(source, ended), daemon=True).start()

    def send(self, source, ended):
        begun, sent = time.monotonic_ns(), 0
        while not ended.wait(max(0, begun + sent * self.interval - time.monotonic_ns()) / SECOND):
            buffer = Gst.Buffer.new_wrapped(self.units[sent % len(self.units)])
            buffer.pts = sent * self.interval
            buffer.duration = self.interval
            source.emit('push-buffer', buffer)
            sent += 1


def main():
    if len(sys.argv) != 3:
        sys.exit('usage: demo-cameras.py STREET FRAMES_PER_SECOND')
    Gst.init(None)
    street = Street(sys.argv[1], int(sys.argv[2]))
    server = GstRtspServer.RTSPServer()
    server.set_address('127.0.0.1')
    server.set_service('0')
    for path, launch, configure in (('/clock', CLOCK, None), ('/street', STREET, street.configure)):
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(f'( {launch} )')
        factory.set_shared(True)
        factory.set_latency(0)
        if configure:
            factory.connect('media-configure', configure)
        server.get_mount_points().add_factory(path, factory)
    if server.attach(None) == 0:
        sys.exit('no port of 127.0.0.1 can be listened on')
    loop = GLib.MainLoop()
    for number in (signal.SIGINT, signal.SIGTERM):
        GLib.unix_signal_add(GLib.PRIORITY_HIGH, number, loop.quit)
    print('READY', server.get_bound_port(), flush=True)
    loop.run()
    os._exit(0)    # the threads of GStreamer do not all end by themselves


if __name__ == '__main__':
    main()
