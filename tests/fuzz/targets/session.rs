//! What a camera sends: a description, then messages, packets and reports on one connection.

use std::hint::black_box;

use reelfs::camera::{Camera, Replay};
use reelfs::clock::Reading;
use reelfs::units::{BootTime, WallTime};

use super::Seed;

/// Parts the description from what follows it.
const PART: u8 = 0xff;

pub fn run(data: &[u8]) {
    let at = data.iter().position(|byte| *byte == PART).unwrap_or(data.len());
    let (description, rest) = data.split_at(at);
    let description = String::from_utf8_lossy(description);
    let camera = Camera::new("door", "rtsp://viewer:word@cam/live", None, None).expect("a URL");
    let Ok(mut replay) = Replay::new(camera, &description) else { return };
    let received = |nanos| Reading {
        wall: WallTime(nanos),
        boot: BootTime(nanos),
        boot_id: [0; 16],
        synchronised: true,
    };
    for (number, piece) in rest.get(1..).unwrap_or_default().chunks(700).enumerate() {
        match replay.push(piece, &received(number as i64 * 40_000_000)) {
            Ok(frames) => drop(black_box(frames)),
            Err(error) => {
                assert!(!error.to_string().contains('\n'));
                return;
            }
        }
    }
    black_box(replay.finish());
}

const AAC: &str = "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 mpeg4-generic/16000/1\r\n\
    a=fmtp:97 mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=1408\r\n";
const SAMPLES: &str = "m=audio 0 RTP/AVP 0 10\r\na=sendrecv\r\n";
const OPUS: &str = "m=audio 0 RTP/AVP 98\r\na=rtpmap:98 opus/48000/2\r\n";
const RECORDS: &str = "m=application 0 RTP/AVP 99\r\na=rtpmap:99 vnd.onvif.metadata/90000\r\n";

/// A packet on a channel, of that type and mark, with a number that its time follows.
fn beside(channel: u8, kind: u8, number: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![b'$', channel, 0, 12 + payload.len() as u8, 0x80, kind, 0, number];
    bytes.extend([0, 0, number, 0, 0, 0, 0, 5]);
    bytes.extend(payload);
    bytes
}

/// A report of a sender.
fn report(channel: u8) -> Vec<u8> {
    let mut bytes = vec![b'$', channel, 0, 28, 0x80, 200, 0, 6, 0, 0, 0, 5, 0xe9, 0, 0, 0];
    bytes.resize(4 + 28, 0);
    bytes
}

