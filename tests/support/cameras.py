#!/usr/bin/python3
"""Test cameras: N looping RTSP cameras, served by GStreamer's gst-rtsp-server on 127.0.0.1.

A test picture is encoded once with ffmpeg (libx264, libx265) and kept in the system's directory for
temporary files; its access units are then sent for ever, loop after loop, without being encoded
again and with timestamps that go on. Camera K is at rtsp://127.0.0.1:PORT/K, K from 1.

Every frame carries a message (SEI, user data unregistered; ITU-T H.264, D.1.7; H.265, D.2.7) with
the UUID below, then big-endian: number of the camera (u16), number of the frame (u64, from 0, in the order
of decoding, never repeated while the server runs), wall clock in ns since 1970 when it was sent.

Standard output: "READY PORT" once connections are taken. --log FILE: a line of JSON for each
frame sent, {"camera", "frame", "key", "sent", "bytes", "md5"}; bytes and md5 are those of the
sample that an mp4 should hold: NAL units with 4-byte lengths; without the parameter sets, which
stand in front of those of key frames there; of JPEG pictures, which carry no message, those of the
scan. With
--samples FILE those samples are written there, one after another, and "at" says where.

With --sound pcmu, pcma, l16 or aac they send sound, too, that never repeats; --sound-log FILE: the
payload of each of its packets, behind its length (u16, big-endian).

Standard input, a line for each command (also: SIGTERM, SIGINT to stop):
  disconnect      close the connections of all clients
  refuse S        the same, and close new connections at once for S seconds
  stall S         send nothing for S seconds; the frames of that time are never sent
  burst S         send nothing for S seconds, then all of it at once
  freeze S        send nothing for S seconds, then go on with the next frame and timestamp
  drop N          leave out the next N RTP packets
  paramchange     go on with pictures of another size at the next key frame
  quit            stop
"""
import argparse
import hashlib
import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time

import gi
gi.require_version('Gst', '1.0')
gi.require_version('GstApp', '1.0')
gi.require_version('GstRtsp', '1.0')
gi.require_version('GstRtspServer', '1.0')
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

SOUND = {
    'pcmu': 'rate=8000 ! mulawenc ! rtppcmupay name=pay1 pt=0',
    'pcma': 'rate=8000 ! alawenc ! rtppcmapay name=pay1 pt=8',
    'l16': 'rate=16000 ! rtpL16pay name=pay1 pt=97',
    'aac': 'rate=16000 ! avenc_aac bitrate=32000 ! rtpmp4gpay name=pay1 pt=97',
}
UUID = b'reelfs-test-cam!'
SECOND = 1_000_000_000


class H264:
    name, encoder, payloader = 'h264', 'libx264', 'rtph264pay'
    message_head, sets, delimiter, slices, keys = b'\x06', (7, 8), 9, (1, 5), (5,)
    options = ['-profile:v', 'main', '-x264-params', 'open-gop=0:force-cfr=1']
    others = options[:-1] + [options[-1] + ':cabac=0']

    @staticmethod
    def kind(unit):
        return unit[0] & 31


class H265:
    """Each picture has its digest behind it, which ffmpeg looks at when it is told so."""
    name, encoder, payloader = 'h265', 'libx265', 'rtph265pay'
    message_head, sets, delimiter = b'\x4e\x01', (32, 33, 34), 35
    slices, keys = range(32), range(16, 22)
    options = ['-x265-params', 'log-level=error:open-gop=0:hash=1']
    others = options[:-1] + [options[-1] + ':sao=0:ref=1']

    @staticmethod
    def kind(unit):
        return unit[0] >> 1 & 63


class Jpeg:
    """Pictures have no place for a message: of each, its scan is what is known again."""
    name, encoder, payloader = 'jpeg', 'mjpeg', 'rtpjpegpay'
    options = others = ['-huffman', 'default', '-pix_fmt', 'yuvj420p']


CODECS = {codec.name: codec for codec in (H264, H265, Jpeg)}


