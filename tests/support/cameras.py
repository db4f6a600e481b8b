#!/usr/bin/python3
"""Test cameras: N looping RTSP cameras, served by GStreamer's gst-rtsp-server on 127.0.0.1.

A test picture is encoded once with ffmpeg (libx264, libx265) and kept in the system's directory for
temporary files; its access units are then sent for ever, loop after loop, without being encoded
again and with timestamps that go on. Camera K is at rtsp://127.0.0.1:PORT/K, K from 1.

Every frame carries a message (SEI, user data unregistered; ITU-T H.264, D.1.7; H.265, D.2.7) with
the UUID below, then big-endian: number of the camera (u16), number of the frame (u64, from 0, in the order
of decoding, never repeated while the server runs), wall clock in ns since 1970 when it was sent.

Standard output: "READY PORT" once connections are taken. --log FILE: lines of JSON. One for each
frame sent, {"camera", "frame", "key", "sent", "due", "bytes", "md5", "picture", "size",
"session", "time"}; bytes and md5 are those of the sample that an mp4 should hold: NAL units with
4-byte lengths; without the parameter sets, which stand in front of those of key frames there; of
JPEG pictures, which carry no message, those of the scan. "picture" is the digest of its slices
alone, "due" when a camera would have captured it: a busy machine and a burst send it later. "session" is
what a client is served from, in which the frame has a time in ns. With --samples FILE the samples are written there, one after another, and "at" says
where. Lines about what the wire got, each with "camera":
  {"session", "begun"}           the wall clock in ns when what has the session's time 0 goes out:
                                 the server holds packets until they are due, and for as long as
                                 the slowest of its streams takes. What is sent later goes at once
  {"session", "played"}          when its client began to get what is sent, in ns since 1970
  {"session", "closed"}          when the connection of its client was closed. What was due shortly
                                 before may not have gone out, and what is sent later does not
  {"frame", "torn": 1, "slice"}  a packet of this frame was left out; whether it had some of the
                                 picture in it, and not only what stands around it
  {"frame", "swapped": 1}        one of its packets was swapped with another one
  {"fault", "at"}                a command was carried out

With --sound pcmu, pcma, l16 or aac they send sound, too, that never repeats; --sound-log FILE: the
payload of each of its packets, behind the number of its session (u32) and its length (u16, both
big-endian).

Standard input, a line for each command (also: SIGTERM, SIGINT to stop):
  disconnect      close the connections of all clients
  refuse S        the same, and close new connections at once for S seconds
  stall S         send nothing for S seconds; the frames of that time are never sent
  burst S         send nothing for S seconds, then all of it at once
  freeze S        send nothing for S seconds, then go on with the next frame and RTP time
  drop N          leave out the next N RTP packets of pictures
  loss P          leave out P % of them from now on, at random; 0 ends it
  reorder P       swap P % of them with the one behind, in the same way
  dup P           send P % of them twice, in the same way
  paramchange     go on with pictures of another size at the next key frame
  nokey S         after the next key frame send no other one for S seconds; not with JPEG
  clockjump S     the RTP time of pictures jumps by S seconds, which may be less than 0
  clockdrift PPM  the camera's clock runs fast by so much from now on: for its pictures, which come
                  as much faster, RTP time passes as it does without; its reports (RTCP) have the
                  time of this machine beside it, as those of a camera that asks a time server
  quit            stop

--fault KIND:EVERY[,NUMBER], repeated, gives such a command by itself, at random times that are
EVERY seconds apart on average; loss, reorder and dup are over after 5 seconds then. --seed says
which times, and which packets.
"""
import argparse
import hashlib
import json
import os
import random
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
CLOCK_RATE = 90_000
# For so many seconds --fault loses, swaps and doubles packets.
PACKET_FAULT_SECONDS = 5


class H264:
    name, encoder, payloader = 'h264', 'libx264', 'rtph264pay'
    message_head, sets, delimiter, slices, keys = b'\x06', (7, 8), 9, (1, 5), (5,)
    options = ['-profile:v', 'main', '-x264-params', 'open-gop=0:force-cfr=1']
    others = options[:-1] + [options[-1] + ':cabac=0']

    @staticmethod
    def kind(unit):
        return unit[0] & 31

    @staticmethod
    def has_slice(payload):
        """Whether an RTP payload has (some of) one in it (RFC 6184, 5.2)."""
        kind = payload[0] & 31
        return (payload[1] & 31 if kind == 28 else kind) in H264.slices


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

    @staticmethod
    def has_slice(payload):
        """The same of RFC 7798, 4.4."""
        kind = payload[0] >> 1 & 63
        return (payload[2] & 63 if kind == 49 else kind) in H265.slices