pub fn seeds() -> Vec<Seed> {
    let description = "v=0\r\ns=x\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n\
        a=fmtp:96 sprop-parameter-sets=Z01ADeygoP2AiAAAAwAIAAADAZB4oUyw,aOvjyyA=\r\n";
    let whole = |parts: &[&[u8]]| [description.as_bytes(), &[PART], &parts.concat()].concat();
    let packet = |number: u8, time: u8, marker: bool, payload: &[u8]| {
        let mut bytes = vec![b'$', 0, 0, 12 + payload.len() as u8, 0x80];
        bytes.extend([u8::from(marker) << 7 | 96, 0, number, 0, 0, time, 0, 0, 0, 0, 1]);
        bytes.extend(payload);
        bytes
    };
    let key = packet(0, 0, true, &[0x65, 0x88, 0x84, 1, 2, 3]);
    let first = packet(1, 14, false, &[0x7c, 0x81, 0x9a, 4, 5]);
    let last = packet(2, 14, true, &[0x7c, 0x41, 6, 7]);
    let several = packet(3, 28, true, &[0x78, 0, 2, 0x09, 0x10, 0, 3, 0x41, 0x9a, 8]);
    let stream = packet(4, 42, true, &[0, 0, 0, 1, 0x68, 0xeb, 0xe3, 0, 0, 1, 0x41, 0x9a, 9]);
    let goodbye = [b'$', 1, 0, 8, 0x81, 203, 0, 1, 0, 0, 0, 1];
    let answer = b"RTSP/1.0 401 Unauthorized\r\nCSeq: 3\r\nSession: 1;timeout=5\r\n\
        WWW-Authenticate: Digest realm=\"x\", nonce=\"1\", qop=\"auth\"\r\n\
        Transport: RTP/AVP/TCP;interleaved=0-1;source=192.0.2.1\r\n\r\n";
    let asked = b"OPTIONS * RTSP/1.0\nCSeq: 1\n\n\r\nHTTP/1.1 200 OK\nContent-Length: 2\n\nok";
    let of = |description: &str, packets: &[Vec<u8>]| {
        [description.as_bytes(), &[PART], &packets.concat()].concat()
    };
    let h265 = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H265/90000\r\na=framerate:12.5\r\n\
        a=fmtp:96 sprop-max-don-diff=0; sprop-vps=QAEMAf//AWAAAAMAkAAAAwAAAwA/lZQJ;\
        sprop-sps=QgEBAWAAAAMAkAAAAwAAAwA/oAUSAXHJJllZZJMrwRoCAAADAAIAAAMAMhA=;\
        sprop-pps=RAHBcrRiQA==\r\n";
    let h265_packets = [
        packet(0, 0, true, &[0x2a, 1, 0xaf, 0x78, 0x40, 1]),
        packet(1, 14, false, &[0x62, 1, 0x88, 0xd0, 4, 5]),
        packet(2, 14, false, &[0x62, 1, 0x48, 6, 7]),
        packet(3, 14, true, &[0x50, 1, 0x84, 9]),
        packet(4, 28, true, &[0x60, 1, 0, 3, 0x46, 1, 0x50, 0, 4, 0x4e, 1, 6, 1, 0, 3, 2, 1, 0xd0]),
        packet(5, 42, true, &[0, 0, 1, 0x44, 1, 0xc1, 0x72, 0xb4, 0, 0, 1, 2, 1, 0xd0, 9]),
    ];
    let jpeg = "m=video 0 RTP/AVP 26\r\na=x-dimensions:3840,2160\r\n";
    let jpeg_packet = |number, time, marker, payload: &[u8]| {
        let mut bytes = packet(number, time, marker, payload);
        bytes[5] = bytes[5] & 0x80 | 26;
        bytes
    };
    let tables = [&[0, 0, 0, 0, 65, 200, 0, 0, 0, 7, 0xff, 0xff, 0, 0, 0, 64][..], &[9; 64]];
    let jpeg_packets = [
        jpeg_packet(0, 0, false, &[0, 0, 0, 0, 1, 60, 80, 45, 1, 2, 3]),
        jpeg_packet(1, 0, true, &[0, 0, 0, 3, 1, 60, 80, 45, 4, 0xff, 0xd9]),
        jpeg_packet(2, 14, true, &[tables.concat(), vec![1, 2, 3]].concat()),
        jpeg_packet(3, 28, true, &[0, 0, 0, 0, 0, 200, 40, 30, 0, 0, 0, 0, 5]),
    ];
    let with = |media: &str, parts: &[Vec<u8>]| of(&format!("{description}{media}"), parts);
    vec![
        ("pictures-h265", of(h265, &h265_packets)),
        ("pictures-jpeg", of(jpeg, &jpeg_packets)),
        ("aac", with(AAC, &[beside(2, 97, 0, &[0, 32, 0, 16, 0, 24, 1, 2, 3, 4, 5]), key.clone()])),
        (
            "samples",
            with(SAMPLES, &(0..8).map(|it| beside(2, 0, it, &[it; 160])).collect::<Vec<_>>()),
        ),
        (
            "opus",
            with(OPUS, &[beside(2, 98, 0, &[0x7b, 3, 1, 2]), report(3), report(3), report(3)]),
        ),
        ("records", with(RECORDS, &[beside(2, 227, 0, b"<a/>"), beside(2, 99, 1, b"<b>")])),
        ("pictures", whole(&[&key, &first, &last, &several, &stream])),
        ("messages", whole(&[answer, &key, asked, &goodbye, &[1, 2, 3], &last])),
        ("description", description.as_bytes().to_vec()),
    ]
}