def scan(picture):
    """What stands between the header of a JPEG picture and its end."""
    at = picture.index(b'\xff\xda')
    return picture[at + 2 + struct.unpack_from('>H', picture, at + 2)[0]:-2]


def nal_units(stream):
    """The NAL units of an Annex B byte stream."""
    at = stream.find(b'\0\0\1')
    while at >= 0:
        begin = at + 3
        at = stream.find(b'\0\0\1', begin)
        yield stream[begin:at if at >= 0 else len(stream)].rstrip(b'\0')


class Media:
    """Access units of one encoded loop, each with its presentation time in frames."""

    def __init__(self, a, size, options):
        path = self.encoded(a, size, options)
        self.units = []
        if a.codec is Jpeg:
            with open(path + '.units', 'rb') as f:
                pictures = f.read().split(b'\xff\xd8\xff')[1:]
            self.units = [[b'\xff\xd8\xff' + picture] for picture in pictures]
            self.pts = self.keys = list(range(len(self.units)))
            return
        with open(path + '.units', 'rb') as f:
            for nal in nal_units(f.read()):
                if a.codec.kind(nal) == a.codec.delimiter:
                    self.units.append([])
                self.units[-1].append(nal)
        with open(path + '.json') as f:
            packets = json.load(f)['packets']
        assert len(packets) == len(self.units), 'one packet for each access unit'
        times = [float(p['pts_time']) for p in packets]
        first = min(times)
        self.pts = [round((t - first) * a.fps) for t in times]
        self.keys = [i for i, u in enumerate(self.units) if any(a.codec.kind(n) in a.codec.keys for n in u)]
        assert sorted(self.pts) == list(range(len(times))) and self.keys[0] == 0

    @staticmethod
    def encoded(a, size, options):
        if a.codec is Jpeg:
            return Media.pictures(a, size, options)
        words = ['ffmpeg', '-v', 'error', '-y', '-f', 'lavfi', '-i',
                 f'testsrc2=size={size}:rate={a.fps}', '-t', str(a.seconds),
                 '-c:v', a.codec.encoder, '-preset', a.preset, '-pix_fmt', 'yuv420p',
                 '-g', str(a.gop), '-keyint_min', str(a.gop),
                 '-sc_threshold', '0', '-bf', '2' if a.bframes else '0', '-b:v', a.bitrate,
                 '-maxrate', a.bitrate, '-bufsize', a.bitrate] + options
        path = Media.place(words)
        if not os.path.exists(path + '.json'):
            own = f'{path}.{os.getpid()}'
            stream = 'hevc' if a.codec is H265 else a.codec.name
            subprocess.run(words + [own + '.mp4'], check=True)
            subprocess.run(['ffmpeg', '-v', 'error', '-y', '-i', own + '.mp4', '-c', 'copy', '-bsf:v',
                            '{0}_mp4toannexb,{0}_metadata=aud=insert'.format(stream), '-f', stream,
                            own + '.units'], check=True)
            with open(own + '.json', 'wb') as f:
                subprocess.run(['ffprobe', '-v', 'error', '-show_entries', 'packet=pts_time', '-of',
                                'json', own + '.mp4'], check=True, stdout=f)
            os.unlink(own + '.mp4')
            os.rename(own + '.units', path + '.units')
            os.rename(own + '.json', path + '.json')
        return path


    @staticmethod
    def pictures(a, size, options):
        words = ['ffmpeg', '-v', 'error', '-y', '-f', 'lavfi', '-i',
                 f'testsrc2=size={size}:rate={a.fps}', '-t', str(a.seconds),
                 '-c:v', a.codec.encoder, '-b:v', a.bitrate] + options + ['-f', 'mjpeg']
        path = Media.place(words)
        if not os.path.exists(path + '.units'):
            own = f'{path}.{os.getpid()}'
            subprocess.run(words + [own], check=True)
            os.rename(own, path + '.units')
        return path

    @staticmethod
    def place(words):
        """Where is kept what such a command made."""
        folder = os.path.join(tempfile.gettempdir(), f'reelfs-cameras-{os.getuid()}')
        os.makedirs(folder, mode=0o700, exist_ok=True)
        return os.path.join(folder, hashlib.sha256(repr(words).encode()).hexdigest()[:16])