class Jpeg:
    """Pictures have no place for a message: of each, its scan is what is known again."""
    name, encoder, payloader = 'jpeg', 'mjpeg', 'rtpjpegpay'
    options = others = ['-huffman', 'default', '-pix_fmt', 'yuvj420p']

    @staticmethod
    def has_slice(_payload):
        return True


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

    def __init__(self, a, size, options, group=None):
        """With `group` it is one group of so many frames."""
        self.size, self.options = size, options
        path = self.encoded(a, size, options, group)
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
    def encoded(a, size, options, group):
        if a.codec is Jpeg:
            return Media.pictures(a, size, options)
        gop, seconds = (group, group / a.fps) if group else (a.gop, a.seconds)
        words = ['ffmpeg', '-v', 'error', '-y', '-f', 'lavfi', '-i',
                 f'testsrc2=size={size}:rate={a.fps}', '-t', str(seconds),
                 '-c:v', a.codec.encoder, '-preset', a.preset, '-pix_fmt', 'yuv420p',
                 '-g', str(gop), '-keyint_min', str(gop),
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

    def __init__(self, camera, number, media):
        self.camera, self.number, self.media = camera, number, media
        self.element = element = media.get_element()
        self.source = element.get_by_name('source')
        self.first = None       # time of its first frame, in ns
        self.begun = None       # wall clock at its time 0, in ns
        self.frames = {}        # by their time in it: number, and ticks that RTP time is ahead
        self.clients = set()
        self.is_closed = False
        self.sound = []         # payloads before it is played
        self.held = None        # a packet that goes out behind the next one, and its frame
        self.passes = False
        probed = Gst.PadProbeType.BUFFER | Gst.PadProbeType.BUFFER_LIST
        element.get_by_name('pay0').get_static_pad('src').add_probe(probed, self.packets)
        if camera.server.args.sound:
            element.get_by_name('pay1').get_static_pad('src').add_probe(probed, self.sound_packets)

    def push(self, time, frame, ticks, stream):
        self.frames[time] = (frame, ticks)
        if len(self.frames) > 2000:
            for old in sorted(self.frames)[:1000]:
                del self.frames[old]
        buffer = Gst.Buffer.new_wrapped(stream)
        buffer.pts = time
        buffer.dts = Gst.CLOCK_TIME_NONE
        buffer.duration = SECOND // self.camera.server.fps
        self.source.emit('push-buffer', buffer)

    def now(self):
        """Its time, in ns; 0 before it has begun."""
        clock = self.element.get_clock()
        if not clock or self.element.get_state(0)[1] != Gst.State.PLAYING:
            return 0
        return clock.get_time() - self.element.get_base_time()

    def look(self):
        """Tells when it began, once all of it is at work."""
        now = self.now()
        if self.begun or not now or not self.clients:
            return
        latency = Gst.Query.new_latency()
        if self.element.get_parent().query(latency):
            self.begun = time.time_ns() - now + latency.parse_latency()[1]
            self.tell(begun=self.begun)

    def tell(self, **more):
        self.camera.tell(session=self.number, **more)

    def play(self, client):
        self.clients.add(client)
        self.is_closed = False
        self.tell(played=time.time_ns())
        self.log_sound()

    def sound_packets(self, _pad, info):
        if not self.is_closed:
            payloads = [packet.extract_dup(0, packet.get_size())[12:] for packet in packets_of(info)]
            # Another thread begins to play, and takes what is there.
            with self.camera.server.lock:
                self.sound += payloads
        if self.clients:
            self.log_sound()
        return Gst.PadProbeReturn.OK

    def log_sound(self):
        with self.camera.server.lock:
            payloads, self.sound = self.sound, []
            for payload in payloads if self.camera.server.sound_log else []:
                head = struct.pack('>IH', self.number, len(payload))
                self.camera.server.sound_log.write(head + payload)
                self.camera.server.sound_log.flush()

    def close(self):
        if not self.is_closed:
            self.is_closed = True
            self.tell(closed=time.time_ns())
            if self.held:
                self.camera.tear(*self.held)

    def packets(self, pad, info):
        camera = self.camera
        if self.passes:
            return Gst.PadProbeReturn.OK
        packets, out = packets_of(info), []
        frame, ticks = self.frames.get(packets[0].pts, (None, 0))
        if not (self.held or ticks or camera.is_disturbed()):
            return Gst.PadProbeReturn.OK
        for packet in packets:
            frame, ticks = self.frames.get(packet.pts, (None, 0))
            if camera.leaves_out():
                camera.tear(frame, packet)
                continue
            if ticks:
                packet = ahead(packet, ticks)
            if self.held:
                out += [packet, self.held[1]]
                for swapped in (frame, self.held[0]):
                    camera.tell(frame=swapped, swapped=1)
                self.held = None
            elif camera.chance('reorder'):
                self.held = (frame, packet)
            else:
                out.append(packet)
                if camera.chance('dup'):
                    out.append(ahead(packet, 0))
        self.passes = True
        for packet in out:
            pad.push(packet)
        self.passes = False
        return Gst.PadProbeReturn.DROP


def packets_of(info):
    if not info.type & Gst.PadProbeType.BUFFER_LIST:
        return [info.get_buffer()]
    packets = info.get_buffer_list()
    return [packets.get(n) for n in range(packets.length())]


def ahead(packet, ticks):
    """A copy of a packet, its RTP time (RFC 3550, 5.1) ahead by so many ticks."""
    data = bytearray(packet.extract_dup(0, packet.get_size()))
    stamp = struct.unpack_from('>I', data, 4)[0] + ticks
    struct.pack_into('>I', data, 4, stamp & 0xffffffff)
    copy = Gst.Buffer.new_wrapped(bytes(data))
    copy.pts, copy.dts, copy.duration = packet.pts, packet.dts, packet.duration
    return copy


class Camera:
    def __init__(self, server, number):
        self.server, self.number = server, number
        self.media = server.media[0]
        self.index = self.media.keys[(number - 1) % len(self.media.keys)]
        self.loop_at = -self.media.pts[self.index]    # frame time at which the loop began
        self.frame = 0
        self.sessions = []
        self.served = 0                               # sessions so far
        self.skew = 0                                 # ns that frozen cameras are behind
        self.drop = 0
        self.percent = {'loss': 0, 'reorder': 0, 'dup': 0}
        self.ticks = 0                                # RTP time has jumped by so many
        self.drift = 0                                # ppm
        self.drifted = 0                              # ns that the camera's clock is ahead
        self.switch = None                            # media from the next key frame on
        self.back = None                              # media behind the end of this one
        self.random = random.Random(f'{server.args.seed}/{number}')

    def due(self):
        """When the next access unit is to be sent, in ns since the server began."""
        return self.frame * SECOND // self.server.fps + self.skew - int(self.drifted)

    def switched(self):
        """Goes on with other media, where that is wanted and can be."""
        if self.index == len(self.media.units):
            self.index = 0
            self.loop_at += len(self.media.units)
            if self.back:
                self.media, self.back = self.back, None
        if self.switch and self.index in self.media.keys:
            self.loop_at += self.media.pts[self.index]
            self.media, self.back = self.switch
            self.index, self.switch = 0, None

    def next(self, skipped):
        """Takes the next access unit and sends it, unless it is skipped."""
        self.switched()
        media, i, due = self.media, self.index, self.server.wall(self.due())
        shown = (self.loop_at + media.pts[i]) * SECOND // self.server.fps
        number, key = self.frame, i in media.keys
        # Of a clock that stood still or drifts RTP time tells, and the server's queue knows nothing.
        pts = shown - int(self.drifted) + self.skew
        self.frame += 1
        self.index += 1
        self.drifted += SECOND / self.server.fps * self.drift / 1_000_000
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
        reached = None
        for session in list(self.sessions):
            is_first = session.first is None
            if is_first:
                if not key:
                    continue
                now = session.now()
                session.first, session.shown = pts - now, shown - now
            session.look()
            in_session = pts - session.first
            # The server refuses to play "from the beginning", as clients like to, what begins later.
            shown_to_server = 0 if is_first else in_session
            ticks = self.ticks + ticks_of(shown - session.shown) - ticks_of(shown_to_server)
            session.push(shown_to_server, number, ticks, stream)
            if not reached or not session.is_closed:
                reached = {'session': session.number, 'time': in_session}
        if reached:
            self.record(units, frame=number, key=key, sent=sent, due=due,
                        size=media.size, **reached)

    def configure(self, media):
        self.served += 1
        session = Session(self, self.served, media)
        media.connect('unprepared', lambda *_: self.forget(session))
        self.sessions.append(session)

    def forget(self, session):
        session.close()
        if session in self.sessions:
            self.sessions.remove(session)

    def played(self, client, media):
        for session in self.sessions:
            if session.media == media:
                session.play(client)

    def left(self, client):
        for session in self.sessions:
            if client in session.clients:
                session.clients.remove(client)
                if not session.clients:
                    session.close()

    def is_disturbed(self):
        return self.drop or any(self.percent.values())

    def leaves_out(self):
        if self.drop:
            self.drop -= 1
            return True
        return self.chance('loss')

    def chance(self, kind):
        percent = self.percent[kind]
        return percent > 0 and self.random.random() * 100 < percent

    def tear(self, frame, packet):
        payload = packet.extract_dup(0, packet.get_size())[12:]
        self.tell(frame=frame, torn=1, slice=self.server.args.codec.has_slice(payload))

    def tell(self, **line):
        self.server.tell({'camera': self.number, **line})

    def record(self, units, **line):
        codec = self.server.args.codec
        if codec is Jpeg:
            slices = sample = scan(units[0])
        else:
            kept = [unit for unit in units if codec.kind(unit) not in codec.sets]
            sample = b''.join(struct.pack('>I', len(unit)) + unit for unit in kept)
            slices = b''.join(unit for unit in kept if codec.kind(unit) in codec.slices)
        line.update(bytes=len(sample), md5=hashlib.md5(sample).hexdigest(),
                    picture=hashlib.md5(slices).hexdigest())
        if self.server.samples:
            line['at'] = self.server.samples.tell()
            self.server.samples.write(sample)
            self.server.samples.flush()
        self.tell(**line)


def ticks_of(nanos):
    """As payloaders reckon."""
    return nanos * CLOCK_RATE // SECOND


class Faults:
    """Gives commands by itself."""

    def __init__(self, server, faults, seed):
        self.server, self.random = server, random.Random(f'{seed}/faults')
        self.planned = [[kind, every, number, self.after(every)] for kind, every, number in faults]
        self.ends = {}                                # of loss, reorder and dup

    def after(self, every):
        """A moment about so many seconds from now on."""
        return time.monotonic() + every * self.random.uniform(0.5, 1.5)

    def run(self):
        while True:
            now = time.monotonic()
            for kind in [kind for kind, end in self.ends.items() if end <= now]:
                del self.ends[kind]
                self.server.command(f'{kind} 0')
            for plan in self.planned:
                kind, every, number, at = plan
                if at <= now:
                    plan[3] = self.after(every)
                    self.server.command(f'{kind} {number:g}')
                    if kind in ('loss', 'reorder', 'dup'):
                        self.ends[kind] = now + PACKET_FAULT_SECONDS
            time.sleep(0.1)


class Server:
    def __init__(self, a):
        self.fps, self.args = a.fps, a
        self.lock = threading.Lock()
        self.begun = time.monotonic_ns()
        self.begun_wall = time.time_ns()
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
        self.silent_until, self.after_silence, self.now = 0, None, 0
        self.faults = Faults(self, a.fault, a.seed)
        lengths = [a.nokey] + [number for kind, _, number in a.fault if kind == 'nokey']
        for length in lengths if a.codec is not Jpeg else []:
            if length:
                self.long_group(self.media[0], length)
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
        factory.set_shared(not self.args.apart)
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
        # A camera sends what it has heard for 20 ms or so.
        source = ('audiotestsrc is-live=true samplesperbuffer=160 wave=pink-noise volume=0.3 '
                  '! audioconvert')
        return f'{source} ! audio/x-raw,channels=1,{SOUND[self.args.sound]}'

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

    def tell(self, line):
        if self.log:
            with self.lock:
                self.log.write(json.dumps(line) + '\n')
                self.log.flush()

    def wall(self, nanos):
        """The wall clock so many ns after the server began."""
        return self.begun_wall + nanos

    def long_group(self, like, seconds):
        """One group of so many seconds."""
        frames = int(seconds * self.fps)
        found = (media for media in self.media if media.size == like.size
                 and media.options == like.options and media.keys == [0]
                 and len(media.units) == frames)
        media = next(found, None) or Media(self.args, like.size, like.options, frames)
        if media not in self.media:
            self.media.append(media)
        return media

    def connected(self, _server, client):
        if time.monotonic() < self.refuse_until:
            self.cut_off(client)
        client.connect('play-request', self.played)
        client.connect('closed', lambda client: [camera.left(client) for camera in self.cameras])

    def played(self, client, context):
        number = int(context.uri.abspath.strip('/').split('/')[0])
        self.cameras[number - 1].played(client, context.sessmedia.get_media())

    def disconnect(self):
        clients = []
        self.server.client_filter(
            lambda _server, client: (clients.append(client), GstRtspServer.RTSPFilterResult.KEEP)[1])
        for client in clients:
            self.cut_off(client)
        return False

    @staticmethod
    def cut_off(client):
        """Closes the connection of a client below its feet. The server, told to close it itself
        (gst_rtsp_client_close), would at times go on reading from it for ever, and serve nobody."""
        try:
            client.get_connection().get_read_socket().shutdown(True, True)
        except GLib.Error:
            pass    # it has left

    def pace(self):
        """Sends what is due, for ever."""
        while True:
            now = time.monotonic_ns() - self.begun
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
                self.change()
            if not self.after_silence:
                for camera in self.cameras:
                    while camera.due() <= now:
                        camera.next(False)
            self.now = now
            earliest = min(camera.due() for camera in self.cameras)
            time.sleep(min(0.02, max(0.001, (earliest - now) / SECOND)))

    def change(self):
        """At the next key frame come other parameters than those of now."""
        for camera in self.cameras:
            is_first = camera.media.size == self.media[0].size
            is_first &= camera.media.options == self.media[0].options
            camera.switch = (self.media[1 if is_first else 0], None)

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
        elif kind == 'paramchange':
            self.change()
        elif kind == 'quit':
            GLib.idle_add(self.loop.quit)
        else:
            for camera in self.cameras:
                self.disturb(camera, kind, number)
        self.tell({'fault': line.strip(), 'at': time.time_ns()})

    def disturb(self, camera, kind, number):
        if kind == 'drop':
            camera.drop = int(number)
        elif kind in camera.percent:
            camera.percent[kind] = number
        elif kind == 'clockjump':
            camera.ticks += int(number * CLOCK_RATE)
        elif kind == 'clockdrift':
            camera.drift = number
        elif kind == 'nokey' and self.args.codec is not Jpeg:
            camera.switch = (self.long_group(camera.media, number), camera.back or camera.media)
        elif kind != 'nokey':
            print(f'unknown command: {kind}', file=sys.stderr)

    def listen(self):
        for line in sys.stdin:
            if line.strip():
                self.command(line)
        if self.args.until_eof:
            GLib.idle_add(self.loop.quit)

    def run(self):
        if self.server.attach(None) == 0:
            sys.exit(f'cannot listen on 127.0.0.1:{self.args.port}')
        for work in (self.pace, self.listen, self.faults.run):
            threading.Thread(target=work, daemon=True).start()
        for number in (signal.SIGINT, signal.SIGTERM):
            GLib.unix_signal_add(GLib.PRIORITY_HIGH, number, self.loop.quit)
        print('READY', self.server.get_bound_port(), flush=True)
        self.loop.run()


def fault(words):
    """KIND:EVERY[,NUMBER]"""
    kind, _, numbers = words.partition(':')
    every, _, number = numbers.partition(',')
    return kind, float(every), float(number or 0)


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
    parser.add_argument('--apart', action='store_true',
                        help='serve each client by itself: one that is cut off amid its first requests '
                        'may leave a shared media behind that the server can not play any more')
    parser.add_argument('--auth', metavar='USER:PASSWORD', help='digest authentication')
    parser.add_argument('--paramchange', type=float, default=0, metavar='S',
                        help='change the picture size every S seconds')
    parser.add_argument('--nokey', type=float, default=0, metavar='S',
                        help='have the pictures ready that the command of this name sends')
    parser.add_argument('--samesize', action='store_true',
                        help='change other parameters then, and not the size')
    parser.add_argument('--log', metavar='FILE')
    parser.add_argument('--samples', metavar='FILE')
    parser.add_argument('--sound', choices=sorted(SOUND))
    parser.add_argument('--sound-log', metavar='FILE')
    parser.add_argument('--fault', action='append', type=fault, default=[],
                        metavar='KIND:EVERY[,NUMBER]')
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--until-eof', action='store_true', help='stop when standard input ends')
    Gst.init(None)
    Server(parser.parse_args()).run()
    os._exit(0)    # the threads of GStreamer do not all end by themselves


if __name__ == '__main__':
    main()
