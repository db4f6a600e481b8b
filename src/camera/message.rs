//! RTSP messages and interleaved packets, out of bytes and into them (RFC 2326, 4 to 7 and 10.12).
//! Pure.
//!
//! Whatever can be understood is: lines that end in LF, folded headers, headers without a name, an
//! answer without a reason, any version. What can't is skipped up to where something begins again.
//! Nothing is kept that is longer than its limit.

use std::fmt::Write as _;

/// A head of a message at most: its first line and its headers, in bytes.
pub(super) const HEAD_BYTES_MAX: usize = 64 << 10;
/// A body of a message at most, in bytes: the largest is a description.
pub(super) const BODY_BYTES_MAX: usize = 256 << 10;
/// So much is skipped for the next beginning, in bytes.
const SKIPPED_BYTES_MAX: usize = 1 << 20;
/// More blanks than this are not what stands between messages.
const BLANKS_MAX: usize = 8;
/// Nothing that is within its limits needs more room, in bytes.
const BUFFER_BYTES_MAX: usize = 1 << 20;
/// Room for what is read at once, in bytes; it grows for what is longer.
const BUFFER_BYTES: usize = 32 << 10;
/// `$`, channel, length (RFC 2326, 10.12).
const PACKET_HEAD: usize = 4;
/// What a message begins with: a version, or what a camera may ask for (RFC 2326, 10; RFC 7826,
/// 13).
const VERSIONS: [&[u8]; 2] = [b"RTSP/", b"HTTP/"];
const WORDS: [&[u8]; 12] = [
    b"OPTIONS ",
    b"DESCRIBE ",
    b"ANNOUNCE ",
    b"SETUP ",
    b"PLAY ",
    b"PAUSE ",
    b"TEARDOWN ",
    b"GET_PARAMETER ",
    b"SET_PARAMETER ",
    b"REDIRECT ",
    b"RECORD ",
    b"PLAY_NOTIFY ",
];

/// What a camera sends.
#[derive(Debug, PartialEq)]
pub(super) enum Item<'a> {
    /// Bytes of RTP or RTCP.
    Packet { channel: u8, bytes: &'a [u8] },
    /// An answer to a request of ours.
    Answer(Answer),
    /// A request of its own.
    Request { method: String, headers: Headers },
}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) reason: String,
    pub(super) headers: Headers,
    pub(super) body: String,
}

/// Headers in their order, by name in lower case.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Headers(Vec<(String, String)>);

impl Headers {
    /// The first of that name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(is, _)| is == name).map(|(_, value)| value.as_str())
    }

    /// All of that name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(is, _)| is == name).map(|(_, value)| value.as_str())
    }

    /// The number that pairs request and answer (RFC 2326, 12.17).
    pub(super) fn sequence(&self) -> Option<u32> {
        self.get("cseq")?.trim().parse().ok()
    }

    fn of<'a>(lines: impl Iterator<Item = &'a str>) -> Headers {
        let mut headers: Vec<(String, String)> = Vec::new();
        for line in lines {
            if line.starts_with([' ', '\t'])
                && let Some((_, value)) = headers.last_mut()
            {
                value.push(' ');
                value.push_str(line.trim());
            } else if let Some((name, value)) = line.split_once(':') {
                headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
            }
        }
        Headers(headers)
    }
}

/// What is longer than anything has reason to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Excess {
    #[error("the head of a message is over the limit of {} KiB", HEAD_BYTES_MAX >> 10)]
    Head,
    #[error("a description or another body is over the limit of {} KiB", BODY_BYTES_MAX >> 10)]
    Body,
    #[error("nothing of RTSP in {} KiB", SKIPPED_BYTES_MAX >> 10)]
    Skipped,
}

/// Cuts what is received into items.
pub(super) struct Reader {
    buffer: Vec<u8>,
    /// What is not read yet.
    start: usize,
    end: usize,
    /// Where no end of a head was found so far, behind `start`.
    looked: usize,
    /// The length of the message there, once it is known; it is not read again before it is whole.
    whole: usize,
    /// Bytes in a row that nothing could be made of.
    skipped: usize,
    /// The same, not told yet.
    untold: usize,
}

/// What stands at the beginning of what is not read.
enum Beginning {
    Packet,
    Message,
    /// More has to come to tell.
    Open,
    Nothing,
}

impl Reader {
    pub(super) fn new() -> Reader {
        let buffer = vec![0; BUFFER_BYTES];
        Reader { buffer, start: 0, end: 0, looked: 0, whole: 0, skipped: 0, untold: 0 }
    }

