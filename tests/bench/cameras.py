#!/usr/bin/python3
"""Many cameras in one process, cheap enough to leave the processor to whom they are measured with.

  cameras.py --video FILE.h264

rtsp://127.0.0.1:PORT/NUMBER over TCP: the pictures of FILE at 25 a second, for ever, in packets of
1400 bytes. The file is read once; what is sent is cut into packets before. Each camera begins at a
group of its own, with a phase of its own. Prints READY and the port; ends when its standard input
does.
"""
import argparse
import asyncio
import base64
import struct
import sys
import time

RATE = 25
PACKET_BYTES = 1400
REPORT_SECONDS = 5
UNIX_IN_NTP = 2_208_988_800


class Sent:
    """Bytes of some packets, and where their sequence numbers and times stand in them."""

    def __init__(self, payloads, payload_type, channel=0):
        self.bytes, self.places = bytearray(), []
        for number, payload in enumerate(payloads):
            self.bytes += struct.pack('>cBH', b'$', channel, 12 + len(payload))
            self.places.append(len(self.bytes) + 2)
            marker = 0x80 if number + 1 == len(payloads) else 0
            self.bytes += struct.pack('>BBHII', 0x80, payload_type | marker, 0, 0, 0)
            self.bytes += payload

    def at(self, sequence, stamp, channel, source):
        copy = bytearray(self.bytes)
        for number, place in enumerate(self.places):
            copy[place - 5] = channel
            struct.pack_into('>HII', copy, place, sequence + number & 0xffff, stamp, source)
        return copy


def nal_units(stream):
    """Of a stream in Annex B of H.264."""
    return [unit.rstrip(b'\0') for unit in stream.split(b'\0\0\1') if unit.strip(b'\0')]


def fragments(unit):
    if len(unit) <= PACKET_BYTES:
        return [unit]
    indicator, kind, rest = unit[0] & 0xe0 | 28, unit[0] & 0x1f, unit[1:]
    parts = [rest[at:at + PACKET_BYTES - 2] for at in range(0, len(rest), PACKET_BYTES - 2)]
    heads = [kind] * len(parts)
    heads[0] |= 0x80
    heads[-1] |= 0x40
    return [bytes([indicator, head]) + part for head, part in zip(heads, parts)]


class Track:
    """What one track sends: `units`, one each `step` of its clock of `rate`, again and again."""

    def __init__(self, units, step, rate, media):
        self.units, self.step, self.rate, self.media = units, step, rate, media


def video(path):
    units = nal_units(open(path, 'rb').read())
    sets = {unit[0] & 0x1f: unit for unit in units if unit[0] & 0x1f in (7, 8)}
    pictures, held = [], []
    for unit in units:
        held += fragments(unit)
        if 1 <= unit[0] & 0x1f <= 5:
            pictures.append(Sent(held, 96))
            held = []
    said = ','.join(base64.b64encode(sets[kind]).decode() for kind in (7, 8))
    return Track(pictures, 90_000 // RATE, 90_000,
                 'm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n'
                 f'a=fmtp:96 packetization-mode=1;sprop-parameter-sets={said}\r\n')


class Session:
    def __init__(self, track, number, writer):
        self.track, self.number, self.writer = track, number, writer
        self.channel, self.playing = 0, None

    def play(self):
        self.playing = asyncio.ensure_future(self.send())

    def stop(self):
        if self.playing:
            self.playing.cancel()

    async def send(self):
        track, channel, source, sequence = self.track, self.channel, self.number, 0
        first = self.number * 50 % len(track.units)
        begun = time.monotonic() + self.number % 40 / 1000
        reported = 0
        for count in range(1 << 62):
            late = time.monotonic() - begun - count * track.step / track.rate
            if late < 0:
                await asyncio.sleep(-late)
            stamp = count * track.step & 0xffffffff
            if count * track.step >= reported * track.rate:
                reported += REPORT_SECONDS
                now = time.time() + UNIX_IN_NTP
                self.writer.write(struct.pack(
                    '>cBHBBHIIIIII', b'$', channel + 1, 28, 0x80, 200, 6, source, int(now),
                    int(now % 1 * (1 << 32)), stamp, 0, 0))
            unit = track.units[(first + count) % len(track.units)]
            self.writer.write(unit.at(sequence, stamp, channel, source))
            sequence += len(unit.places)


class Server:
    def __init__(self, track):
        self.track = track

    async def serve(self, reader, writer):
        session = None
        try:
            while True:
                head = (await reader.readuntil(b'\r\n\r\n')).decode().split('\r\n')
                if head[0].startswith('$'):
                    continue
                method, url, _ = head[0].split(' ')
                fields = dict(line.lower().split(': ', 1) for line in head[1:] if ': ' in line)
                if session is None:
                    session = Session(self.track, int(url.split('/')[3]), writer)
                answer, body = self.answer(method, url, fields, session)
                writer.write((f'RTSP/1.0 200 OK\r\nCSeq: {fields["cseq"]}\r\nSession: 1\r\n'
                              f'{answer}Content-Length: {len(body)}\r\n\r\n{body}').encode())
                if method == 'PLAY':
                    session.play()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            if session:
                session.stop()
            writer.close()

    @staticmethod
    def answer(method, url, fields, session):
        if method == 'DESCRIBE':
            about = 'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=bench\r\nt=0 0\r\na=control:*\r\n'
            return (f'Content-Type: application/sdp\r\nContent-Base: {url}/\r\n',
                    f'{about}{session.track.media}a=control:track0\r\n')
        if method == 'SETUP':
            transport = fields['transport']
            pair = transport.rpartition('interleaved=')[2].split(';')[0].split('-')
            session.channel = int(pair[0])
            return f'Transport: RTP/AVP/TCP;unicast;interleaved={"-".join(pair)}\r\n', ''
        if method == 'OPTIONS':
            return 'Public: OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN\r\n', ''
        return '', ''


async def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--video', required=True)
    asked = parser.parse_args()
    server = await asyncio.start_server(Server(video(asked.video)).serve, '127.0.0.1', 0)
    print('READY', server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == '__main__':
    asyncio.run(main())
