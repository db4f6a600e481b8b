//! A session's bytes without its camera: what becomes of a description and of what follows it, for
//! who wants to know that without a network. Pure, but for what it logs.

use super::auth::Login;
use super::endpoint::Endpoint;
use super::error::CameraError;
use super::header::{SessionId, TransportAnswer, base, control};
use super::inflow::Inflow;
use super::message::{Headers, Item, Reader};
use super::order::Arrived;
use super::sdp::Description;
use super::track::{Frame, chosen};
use super::{Camera, Voice};
use crate::clock::Reading;

/// Reads what a camera sends.
pub struct Replay {
    reader: Reader,
    inflow: Inflow,
    camera: Endpoint,
    login: Login,
}

impl Replay {
    /// Begins with the description that a camera gives (RFC 8866).
    ///
    /// # Errors
    /// If it offers nothing that can be recorded.
    pub fn new(camera: Camera, description: &str) -> Result<Replay, CameraError> {
        let Camera::Rtsp(camera) = camera else {
            return Err(CameraError::Url { why: "a program has none".to_owned() });
        };
        let chosen = chosen(&Description::parse(description), camera.has_sound)?;
        let inflow = Inflow::new(chosen.tracks, &Voice::of(&camera.name));
        Ok(Replay { reader: Reader::new(), inflow, camera, login: Login::default() })
    }

    /// Takes bytes of its connection, and answers the frames that are complete by then: packets in
    /// frames of their own among messages (RFC 2326, 10.12).
    ///
    /// # Errors
    /// If they are over a limit; nothing can be read behind that.
    pub fn push(&mut self, mut bytes: &[u8], now: &Reading) -> Result<Vec<Frame>, CameraError> {
        while !bytes.is_empty() {
            let room = self.reader.room();
            let count = room.len().min(bytes.len());
            room[..count].copy_from_slice(&bytes[..count]);
            self.reader.filled(count);
            bytes = &bytes[count..];
            self.read(now)?;
        }
        Ok(self.inflow.frames.drain(..).collect())
    }

    /// Nothing more comes.
    pub fn finish(mut self) -> Vec<Frame> {
        self.inflow.flush();
        self.inflow.frames.into()
    }

    fn read(&mut self, now: &Reading) -> Result<(), CameraError> {
        loop {
            let headers = match self.reader.next()? {
                None => return Ok(()),
                Some(Item::Packet { channel, bytes }) => {
                    self.inflow.take(channel, Arrived { bytes, at: now });
                    continue;
                }
                Some(Item::Answer(answer)) => answer.headers,
                Some(Item::Request { headers, .. }) => headers,
            };
            self.look_at(&headers);
        }
    }

    /// What a session would take from such headers; nothing depends on it here.
    fn look_at(&mut self, headers: &Headers) {
        let session = headers.get("session").and_then(SessionId::parse);
        let transport = headers.get("transport").map(TransportAnswer::parse);
        let at = base(&self.camera.url, headers.get("content-base"));
        let whole = control(&at, headers.get("location"));
        let login = self.login.take(&self.camera, headers);
        let answer = self.login.header(&self.camera, "PLAY", whole.as_str());
        log::trace!("{session:?} {transport:?} {whole} {} {}", login.is_ok(), answer.is_ok());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::units::{BootTime, WallTime};

    const DESCRIPTION: &str = "m=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\n\
        a=fmtp:96 sprop-parameter-sets=Z01ADeygoP2AiAAAAwAIAAADAZB4oUyw,aOvjyyA=\n";

    fn replay() -> Replay {
        let camera = Camera::new("door", "rtsp://a:b@h/", None, None).unwrap();
        Replay::new(camera, DESCRIPTION).unwrap()
    }

    fn now() -> Reading {
        Reading { wall: WallTime(0), boot: BootTime(0), boot_id: [0; 16], synchronised: true }
    }

    fn packet(number: u16, time: u32, marker: bool, payload: &[u8]) -> Vec<u8> {
        let length = (12 + payload.len() as u16).to_be_bytes();
        let mut bytes = vec![b'$', 0, length[0], length[1], 0x80, u8::from(marker) << 7 | 96];
        bytes.extend(number.to_be_bytes());
        bytes.extend(time.to_be_bytes());
        bytes.extend([0, 0, 0, 1]);
        bytes.extend(payload);
        bytes
    }

    /// Pictures in fragments, with messages, reports and things of no use between them.
    fn session() -> Vec<u8> {
        let mut bytes = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n".to_vec();
        let mut number = 0;
        for frame in 0..20_u32 {
            let unit = if frame % 10 == 0 { 5 } else { 1 };
            for piece in 0..3_u8 {
                let ends = u8::from(piece == 0) << 7 | u8::from(piece == 2) << 6;
                let body = vec![0x88 | frame as u8; 40 + usize::from(piece)];
                let payload = [&[0x7c, ends | unit][..], &body].concat();
                bytes.extend(packet(number, frame * 3600, piece == 2, &payload));
                number += 1;
            }
            match frame % 5 {
                1 => bytes.extend(b"RTSP/1.0 200 OK\nCSeq: 9\n\n"),
                2 => bytes.extend([b'$', 1, 0, 0]),
                3 => bytes.extend(b"OPTIONS * RTSP/1.0\r\nCSeq: 4\r\n\r\n"),
                4 => bytes.extend([1, 2, 3]),
                _ => {}
            }
        }
        bytes
    }

    fn frames(bytes: &[u8], cuts: &[usize]) -> Vec<(i64, bool, Vec<u8>)> {
        let mut replay = replay();
        let mut frames = Vec::new();
        let mut rest = bytes;
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (now_read, later) = rest.split_at((*cut).min(rest.len()));
            frames.extend(replay.push(now_read, &now()).unwrap());
            rest = later;
        }
        frames.extend(replay.finish());
        frames.into_iter().map(|frame| (frame.pts, frame.is_key, frame.data)).collect()
    }

    #[test]
    fn every_picture_of_a_session_becomes_a_frame() {
        let frames = frames(&session(), &[1 << 20]);
        let times: Vec<i64> = frames.iter().map(|frame| frame.0).collect();
        assert_eq!(times, (0..20).map(|frame| frame * 3600).collect::<Vec<i64>>());
        assert_eq!(frames.iter().filter(|frame| frame.1).count(), 2);
    }

    proptest! {
        #[test]
        fn any_cutting_into_reads_gives_the_same_frames(
            cuts in prop::collection::vec(1_usize..400, 1..30),
        ) {
            let session = session();
            prop_assert_eq!(frames(&session, &[1 << 20]), frames(&session, &cuts));
        }

        #[test]
        fn no_bytes_end_it_in_a_panic(
            at in prop::collection::vec((0_usize..3000, any::<u8>()), 1..40),
        ) {
            let mut session = session();
            for (place, byte) in at {
                let place = place % session.len();
                session[place] = byte;
            }
            let mut replay = replay();
            if replay.push(&session, &now()).is_ok() {
                replay.finish();
            }
        }
    }
}