def message(codec, camera, frame, sent):
    """The SEI message of a frame, with emulation prevention (ITU-T H.264, 7.4.1.1)."""
    payload = UUID + struct.pack('>HQQ', camera, frame, sent)
    body, zeros = bytearray(codec.message_head), 0
    for byte in bytes([5, len(payload)]) + payload + b'\x80':
        if zeros >= 2 and byte <= 3:
            body.append(3)
            zeros = 0
        body.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(body)


class Session:
    """One prepared media, shared by the clients of a camera. It begins with a key frame."""

    def __init__(self, camera, source):
        self.camera, self.source = camera, source
        self.first = None


class Camera:
    def __init__(self, server, number):
        self.server, self.number = server, number
        self.media = server.media[0]
        self.index = self.media.keys[(number - 1) % len(self.media.keys)]
        self.loop_at = -self.media.pts[self.index]    # frame time at which the loop began
        self.frame = 0
        self.sessions = []
        self.skew = 0                                 # ns that frozen cameras are behind
        self.drop = 0
        self.switch = False

    def due(self):
        """When the next access unit is to be sent, in ns since the server began."""
        return self.frame * SECOND // self.server.fps + self.skew

    def next(self, skipped):
        """Takes the next access unit and sends it, unless it is skipped."""
        media, i = self.media, self.index
        if self.switch and i in media.keys:
            self.switch = False
            other = self.server.media[1 - self.server.media.index(media)]
            base = self.loop_at + media.pts[i]
            self.media = media = other
            self.index = i = 0
            self.loop_at = base
        pts = (self.loop_at + media.pts[i]) * SECOND // self.server.fps
        number, key = self.frame, i in media.keys
        self.frame += 1
        self.index += 1
        if self.index == len(media.units):
            self.index = 0
            self.loop_at += len(media.units)
        if skipped or not self.sessions:
            return
        sent = time.time_ns()
        units = list(media.units[i])
        codec = self.server.args.codec
        if codec is Jpeg:
            stream = units[0]
        else:
            place = next(n for n, unit in enumerate(units) if codec.kind(unit) in codec.slices)
            units.insert(place, message(codec, self.number, number, sent))
            stream = b''.join(b'\0\0\0\1' + unit for unit in units)
        reached = False
        for session in list(self.sessions):
            if session.first is None:
                if not key:
                    continue
                session.first = pts
            reached = True
            buffer = Gst.Buffer.new_wrapped(stream)
            buffer.pts = pts - session.first
            buffer.dts = Gst.CLOCK_TIME_NONE
            buffer.duration = SECOND // self.server.fps
            session.source.emit('push-buffer', buffer)
        if reached:
            self.server.record(self.number, number, key, sent, units)

    def configure(self, media):
        element = media.get_element()
        session = Session(self, element.get_by_name('source'))
        element.get_by_name('pay0').get_static_pad('src').add_probe(
            Gst.PadProbeType.BUFFER | Gst.PadProbeType.BUFFER_LIST, self.packet)
        if self.server.args.sound:
            element.get_by_name('pay1').get_static_pad('src').add_probe(
                Gst.PadProbeType.BUFFER | Gst.PadProbeType.BUFFER_LIST, self.server.sound_packet)
        media.connect('unprepared', lambda *_: self.forget(session))
        self.sessions.append(session)

    def forget(self, session):
        if session in self.sessions:
            self.sessions.remove(session)

    def packet(self, _pad, info):
        if not self.drop:
            return Gst.PadProbeReturn.OK
        if info.type & Gst.PadProbeType.BUFFER_LIST:
            self.drop = max(0, self.drop - info.get_buffer_list().length())
        else:
            self.drop -= 1
        return Gst.PadProbeReturn.DROP


