//! Whatever a camera does with packets, every frame of it is recorded in one session: as one
//! sample, at its time. Those of one test are recorded at once.

#[path = "support/cameras.rs"]
mod cameras;
#[path = "support/frames.rs"]
mod frames;
#[path = "support/odd_camera.rs"]
mod odd_camera;
#[path = "support/odd_recordings.rs"]
mod odd_recordings;
#[path = "support/recording.rs"]
#[allow(dead_code, reason = "each test file uses its own part of this")]
mod recording;

use std::sync::atomic::{AtomicU16, Ordering};

use odd_camera::footage::{is_key, is_set, is_slice, sliced};
use odd_camera::{GROUP, Oddity, Packet, Units, framed};
use odd_recordings::{SHORT_LENGTH, judge, record_for};

/// What a moment may be off: 150 ms (frames are told by their arrival here).
const ERROR_MILLIS_MAX: i64 = 150;

fn of_packets(change: impl Fn(u64, Vec<Packet>) -> Vec<Packet> + Send + Sync + 'static) -> Oddity {
    Oddity { packets: Box::new(change), ..Oddity::default() }
}

fn of_bytes(change: impl Fn(u64, Vec<u8>) -> Vec<u8> + Send + Sync + 'static) -> Oddity {
    Oddity { bytes: Box::new(change), ..Oddity::default() }
}

fn of_units(change: impl Fn(u64, Units) -> Units + Send + Sync + 'static) -> Oddity {
    Oddity { units: Box::new(change), ..Oddity::default() }
}

/// The same packets with numbers that follow one another, whatever was put in or taken out.
fn numbered(change: impl Fn(u64, Vec<Packet>) -> Vec<Packet> + Send + Sync + 'static) -> Oddity {
    let sequence = AtomicU16::new(65_500);
    of_packets(move |frame, packets| {
        let packets = change(frame, packets).into_iter().map(|packet| {
            let sequence = sequence.fetch_add(1, Ordering::SeqCst);
            Packet { sequence, ..packet }
        });
        packets.collect()
    })
}

/// A packet of another payload type and source, with numbers of its own.
fn beside(frame: u64, payload_type: u8, time: u32) -> Packet {
    let (sequence, payload) = (9_000 + frame as u16, vec![0x61, 0xE0, 0x12, 0x34]);
    Packet { channel: 0, marker: true, payload_type, sequence, time, ssrc: 0xABCD, payload }
}

/// From every so many frames on the packets are of another source.
fn of_sources(every: u64, keeps_time: bool) -> impl Fn(u64, Vec<Packet>) -> Vec<Packet> {
    move |frame, mut packets| {
        let source = (frame / every) as u32;
        for packet in &mut packets {
            packet.ssrc = packet.ssrc.wrapping_add(source * 0x1111);
            packet.sequence = packet.sequence.wrapping_add((source * 20_011) as u16);
            if !keeps_time {
                packet.time = packet.time.wrapping_add(source.wrapping_mul(0x3456_789A));
            }
        }
        packets
    }
}

/// The source so far says goodbye before the frame with this number.
fn farewell_before(number: u64, source: u32) -> impl Fn(u64, Vec<u8>) -> Vec<u8> {
    move |frame, bytes| match frame == number {
        true => {
            let goodbye = [&[0x81, 203, 0, 1][..], &source.to_be_bytes()].concat();
            [framed(1, &goodbye), bytes].concat()
        }
        false => bytes,
    }
}

#[test]
fn a_source_that_becomes_another_goes_on() {
    let with_goodbye = Oddity {
        bytes: Box::new(farewell_before(110, 0x1234_5678)),
        ..of_packets(of_sources(110, false))
    };
    let seen = record_for(
        SHORT_LENGTH,
        vec![
            ("with the same times", of_packets(of_sources(110, true))),
            ("another one for each group", of_packets(of_sources(GROUP, true))),
            ("with times of its own", of_packets(of_sources(GROUP, false))),
            ("amid a group", of_packets(of_sources(110, false))),
            ("behind a goodbye", with_goodbye),
        ],
    );
    // Nothing says what is missing between times that have nothing in common.
    let (of_times, of_their_own) = seen.split_at(2);
    judge(of_times, |seen| {
        seen.is_undisturbed(0)?;
        is_on_time(seen.error_millis)
    });
    judge(of_their_own, |seen| {
        seen.is_undisturbed(2 * GROUP)?;
        is_on_time(seen.error_millis)
    });
}

fn is_on_time(error_millis: i64) -> Result<(), String> {
    match error_millis.abs() <= ERROR_MILLIS_MAX {
        true => Ok(()),
        false => Err(format!("{error_millis} ms off")),
    }
}

