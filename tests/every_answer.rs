//! Whatever a camera's answers and descriptions look like, it is recorded: every frame, in one
//! session. Those of one test are recorded at once.

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

use std::time::Duration;

use odd_camera::footage::is_set;
use odd_camera::{Oddity, Request, Timeout, Units};
use odd_recordings::{SHORT_LENGTH, judge, record, record_for};

fn of_answers(change: impl Fn(&Request, String) -> String + Send + Sync + 'static) -> Oddity {
    let answer = move |request: &Request, answer| change(request, answer).into_bytes();
    Oddity { answer: Box::new(answer), ..Oddity::default() }
}

/// With something else in the place of what it says, wherever that stands.
fn replaced(was: &'static str, is: &'static str) -> Oddity {
    of_answers(move |_, answer| answer.replace(was, is))
}

/// With other words behind `Session:`.
fn session(is: &'static str) -> Oddity {
    of_answers(move |_, answer| answer.replace("Session: 1\r\n", &format!("Session: {is}\r\n")))
}

/// With another header of that name.
fn transport(is: &'static str) -> Oddity {
    replaced("Transport: RTP/AVP/TCP;unicast;interleaved=0-1", is)
}

/// With more lines in the head of each answer.
fn with_lines(lines: &'static str) -> Oddity {
    of_answers(move |_, answer| {
        let (first, rest) = answer.split_once("\r\n").expect("a status line");
        format!("{first}\r\n{lines}\r\n{rest}")
    })
}

/// With `RTP-Info:` in the answer to PLAY.
fn of_rtp(information: &'static str) -> Oddity {
    of_answers(move |request, answer| match request.method.as_str() {
        "PLAY" => {
            let information = information.replace("URL", &request.url);
            answer.replacen("\r\n\r\n", &format!("\r\nRTP-Info:{information}\r\n\r\n"), 1)
        }
        _ => answer,
    })
}

/// With something else in its description.
fn described(was: &'static str, is: &'static str) -> Oddity {
    let description = move |text: String| {
        assert!(text.contains(was), "{text}");
        text.replace(was, is)
    };
    Oddity { description: Box::new(description), ..Oddity::default() }
}

#[test]
fn a_session_and_its_transport_are_understood_in_every_form() {
    let seen = record_for(
        SHORT_LENGTH,
        vec![
            ("another case", session("1;Timeout=60")),
            ("more behind it", session("1;timeout=60;x=1")),
            ("a semicolon", session("1;")),
            ("never", session("1;timeout=0")),
            ("with a point", session("1;timeout=60.0")),
            ("with quotes", session("1;timeout=\"60\"")),
            ("with blanks", session("1 ; timeout = 60")),
            ("no number", session("1;timeout=")),
            ("more than any", session("1;timeout=99999999999999999999")),
            ("with odd letters", session("a-$_.+/=1;timeout=60")),
            ("blanks", transport("Transport: RTP/AVP/TCP ; unicast ; interleaved = 0 - 1")),
            ("lower case", transport("transport:rtp/avp/tcp;unicast;interleaved=0-1")),
            ("upper case", transport("TRANSPORT: RTP/AVP/TCP;UNICAST;INTERLEAVED=0-1")),
            ("no channels", transport("Transport: RTP/AVP/TCP;unicast")),
            ("one channel", transport("Transport: RTP/AVP/TCP;unicast;interleaved=0")),
            ("no transport", transport("X-Transport: none")),
            (
                "a name",
                transport("Transport: RTP/AVP/TCP;unicast;source=cam.local;interleaved=0-1"),
            ),
            ("zeros", transport("Transport: RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=00000000")),
            ("decimal", transport("Transport: RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=305419896")),
            ("no source", transport("Transport: RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=")),
            ("a mode", transport("Transport: RTP/AVP/TCP;interleaved=0-1;mode=\"PLAY\";")),
            ("no RTP-Info value", of_rtp("")),
            ("below zero", of_rtp(" url=URL/track1;seq=-1;rtptime=7")),
            ("too large", of_rtp(" url=URL/track1;seq=70000;rtptime=99999999999")),
            ("no URL", of_rtp(" seq=65500;rtptime=7")),
            ("another URL", of_rtp(" url=rtsp://10.0.0.1/elsewhere;seq=65500;rtptime=7")),
            ("quotes", of_rtp(" url=\"URL/track1\";seq=65500;rtptime=7")),
            ("ahead of the first", of_rtp(" url=URL/track1;seq=65510;rtptime=36007")),
            ("far ahead", of_rtp(" url=URL/track1;seq=20000;rtptime=1000000007")),
            ("behind the first", of_rtp(" url=URL/track1;seq=65490;rtptime=7")),
            ("no numbers", of_rtp(" url=URL/track1")),
            ("commas", of_rtp(",,url=URL/track1;seq=;rtptime=,")),
        ],
    );
    judge(&seen, |seen| seen.is_undisturbed(0));
}

