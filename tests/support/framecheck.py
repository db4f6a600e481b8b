#!/usr/bin/python3
"""Lists the frames that cameras.py marked, of mp4 files: framecheck.py FILE...

A line of JSON for each video sample, in the order of decoding: {"file", "t", "camera", "frame",
"sent", "key", "bytes", "md5", "picture", "whole"}; t is the presentation time in seconds as the
edit list has it, and bytes, md5 and picture are those that cameras.py logs, of the sample without
parameter sets and of its slices; a key frame without parameter sets in front is an error. Of JPEG
pictures they are those of the scan, and there is no mark. whole is the digest with them. The file
is taken apart here, with nobody's help: an mp4 with one video track, which is all that the tests
need of another opinion.
"""
import hashlib
import json
import struct
import sys

UUID = b'reelfs-test-cam!'
# By sample entry: what messages begin with, the types of parameter sets and of slices, and the type
# of a unit.
CODECS = {b'avc1': (b'\x06', (7, 8), (1, 5), lambda unit: unit[0] & 31),
          b'hvc1': (b'\x4e\x01', (32, 33, 34), range(32), lambda unit: unit[0] >> 1 & 63),
          b'jpeg': None}
PARENTS = {b'moov', b'trak', b'mdia', b'minf', b'stbl', b'edts'}


def boxes(data, begin, end):
    while begin + 8 <= end:
        size, kind = struct.unpack_from('>I4s', data, begin)
        head = 8
        if size == 1:
            size, head = struct.unpack_from('>Q', data, begin + 8)[0], 16
        elif size == 0:
            size = end - begin
        assert head <= size <= end - begin, f'{kind} of {size} bytes at {begin}'
        yield kind, begin + head, begin + size
        if kind in PARENTS:
            yield from boxes(data, begin + head, begin + size)
        begin += size


def table(data, box, fields):
    """Entries of a full box that are a count and rows of the given fields."""
    begin, end = box
    count = struct.unpack_from('>I', data, begin + 4)[0]
    row = struct.Struct('>' + fields)
    assert begin + 8 + count * row.size <= end
    return [row.unpack_from(data, begin + 8 + i * row.size) for i in range(count)]


def tracks(data):
    """The boxes of each track by their kind."""
    found = []
    for kind, begin, end in boxes(data, 0, len(data)):
        if kind == b'trak':
            found.append({})
        if found:
            found[-1].setdefault(kind, (begin, end))
    return found


def samples(data):
    video = next(t for t in tracks(data) if data[t[b'hdlr'][0] + 8:t[b'hdlr'][0] + 12] == b'vide')
    entry = video[b'stsd'][0] + 12
    codec = CODECS[data[entry:entry + 4]]
    at = video[b'mdhd'][0]
    scale = struct.unpack_from('>I', data, at + (20 if data[at] == 1 else 12))[0]
    fixed, count = struct.unpack_from('>II', data, video[b'stsz'][0] + 4)
    sizes = [fixed] * count if fixed else [
        size for size, in struct.iter_unpack('>I', data[video[b'stsz'][0] + 12:][:4 * count])]
    chunks = table(data, video[b'co64'], 'Q') if b'co64' in video else table(data, video[b'stco'], 'I')
    per_chunk = table(data, video[b'stsc'], 'III') + [(len(chunks) + 1, 0, 0)]
    durations = [d for n, d in table(data, video[b'stts'], 'II') for _ in range(n)]
    offsets = [0] * count
    if b'ctts' in video:
        offsets = [o for n, o in table(data, video[b'ctts'], 'Ii') for _ in range(n)]
    keys = set(range(1, count + 1))
    if b'stss' in video:
        keys = {n for n, in table(data, video[b'stss'], 'I')}
    begin = 0
    if b'elst' in video:
        wide = data[video[b'elst'][0]] == 1
        edits = table(data, video[b'elst'], 'QqI' if wide else 'IiI')
        begin = next(time for _, time, _ in edits if time >= 0)
    number, decode = 0, 0
    for (first, many, _), (after, _, _) in zip(per_chunk, per_chunk[1:]):
        for chunk in range(first, after):
            place = chunks[chunk - 1][0]
            for _ in range(many):
                time = (decode + offsets[number] - begin) / scale
                yield time, number + 1 in keys, codec, data[place:place + sizes[number]]
                place += sizes[number]
                decode += durations[number]
                number += 1
    assert number == count == len(durations) == len(offsets), 'tables disagree'


def scan(picture):
    """What stands between the header of a JPEG picture and its end."""
    at = picture.index(b'\xff\xda')
    return picture[at + 2 + struct.unpack_from('>H', picture, at + 2)[0]:-2]


def stamp(sample, codec):
    if not codec:
        return None, None, None
    head, at = codec[0], 0
    while at + 4 <= len(sample):
        length = struct.unpack_from('>I', sample, at)[0]
        unit = sample[at + 4:at + 4 + length]
        if unit.startswith(head) and UUID in unit[:24]:
            plain, zeros = bytearray(), 0
            for byte in unit:
                if zeros >= 2 and byte == 3:
                    zeros = 0
                    continue
                zeros = zeros + 1 if byte == 0 else 0
                plain.append(byte)
            return struct.unpack_from('>HQQ', plain, len(head) + 2 + len(UUID))
        at += 4 + length
    return None, None, None


def parted(sample, key, codec):
    """A sample without its parameter sets, and its slices."""
    (_, types, slices, kind), kept, pictures, sets, at = codec, [], [], 0, 0
    while at + 5 <= len(sample):
        end = at + 4 + struct.unpack_from('>I', sample, at)[0]
        if kind(sample[at + 4:]) in types:
            sets += 1
        else:
            kept.append(sample[at:end])
        if kind(sample[at + 4:]) in slices:
            pictures.append(sample[at + 4:end])
        at = end
    if key and sets < len(types):
        sys.exit('a key frame without its parameter sets')
    return b''.join(kept), b''.join(pictures)


def main():
    for path in sys.argv[1:]:
        with open(path, 'rb') as f:
            data = f.read()
        for time, key, codec, sample in samples(data):
            camera, frame, sent = stamp(sample, codec)
            whole = hashlib.md5(sample).hexdigest()
            sample, picture = parted(sample, key, codec) if codec else [scan(sample)] * 2
            print(json.dumps({'file': path, 't': round(time, 6), 'camera': camera, 'frame': frame,
                              'sent': sent, 'key': key, 'bytes': len(sample),
                              'md5': hashlib.md5(sample).hexdigest(),
                              'picture': hashlib.md5(picture).hexdigest(), 'whole': whole}))


if __name__ == '__main__':
    main()