#[test]
fn a_picture_is_what_has_one_time_whatever_its_markers_say() {
    let unmarked = |_, mut packets: Vec<Packet>| {
        packets.iter_mut().for_each(|packet| packet.marker = false);
        packets
    };
    let each_slice = |_, mut packets: Vec<Packet>| {
        for packet in &mut packets {
            packet.marker = packet.ends_unit() && matches!(packet.unit_type(), 1 | 5);
        }
        packets
    };
    let each_packet = |_, mut packets: Vec<Packet>| {
        packets.iter_mut().for_each(|packet| packet.marker = true);
        packets
    };
    let seen = record_for(
        SHORT_LENGTH,
        vec![
            ("one on each slice", Oddity { footage: sliced, ..of_packets(each_slice) }),
            ("one on each packet", of_packets(each_packet)),
            ("on each packet of each slice", Oddity { footage: sliced, ..of_packets(each_packet) }),
            ("none", of_packets(unmarked)),
            ("none, of slices", Oddity { footage: sliced, ..of_packets(unmarked) }),
            ("none at 1 frame a second", Oddity { rate: 1, ..of_packets(unmarked) }),
        ],
    );
    judge(&seen, |seen| {
        // What has no marker may wait for the next frame to be complete.
        seen.is_undisturbed(1)?;
        is_on_time(seen.error_millis)
    });
}

/// Recovery point (ITU-T H.264, D.1.8), behind the slices of key frames.
fn with_a_message_behind(_: u64, mut units: Units) -> Units {
    if is_key(&units) {
        units.push(vec![6, 6, 1, 0xC4, 0x80]);
    }
    units
}

fn with_start_codes(_: u64, mut packets: Vec<Packet>) -> Vec<Packet> {
    for packet in packets.iter_mut().filter(|packet| packet.payload[0] & 31 != 28) {
        packet.payload.splice(0..0, [0, 0, 0, 1]);
    }
    packets
}

/// The first two units of each frame in one packet (RFC 6184, 5.7.1), an empty one behind each.
fn with_an_empty_unit_between(_: u64, mut packets: Vec<Packet>) -> Vec<Packet> {
    let ends = packets.iter().take_while(|packet| packet.payload[0] & 31 != 28).count().min(2);
    let units: Vec<Packet> = packets.drain(..ends).collect();
    let Some(first) = units.first() else { return packets };
    let mut payload = vec![first.payload[0] & 0xE0 | 24];
    for unit in &units {
        payload.extend((unit.payload.len() as u16).to_be_bytes());
        payload.extend(&unit.payload);
        payload.extend([0, 0]);
    }
    let marker = packets.is_empty();
    packets.insert(0, Packet { payload, marker, ..first.clone() });
    packets
}

#[test]
fn units_in_odd_places_and_of_odd_forms_cost_nothing() {
    let empty = |_, mut packets: Vec<Packet>| {
        let first = packets[0].clone();
        packets.insert(0, Packet { payload: Vec::new(), marker: false, ..first });
        packets
    };
    let delimited = of_units(|_, units| [vec![vec![9, 0xF0]], units].concat());
    let ended = of_units(|frame, mut units| {
        if frame % GROUP == GROUP - 1 {
            // End of sequence.
            units.push(vec![10]);
        }
        units
    });
    let filled = of_units(|_, units| {
        let filler = vec![12, 0xFF, 0xFF, 0x80];
        units
            .into_iter()
            .flat_map(|unit| match is_slice(&unit) {
                true => vec![unit, filler.clone()],
                false => vec![unit],
            })
            .collect()
    });
    let without_sets = |_, units: Units| units.into_iter().filter(|unit| !is_set(unit)).collect();
    let seen = record_for(
        SHORT_LENGTH,
        vec![
            ("a message behind the slices", of_units(with_a_message_behind)),
            ("start codes", of_packets(with_start_codes)),
            ("a packet of nothing in each frame", numbered(empty)),
            ("a unit of nothing", numbered(with_an_empty_unit_between)),
            ("sets in the description only", of_units(without_sets)),
            ("delimiters", Oddity { footage: sliced, ..delimited }),
            ("ends of sequences", ended),
            ("fillers", Oddity { footage: sliced, ..filled }),
        ],
    );
    judge(&seen, |seen| seen.is_undisturbed(0));
}

/// All two seconds something beside the frames, on some channel.
fn now_and_then(interjection: Vec<u8>) -> Oddity {
    of_bytes(move |frame, bytes| match frame % 50 {
        20 => [&interjection[..], &bytes].concat(),
        _ => bytes,
    })
}