class Server:
    def __init__(self, a):
        self.fps, self.args = a.fps, a
        self.media = [Media(a, a.size, a.codec.options)]
        width, height = (int(n) for n in a.size.split('x'))
        other = f'{max(64, width // 2) & ~15}x{max(64, height // 2) & ~15}'
        if a.samesize:
            self.media.append(Media(a, a.size, a.codec.others))
        else:
            self.media.append(Media(a, other, a.codec.options))
        self.log = open(a.log, 'w') if a.log else None
        self.samples = open(a.samples, 'wb') if a.samples else None
        self.sound_log = open(a.sound_log, 'wb') if a.sound_log else None
        self.cameras = [Camera(self, number) for number in range(1, a.cameras + 1)]
        self.silent_until, self.after_silence = 0, None
        self.refuse_until = 0
        self.next_change = a.paramchange
        self.loop = GLib.MainLoop()
        self.server = GstRtspServer.RTSPServer()
        self.server.set_address('127.0.0.1')
        self.server.set_service(str(a.port))
        self.server.connect('client-connected', self.connected)
        if a.auth:
            self.protect(*a.auth.split(':', 1))
        mounts = self.server.get_mount_points()
        for camera in self.cameras:
            mounts.add_factory(f'/{camera.number}', self.factory(camera))

    def protect(self, user, password):
        token = GstRtspServer.RTSPToken()
        token.set_string('media.factory.role', 'user')
        auth = GstRtspServer.RTSPAuth()
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(user, password, token)
        self.server.set_auth(auth)

    def factory(self, camera):
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(f'( appsrc name=source is-live=true format=time block=false '
                           f'max-bytes=50000000 caps="{self.caps()}" ! {self.payloader()} {self.sound()} )')
        factory.set_shared(True)
        factory.set_latency(0)
        factory.set_eos_shutdown(False)
        if self.args.auth:
            factory.add_role_from_structure(Gst.Structure.new_from_string(
                'user,media.factory.access=true,media.factory.construct=true'))
        factory.connect('media-configure', lambda _factory, media: camera.configure(media))
        return factory

    def sound(self):
        if not self.args.sound:
            return ''
        source = 'audiotestsrc is-live=true wave=pink-noise volume=0.3 ! audioconvert'
        return f'{source} ! audio/x-raw,channels=1,{SOUND[self.args.sound]}'

    def sound_packet(self, _pad, info):
        buffers = [info.get_buffer()]
        if info.type & Gst.PadProbeType.BUFFER_LIST:
            packets = info.get_buffer_list()
            buffers = [packets.get(n) for n in range(packets.length())]
        for buffer in buffers if self.sound_log else []:
            payload = buffer.extract_dup(0, buffer.get_size())[12:]
            self.sound_log.write(struct.pack('>H', len(payload)) + payload)
            self.sound_log.flush()
        return Gst.PadProbeReturn.OK

    def caps(self):
        if self.args.codec is Jpeg:
            width, height = self.args.size.split('x')
            return f'image/jpeg,width={width},height={height},framerate={self.fps}/1'
        return f'video/x-{self.args.codec.name},stream-format=byte-stream,alignment=au'

    def payloader(self):
        kind = self.args.codec.payloader
        if self.args.codec is Jpeg:
            return f'{kind} name=pay0 pt=26'
        return f'{kind} name=pay0 pt=96 config-interval=-1'

    def record(self, camera, frame, key, sent, units):
        if not self.log:
            return
        codec = self.args.codec
        if codec is Jpeg:
            sample = scan(units[0])
        else:
            kept = [unit for unit in units if codec.kind(unit) not in codec.sets]
            sample = b''.join(struct.pack('>I', len(unit)) + unit for unit in kept)
        line = {'camera': camera, 'frame': frame, 'key': key, 'sent': sent, 'bytes': len(sample),
                'md5': hashlib.md5(sample).hexdigest()}
        if self.samples:
            line['at'] = self.samples.tell()
            self.samples.write(sample)
            self.samples.flush()
        self.log.write(json.dumps(line) + '\n')
        self.log.flush()

    def connected(self, _server, client):
        if time.monotonic() < self.refuse_until:
            GLib.idle_add(lambda: client.close() and False)

    def disconnect(self):
        clients = []
        self.server.client_filter(
            lambda _server, client: (clients.append(client), GstRtspServer.RTSPFilterResult.KEEP)[1])
        for client in clients:
            client.close()
        return False

    def pace(self):
        """Sends what is due, for ever."""
        begun = time.monotonic_ns()
        while True:
            now = time.monotonic_ns() - begun
            if self.after_silence and now >= self.silent_until:
                kind, length = self.after_silence
                self.after_silence = None
                for camera in self.cameras:
                    if kind == 'freeze':
                        camera.skew += length
                    while kind == 'stall' and camera.due() <= now:
                        camera.next(True)
            if self.args.paramchange and now >= self.next_change * SECOND:
                self.next_change += self.args.paramchange
                for camera in self.cameras:
                    camera.switch = True
            if not self.after_silence:
                for camera in self.cameras:
                    while camera.due() <= now:
                        camera.next(False)
            self.now = now
            earliest = min(camera.due() for camera in self.cameras)
            time.sleep(min(0.02, max(0.001, (earliest - now) / SECOND)))

    def command(self, line):
        words = line.split()
        kind, number = words[0], float(words[1]) if len(words) > 1 else 0
        if kind == 'disconnect':
            GLib.idle_add(self.disconnect)
        elif kind == 'refuse':
            self.refuse_until = time.monotonic() + number
            GLib.idle_add(self.disconnect)
        elif kind in ('stall', 'burst', 'freeze'):
            self.silent_until = self.now + int(number * SECOND)
            self.after_silence = (kind, int(number * SECOND))
        elif kind == 'drop':
            for camera in self.cameras:
                camera.drop = int(number)
        elif kind == 'paramchange':
            for camera in self.cameras:
                camera.switch = True
        elif kind == 'quit':
            GLib.idle_add(self.loop.quit)
        else:
            print(f'unknown command: {line.strip()}', file=sys.stderr)

    def listen(self):
        for line in sys.stdin:
            if line.strip():
                self.command(line)
        if self.args.until_eof:
            GLib.idle_add(self.loop.quit)

    def run(self):
        if self.server.attach(None) == 0:
            sys.exit(f'cannot listen on 127.0.0.1:{self.args.port}')
        for work in (self.pace, self.listen):
            threading.Thread(target=work, daemon=True).start()
        for number in (signal.SIGINT, signal.SIGTERM):
            GLib.unix_signal_add(GLib.PRIORITY_HIGH, number, self.loop.quit)
        print('READY', self.server.get_bound_port(), flush=True)
        self.loop.run()


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--port', type=int, default=0, help='0: any that is free')
    parser.add_argument('--cameras', type=int, default=1)
    parser.add_argument('--codec', type=CODECS.get, default=H264, help=', '.join(CODECS))
    parser.add_argument('--preset', default='veryfast')
    parser.add_argument('--fps', type=int, default=25)
    parser.add_argument('--gop', type=int, default=50, help='frames from key frame to key frame')
    parser.add_argument('--size', default='640x360')
    parser.add_argument('--bitrate', default='1000k')
    parser.add_argument('--seconds', type=int, default=20, help='length of the loop')
    parser.add_argument('--bframes', action='store_true')
    parser.add_argument('--auth', metavar='USER:PASSWORD', help='digest authentication')
    parser.add_argument('--paramchange', type=float, default=0, metavar='S',
                        help='change the picture size every S seconds')
    parser.add_argument('--samesize', action='store_true',
                        help='change other parameters then, and not the size')
    parser.add_argument('--log', metavar='FILE')
    parser.add_argument('--samples', metavar='FILE')
    parser.add_argument('--sound', choices=sorted(SOUND))
    parser.add_argument('--sound-log', metavar='FILE')
    parser.add_argument('--until-eof', action='store_true', help='stop when standard input ends')
    Gst.init(None)
    Server(parser.parse_args()).run()
    os._exit(0)    # the threads of GStreamer do not all end by themselves


if __name__ == '__main__':
    main()