#[test]
fn a_camera_that_refuses_a_range_is_asked_without_one() {
    let live = |status: &'static str| {
        of_answers(move |request, answer| match request.header("range") {
            "" => answer,
            _ => answer.replace("200 OK", status),
        })
    };
    let seen = record_for(
        SHORT_LENGTH,
        vec![
            ("no range", live("457 Invalid Range")),
            ("no such header", live("456 Header Field Not Valid for Resource")),
        ],
    );
    judge(&seen, |seen| {
        let plays = seen.requests.iter().filter(|request| request.method == "PLAY");
        let ranges: Vec<&str> = plays.map(|request| request.header("range")).collect();
        match (&ranges[..], seen.connections.len()) {
            (["npt=0.000-", ""], 1) => seen.is_whole(0),
            all => Err(format!("ranges and connections: {all:?}")),
        }
    });
}

#[test]
fn an_answer_is_understood_in_every_form() {
    let of_bodies = |request: &Request, answer: String| match request.method.as_str() {
        "PLAY" => answer.replacen("\r\n\r\n", "\r\nContent-Length: 4\r\n\r\n\r\n\r\n", 1),
        _ => answer,
    };
    let described_late = |request: &Request, answer: String| match request.method.as_str() {
        "DESCRIBE" => format!("RTSP/1.0 100 Continue\r\nCSeq: 1\r\n\r\n{answer}"),
        _ => answer,
    };
    let of_short_lines = |_: &Request, answer: String| {
        let (head, body) = answer.split_once("\r\n\r\n").expect("an empty line");
        format!("{}\n\n{body}", head.replace("\r\n", "\n"))
    };
    let typed = |is| replaced("Content-Type: application/sdp", is);
    let seen = record_for(
        SHORT_LENGTH,
        vec![
            ("a character set", typed("Content-Type: application/sdp; charset=utf-8")),
            ("another type", typed("Content-Type: text/plain")),
            ("a type in upper case", typed("CONTENT-TYPE: Application/SDP")),
            ("no type", typed("X-Nothing: to say")),
            ("an empty header", with_lines("X-Empty:")),
            ("an empty date", with_lines("Date:\r\nServer:\r\nCache-Control: ")),
            ("no name", with_lines(": value\r\nneither name nor value")),
            ("a folded header", with_lines("Server: a\r\n camera\r\n\tof two lines")),
            ("a blank before the colon", with_lines("Server : camera")),
            (
                "letters of another alphabet",
                with_lines("Server: K\u{e4}m\u{e9}ra \u{76d1}\u{63a7}"),
            ),
            ("lines of LF", of_answers(of_short_lines)),
            ("a line before each answer", of_answers(|_, answer| format!("\r\n{answer}"))),
            ("no reason", replaced("200 OK\r\n", "200\r\n")),
            ("a blank for a reason", replaced("200 OK\r\n", "200 \r\n")),
            ("RTSP 2", replaced("RTSP/1.0", "RTSP/2.0")),
            ("another name for CSeq", replaced("CSeq:", "Cseq:")),
            ("blanks around CSeq", replaced("CSeq: ", "cseq:   ")),
            ("a body that nobody asked for", of_answers(of_bodies)),
            ("to be continued", of_answers(described_late)),
            ("in small pieces", Oddity { piece_bytes: 13, ..Oddity::default() }),
        ],
    );
    judge(&seen, |seen| seen.is_undisturbed(0));
}

#[test]
fn a_description_is_understood_in_every_form() {
    const MAP: &str = "a=rtpmap:96 H264/90000";
    let only_media = |text: String| {
        let is_needed = |line: &&str| line.starts_with("m=") || line.starts_with("a=");
        text.lines().filter(is_needed).map(|line| format!("{line}\r\n")).collect()
    };
    let with_blank_lines = |text: String| text.replace("m=video", "\r\n  \r\nm=video");
    let of_text = |change: fn(String) -> String| Oddity {
        description: Box::new(change),
        ..Oddity::default()
    };
    let seen = record_for(
        SHORT_LENGTH,
        vec![
            ("no connection", described("t=0 0", "c=IN\r\nt=0 0")),
            ("a connection of nothing", described("t=0 0", "c=\r\nt=0 0")),
            ("no address", described("o=- 1 1 IN IP4 127.0.0.1", "o=-")),
            ("no type of an address", described("o=- 1 1 IN IP4 127.0.0.1", "o=- 1 1")),
            ("media only", of_text(only_media)),
            ("lines of nothing", of_text(with_blank_lines)),
            ("LF", of_text(|text| text.replace("\r\n", "\n"))),
            ("no end of the last line", of_text(|text| text.trim_end().to_owned())),
            ("zeros at its end", of_text(|text| text + "\0\0\0")),
            ("two blanks", described(MAP, "a=rtpmap:96  H264/90000")),
            ("a tab", described(MAP, "a=rtpmap:96\tH264/90000")),
            ("blanks around", described(MAP, "a=rtpmap: 96 h264/90000 ")),
            ("one more slash", described(MAP, "a=rtpmap:96 H264/90000/1")),
            ("no clock rate", described(MAP, "a=rtpmap:96 H264")),
            ("lower case", described("RTP/AVP", "rtp/avp")),
            ("feedback", described("RTP/AVP", "RTP/AVPF")),
            ("two blanks in m=", described("m=video 0 RTP/AVP", "m=video  0  RTP/AVP")),
            ("a number of ports", described("m=video 0 ", "m=video 0/2 ")),
            ("a frame rate of words", described(MAP, "a=framerate:many\r\na=rtpmap:96 H264/90000")),
            ("another format behind", described("RTP/AVP 96", "RTP/AVP 96 97")),
            ("no v=", described("v=0\r\n", "")),
            ("the name of a session twice", described("s=camera", "s=camera\r\ns=\r\ni=")),
            ("bandwidth of nothing", described("t=0 0", "b=\r\nb=AS:\r\nt=\r\nk=clear")),
            ("no control of the whole", described("a=control:*\r\n", "")),
            ("a control with blanks", described("a=control:track1", "a=control: track1 ")),
            ("no control", described("a=control:track1", "a=recvonly")),
        ],
    );
    judge(&seen, |seen| seen.is_undisturbed(0));
}