#[test]
fn what_is_not_of_the_pictures_is_left_out_and_the_session_goes_on() {
    let of_type = |payload_type| {
        of_packets(move |frame, mut packets| {
            let time = packets[0].time;
            packets.insert(packets.len() / 2, beside(frame, payload_type, time));
            packets
        })
    };
    let report = [0x80, 201, 0, 1, 0, 0, 0xAB, 0xCD];
    let unknown = framed(7, &beside(1, 96, 12_345).bytes());
    let asking = of_bytes(|frame, bytes| {
        let request = format!("GET_PARAMETER * RTSP/1.0\r\nCSeq: {frame}\r\n\r\n");
        if frame % 50 == 20 { [request.as_bytes(), &bytes].concat() } else { bytes }
    });
    let seen = record_for(
        SHORT_LENGTH,
        vec![
            ("a report of nothing", now_and_then(framed(1, &[]))),
            ("a report of four zeros", now_and_then(framed(1, &[0; 4]))),
            ("a report of noise", now_and_then(framed(1, &[0xFF; 9]))),
            ("a report of another source", now_and_then(framed(1, &report))),
            ("a packet of nothing", now_and_then(framed(0, &[]))),
            ("a packet that is cut short", now_and_then(framed(0, &[0x80, 96, 1]))),
            ("a packet of another version", now_and_then(framed(0, &[0; 40]))),
            ("sent again, with a type of its own", of_type(97)),
            ("error correction", of_type(127)),
            ("metadata", of_type(107)),
            ("a channel that nobody set up", now_and_then(unknown)),
            ("a line of nothing", now_and_then(b"\r\n".to_vec())),
            ("requests of its own", asking),
        ],
    );
    judge(&seen, |seen| seen.is_undisturbed(0));
    let (_, asking) = seen.last().expect("the last one");
    let answers = asking.requests.iter().filter(|it| it.method.starts_with("RTSP/"));
    assert!(answers.count() >= 4, "a camera's requests are answered");
}

#[test]
fn numbers_that_jump_or_begin_anew_lose_no_frame_over_tcp() {
    let jumping = |by: u16| {
        of_packets(move |frame, mut packets| {
            let jumps = (frame / 60) as u16;
            for packet in &mut packets {
                packet.sequence = packet.sequence.wrapping_add(jumps.wrapping_mul(by));
            }
            packets
        })
    };
    let sequence = AtomicU16::new(40_000);
    let anew = move |frame, packets: Vec<Packet>| {
        if frame == 130 {
            sequence.store(0, Ordering::SeqCst);
        }
        let packets = packets.into_iter().map(|packet| {
            let sequence = sequence.fetch_add(1, Ordering::SeqCst);
            Packet { sequence, ..packet }
        });
        packets.collect()
    };
    let before_the_answer = Oddity {
        answer: Box::new(|request, answer| match request.method.as_str() {
            "PLAY" => {
                let early = Packet { payload: vec![9, 0xF0], ..beside(0, 96, 7) };
                let early = Packet { ssrc: 0x1234_5678, sequence: 65_499, ..early };
                [framed(0, &early.bytes()), framed(1, &[0; 4]), answer.into_bytes()].concat()
            }
            _ => answer.into_bytes(),
        }),
        ..Oddity::default()
    };
    let seen = record_for(
        SHORT_LENGTH,
        vec![
            ("one ahead", jumping(1)),
            ("5000 ahead", jumping(5_000)),
            ("5000 back", jumping(60_536)),
            ("half of all ahead", jumping(32_768)),
            ("anew", of_packets(anew)),
            ("packets before the answer", before_the_answer),
        ],
    );
    judge(&seen, |seen| seen.is_undisturbed(0));
}

#[test]
fn what_a_gap_over_tcp_lacks_is_missed_and_no_more() {
    // A packet amid each second key frame.
    let amid = |frame: u64, mut packets: Vec<Packet>| {
        if frame.is_multiple_of(2 * GROUP) {
            let at = packets.len() - 2;
            packets.remove(at);
        }
        packets
    };
    // One picture in fifty, whole.
    let one_picture = |frame: u64, packets: Vec<Packet>| match frame % 50 {
        10 => Vec::new(),
        _ => packets,
    };
    let seen = record_for(
        SHORT_LENGTH,
        vec![("amid", of_packets(amid)), ("a picture", of_packets(one_picture))],
    );
    judge(&seen, |seen| {
        let missing = seen.sent.div_ceil(2 * GROUP);
        seen.is_undisturbed(missing + GROUP)?;
        if seen.status.lost_packets == 0 {
            return Err("what is missing is not counted".to_owned());
        }
        seen.marks_damage()?;
        Ok(())
    });
}