    /// Where the next bytes belong; never empty.
    pub(super) fn room(&mut self) -> &mut [u8] {
        if self.start > 0 && self.end - self.start < self.start {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end == self.buffer.len() {
            if self.buffer.len() < BUFFER_BYTES_MAX {
                self.buffer.resize(2 * self.buffer.len(), 0);
            } else {
                self.untold += self.end - self.start;
                (self.start, self.end, self.looked, self.whole) = (0, 0, 0, 0);
            }
        }
        &mut self.buffer[self.end..]
    }

    /// So many bytes have come there.
    pub(super) fn filled(&mut self, count: usize) {
        self.end = (self.end + count).min(self.buffer.len());
    }

    /// Bytes that were skipped since it was asked last.
    pub(super) fn take_skipped(&mut self) -> usize {
        std::mem::take(&mut self.untold)
    }

    /// The next item that is there as a whole.
    ///
    /// # Errors
    /// If it is over a limit; nothing can be read behind it.
    pub(super) fn next(&mut self) -> Result<Option<Item<'_>>, Excess> {
        loop {
            let unread = &self.buffer[self.start..self.end];
            let is_found = self.skipped == 0;
            match beginning(unread, is_found) {
                Beginning::Open => return Ok(None),
                Beginning::Nothing => self.skip()?,
                Beginning::Packet => {
                    let length = usize::from(u16::from_be_bytes([unread[2], unread[3]]));
                    let (channel, whole) = (unread[1], PACKET_HEAD + length);
                    if unread.len() < whole {
                        return Ok(None);
                    }
                    if !is_found || !is_packet(&unread[PACKET_HEAD..whole]) {
                        // It is one if something else begins where it ends.
                        let behind = &unread[whole..];
                        let next = without_blanks(behind);
                        if behind.len() - next.len() > BLANKS_MAX {
                            self.skip()?;
                            continue;
                        }
                        match beginning(next, true) {
                            Beginning::Open => return Ok(None),
                            Beginning::Nothing => {
                                self.skip()?;
                                continue;
                            }
                            Beginning::Packet | Beginning::Message => {}
                        }
                    }
                    let from = self.start + PACKET_HEAD;
                    self.consume(whole);
                    let bytes = &self.buffer[from..from + length];
                    return Ok(Some(Item::Packet { channel, bytes }));
                }
                Beginning::Message => match self.message()? {
                    Message::Open => return Ok(None),
                    Message::Whole(item) => return Ok(Some(item)),
                    Message::Nothing => self.skip()?,
                },
            }
        }
    }

    fn consume(&mut self, count: usize) {
        self.start += count;
        (self.looked, self.whole, self.skipped) = (0, 0, 0);
    }

    /// Goes on to where something may begin.
    fn skip(&mut self) -> Result<(), Excess> {
        let unread = &self.buffer[self.start..self.end];
        let blank = unread.len() - without_blanks(unread).len();
        if blank > 0 {
            self.start += blank;
            (self.looked, self.whole) = (0, 0);
            return Ok(());
        }
        let may_begin = |byte: &u8| *byte == b'$' || byte.is_ascii_alphabetic();
        let next = unread.iter().skip(1).position(may_begin).map_or(unread.len(), |at| at + 1);
        (self.start, self.looked, self.whole) = (self.start + next, 0, 0);
        (self.skipped, self.untold) = (self.skipped + next, self.untold + next);
        if self.skipped > SKIPPED_BYTES_MAX { Err(Excess::Skipped) } else { Ok(()) }
    }

    fn message(&mut self) -> Result<Message, Excess> {
        let unread = &self.buffer[self.start..self.end];
        if unread.len() < self.whole {
            return Ok(Message::Open);
        }
        let Some(head_length) = head_length(unread, self.looked) else {
            self.looked = unread.len().saturating_sub(3);
            return if unread.len() > HEAD_BYTES_MAX {
                Err(Excess::Head)
            } else {
                Ok(Message::Open)
            };
        };
        if head_length > HEAD_BYTES_MAX {
            return Err(Excess::Head);
        }
        let head = String::from_utf8_lossy(&unread[..head_length]);
        let mut lines = head.lines();
        let first = lines.next().unwrap_or_default().to_owned();
        let headers = Headers::of(lines);
        let length = headers.get("content-length").and_then(|length| length.parse().ok());
        let body_length = length.unwrap_or(0);
        if body_length > BODY_BYTES_MAX {
            return Err(Excess::Body);
        }
        let whole = head_length + body_length;
        if unread.len() < whole {
            (self.looked, self.whole) = (head_length.saturating_sub(4), whole);
            return Ok(Message::Open);
        }
        let body = String::from_utf8_lossy(&unread[head_length..whole]).into_owned();
        let item = match answered(&first) {
            Some((status, reason)) => Item::Answer(Answer { status, reason, headers, body }),
            None if is_version(first.as_bytes()) => return Ok(Message::Nothing),
            None => {
                let method = first.split(' ').next().unwrap_or_default().to_owned();
                Item::Request { method, headers }
            }
        };
        self.consume(whole);
        Ok(Message::Whole(item))
    }
}

