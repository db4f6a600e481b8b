#!/usr/bin/python3
"""GStreamer's gst-rtsp-server on 127.0.0.1: gstreamer.py PORT FOOTAGE.h264 FOOTAGE.mp4 SHORT.mp4

/live   the access units of FOOTAGE.h264, which have delimiters, over and over as they are due: one
        camera for everybody, begun for the first client
/film   FOOTAGE.mp4, one film for everybody
/short  SHORT.mp4, for each client from its beginning; its end is a BYE

Standard output: "READY" once connections are taken.
"""
import sys
import threading
import time

import gi
gi.require_version('Gst', '1.0')
gi.require_version('GstApp', '1.0')
gi.require_version('GstRtspServer', '1.0')
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

INTERVAL = Gst.SECOND // 25
DELIMITER = b'\0\0\0\1\x09'
PAYLOADER = 'rtph264pay name=pay0 pt=96 config-interval=-1'
LIVE = ('appsrc name=source is-live=true format=time block=false max-bytes=50000000 '
        f'caps="video/x-h264,stream-format=byte-stream,alignment=au" ! {PAYLOADER}')
FILM = f'filesrc location="%s" ! qtdemux ! h264parse ! {PAYLOADER}'


class Camera:
    def __init__(self, path):
        with open(path, 'rb') as f:
            self.units = [DELIMITER + unit for unit in f.read().split(DELIMITER)[1:]]

    def configure(self, _factory, media):
        source = media.get_element().get_by_name('source')
        threading.Thread(target=self.send, args=(source,), daemon=True).start()

    def send(self, source):
        begun, sent = time.monotonic(), 0
        while True:
            time.sleep(max(0, begun + sent * INTERVAL / Gst.SECOND - time.monotonic()))
            buffer = Gst.Buffer.new_wrapped(self.units[sent % len(self.units)])
            buffer.pts, buffer.duration = sent * INTERVAL, INTERVAL
            source.emit('push-buffer', buffer)
            sent += 1


def main():
    port, stream, film, short = sys.argv[1:]
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address('127.0.0.1')
    server.set_service(port)
    for path, launch, is_shared, configure in (
            ('/live', LIVE, True, Camera(stream).configure),
            ('/film', FILM % film, True, None),
            ('/short', FILM % short, False, None)):
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(f'( {launch} )')
        factory.set_shared(is_shared)
        if configure:
            factory.connect('media-configure', configure)
        server.get_mount_points().add_factory(path, factory)
    if server.attach(None) == 0:
        sys.exit(f'port {port} of 127.0.0.1 can not be listened on')
    print('READY', flush=True)
    GLib.MainLoop().run()


if __name__ == '__main__':
    main()