/// The parameter sets are in the description only, in a form of its own.
fn of_format(change: fn(&str, &str) -> String) -> Oddity {
    let description = move |text: String| {
        let (before, rest) = text.split_once("a=fmtp:96 ").expect("a format");
        let (format, after) = rest.split_once("\r\n").expect("a line");
        let sets = format.split_once("sets=").expect("the sets").1;
        format!("{before}a=fmtp:96 {}\r\n{after}", change(format, sets))
    };
    let units = |_, units: Units| units.into_iter().filter(|unit| !is_set(unit)).collect();
    Oddity { description: Box::new(description), units: Box::new(units), ..Oddity::default() }
}

fn unpadded(base64: &str) -> String {
    assert!(base64.contains('='), "there is padding");
    base64.replace('=', "")
}

#[test]
fn parameter_sets_in_a_description_are_understood_in_every_form() {
    let seen = record_for(
        SHORT_LENGTH,
        vec![
            ("as it should be", of_format(|format, _| format.to_owned())),
            ("a semicolon at its end", of_format(|format, _| format!("{format};"))),
            ("two of them, and blanks", of_format(|format, _| format!(" {format} ; ; "))),
            ("a flag", of_format(|format, _| format!("flag;{format};another"))),
            ("a third set", of_format(|format, _| format!("{format},BgUBgA=="))),
            ("a comma at its end", of_format(|format, _| format!("{format},"))),
            ("no padding", of_format(|_, sets| format!("sprop-parameter-sets={}", unpadded(sets)))),
            ("quotes", of_format(|_, sets| format!("sprop-parameter-sets=\"{sets}\""))),
            ("another case", of_format(|_, sets| format!("SPROP-Parameter-Sets={sets}"))),
            ("blanks around =", of_format(|_, sets| format!("sprop-parameter-sets = {sets}"))),
            ("blanks behind the comma", of_format(|format, _| format.replace(',', ", "))),
            ("the only one", of_format(|_, sets| format!("sprop-parameter-sets={sets}"))),
            (
                "a profile that is none",
                of_format(|format, _| format!("profile-level-id=;{format}")),
            ),
            ("a mode that is none", of_format(|format, _| format.replace("mode=1", "mode=9"))),
        ],
    );
    judge(&seen, |seen| seen.is_undisturbed(0));
}

#[test]
fn a_keep_alive_needs_no_answer_that_is_in_order() {
    /// A camera that wants to hear of its client all four seconds, and answers that like this.
    fn answering(change: fn(String) -> String) -> Oddity {
        let answers = of_answers(move |request, answer| match request.is_keep_alive() {
            true => change(answer),
            false => answer,
        });
        let timeout = Timeout { length: Duration::from_secs(4), renewed_by: |_| true };
        Oddity { timeout: Some(timeout), is_live: true, ..answers }
    }
    let without_number = |answer: String| {
        let is_number = |line: &&str| line.starts_with("CSeq");
        answer.split_inclusive("\r\n").filter(|line| !is_number(line)).collect()
    };
    let seen = record(vec![
        ("in order", answering(|answer| answer)),
        ("no CSeq", answering(without_number)),
        ("another CSeq", answering(|answer| answer.replace("CSeq: ", "CSeq: 9"))),
        (
            "a body",
            answering(|answer| answer.replace("\r\n\r\n", "\r\nContent-Length: 2\r\n\r\nok")),
        ),
        ("twice", answering(|answer| answer.repeat(2))),
        ("none", answering(|_| String::new())),
        ("nonsense", answering(|_| "nobody\r\nknows\r\n\r\n".to_owned())),
    ]);
    // Where nothing is heard another session may take over.
    let (heard, unheard) = seen.split_at(5);
    judge(heard, |seen| seen.is_undisturbed(0));
    judge(unheard, |seen| seen.is_whole(0));
    for (name, seen) in &seen {
        let sent = seen.requests.iter().filter(|request| request.is_keep_alive()).count();
        assert!((2..=24).contains(&sent), "{name}: {sent} keep-alives in twelve seconds");
    }
}