/// What has become of a message.
enum Message {
    Open,
    Whole(Item<'static>),
    Nothing,
}

fn is_version(line: &[u8]) -> bool {
    VERSIONS.iter().any(|version| begins(line, version))
}

/// Whether bytes begin with a word, in any case of letters.
fn begins(bytes: &[u8], word: &[u8]) -> bool {
    bytes.get(..word.len()).is_some_and(|beginning| beginning.eq_ignore_ascii_case(word))
}

/// `is_found`: what came before was understood, so that this may be trusted.
fn beginning(unread: &[u8], is_found: bool) -> Beginning {
    match unread {
        [] => Beginning::Open,
        [b'$', rest @ ..] => match rest {
            [_, _, _, first, ..] if !is_found && first >> 6 != 2 => Beginning::Nothing,
            [_, _, _, _, ..] => Beginning::Packet,
            [_, 0, 0] if is_found => Beginning::Packet,
            _ => Beginning::Open,
        },
        _ => {
            let mut words = VERSIONS.iter().chain(&WORDS);
            let mut open = words.clone();
            if words.any(|word| begins(unread, word)) {
                Beginning::Message
            } else if open.any(|word| begins(word, unread)) {
                Beginning::Open
            } else {
                Beginning::Nothing
            }
        }
    }
}

/// Without what may stand between messages.
fn without_blanks(bytes: &[u8]) -> &[u8] {
    let blanks = bytes.iter().take_while(|byte| b"\r\n\0".contains(byte)).count();
    &bytes[blanks..]
}

/// Whether bytes may be RTP or RTCP, or too few for that.
fn is_packet(bytes: &[u8]) -> bool {
    const HEADER: usize = 12;
    bytes.len() < HEADER || bytes[0] >> 6 == 2
}

/// The length of a head with the empty line at its end; looked for from `from` on.
fn head_length(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(found) = bytes.get(at..)?.iter().position(|byte| *byte == b'\n') {
        at += found + 1;
        match bytes.get(at..)? {
            [b'\n', ..] => return Some(at + 1),
            [b'\r', b'\n', ..] => return Some(at + 2),
            _ => {}
        }
    }
    None
}

/// Status and reason of an answer's first line.
fn answered(line: &str) -> Option<(u16, String)> {
    if !is_version(line.as_bytes()) {
        return None;
    }
    let (_, rest) = line.split_once(char::is_whitespace)?;
    let rest = rest.trim();
    let (status, reason) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let status = status.parse().ok().filter(|status| (100..1000).contains(status))?;
    Some((status, reason.trim().to_owned()))
}

/// A request in bytes. No value may hold the end of a line.
pub(super) fn request(method: &str, url: &str, headers: &[(&str, String)]) -> Vec<u8> {
    let mut text = format!("{method} {url} RTSP/1.0\r\n");
    for (name, value) in headers {
        // Into a string: can't fail.
        let _ = write!(text, "{name}: {value}\r\n");
    }
    text.push_str("\r\n");
    text.into_bytes()
}

/// An answer to a camera's own request.
pub(super) fn answer(status: &str, sequence: Option<&str>) -> Vec<u8> {
    let sequence = sequence.map_or(String::new(), |number| format!("CSeq: {number}\r\n"));
    format!("RTSP/1.0 {status}\r\n{sequence}\r\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What is read where the bytes come in pieces of these lengths, repeated.
    fn read(bytes: &[u8], pieces: &[usize]) -> Result<Vec<String>, Excess> {
        let mut reader = Reader::new();
        let mut found = Vec::new();
        let mut rest = bytes;
        for piece in pieces.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let room = reader.room();
            let count = (*piece).clamp(1, rest.len().min(room.len()));
            room[..count].copy_from_slice(&rest[..count]);
            reader.filled(count);
            rest = &rest[count..];
            while let Some(item) = reader.next()? {
                found.push(format!("{item:?}"));
            }
        }
        Ok(found)
    }

    fn one(bytes: &[u8]) -> Answer {
        let mut reader = Reader::new();
        reader.room()[..bytes.len()].copy_from_slice(bytes);
        reader.filled(bytes.len());
        match reader.next() {
            Ok(Some(Item::Answer(answer))) => answer,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn answers_of_all_kinds_are_understood() {
        for (text, status, reason) in [
            ("RTSP/1.0 200 OK\r\nCSeq: 3\r\n\r\n", 200, "OK"),
            ("RTSP/1.0 200 OK\nCSeq:3\n\n", 200, "OK"),
            ("RTSP/1.0 404\r\ncseq : 3\r\n\r\n", 404, ""),
            ("RTSP/2.0  200  Fine so\r\n: empty\r\nCSEQ: 3\r\n\r\n", 200, "Fine so"),
            ("HTTP/1.1 400 Bad\r\nCSeq:\r\n 3\r\n\r\n", 400, "Bad"),
            ("\r\n\r\nRTSP/1.0 200 OK\r\nno colon\r\nCSeq: 3\r\n\r\n", 200, "OK"),
        ] {
            let answer = one(text.as_bytes());
            assert_eq!((answer.status, answer.reason.as_str()), (status, reason), "{text}");
            assert_eq!(answer.headers.sequence(), Some(3), "{text}");
        }
    }

    #[test]
    fn what_nothing_can_be_made_of_is_skipped_and_counted() {
        let mut bytes = b"RTSP/1.0 never\r\n\r\n\x01\x02$garbage".to_vec();
        // What looks like a packet, and would take others with it.
        bytes.extend(b"$\x00\x00\x09\x80");
        bytes.extend(b"$\x00\x00\x02\x80\x60RTSP/1.0 200 OK\r\n\r\n");
        let found = read(&bytes, &[1000]).unwrap();
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("Packet { channel: 0, bytes: [128, 96] }"));
    }

    #[test]
    fn what_is_over_a_limit_is_named_and_what_is_not_is_read() {
        let head = |length: usize| format!("RTSP/1.0 200 OK\r\nX: {}\r\n\r\n", "x".repeat(length));
        assert_eq!(read(head(HEAD_BYTES_MAX - 100).as_bytes(), &[4096]).unwrap().len(), 1);
        assert_eq!(read(head(HEAD_BYTES_MAX).as_bytes(), &[4096]), Err(Excess::Head));
        let body = |length: usize| {
            let head = format!("RTSP/1.0 200 OK\r\nContent-Length: {length}\r\n\r\n");
            head + &"x".repeat(length)
        };
        assert_eq!(read(body(BODY_BYTES_MAX).as_bytes(), &[4096]).unwrap().len(), 1);
        assert_eq!(read(body(BODY_BYTES_MAX + 1).as_bytes(), &[4096]), Err(Excess::Body));
        assert_eq!(read(&vec![1; SKIPPED_BYTES_MAX + 2], &[4096]), Err(Excess::Skipped));
        let mut zeros = [&b"$\x00\x00\x10"[..], &[1; 16]].concat();
        zeros.resize(8 << 20, 0);
        assert_eq!(read(&zeros, &[4096]).unwrap().len(), 0, "neither waited for nor kept");
    }

    #[test]
    fn a_request_of_the_camera_is_one_and_is_answered() {
        let found = read(b"OPTIONS * RTSP/1.0\r\nCSeq: 7\r\n\r\n", &[3]).unwrap();
        assert!(found[0].starts_with("Request { method: \"OPTIONS\""), "{found:?}");
        assert_eq!(answer("200 OK", Some("7")), b"RTSP/1.0 200 OK\r\nCSeq: 7\r\n\r\n");
        let asked = request("PLAY", "rtsp://h/", &[("CSeq", "1".to_owned())]);
        assert_eq!(asked, b"PLAY rtsp://h/ RTSP/1.0\r\nCSeq: 1\r\n\r\n");
    }

    fn piece() -> impl Strategy<Value = Vec<u8>> {
        let packet =
            (0_u8..4, prop::collection::vec(any::<u8>(), 0..300)).prop_map(|(channel, payload)| {
                let mut bytes = vec![b'$', channel];
                bytes.extend((payload.len() as u16).to_be_bytes());
                bytes.extend(payload);
                bytes
            });
        let message =
            (any::<u16>(), "[a-z]{0,40}", any::<bool>()).prop_map(|(number, body, lf)| {
                let text = format!(
                    "RTSP/1.0 200 OK\r\nCSeq: {number}\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                );
                let text = if lf { text.replace("\r\n", "\n") } else { text };
                text.into_bytes()
            });
        prop_oneof![4 => packet, 1 => message, 1 => prop::collection::vec(any::<u8>(), 0..40)]
    }

    proptest! {
        #[test]
        fn any_cutting_into_reads_gives_the_same_items(
            pieces in prop::collection::vec(piece(), 0..30),
            cuts in prop::collection::vec(1_usize..500, 1..20),
        ) {
            let bytes = pieces.concat();
            prop_assert_eq!(read(&bytes, &[1 << 20]), read(&bytes, &cuts));
        }
    }
}
