//! Requests to a camera and its answers: from OPTIONS to TEARDOWN (RFC 2326, 10).
//!
//! An answer is taken as that to the last request whatever number it has, unless it is late:
//! cameras forget the number, and nobody asks two things at once here. Packets that come meanwhile
//! are handed on.

use std::time::Duration;

use url::Url;

use super::auth::Login;
use super::endpoint::{Endpoint, RTSP_PORT};
use super::error::{CameraError, one_line};
use super::header::{self, SessionId, TransportAnswer};
use super::message::{self, Answer, Headers, Item};
use super::sdp::Description;
use super::wire::Wire;

/// The first request only asks what a camera can do: its answer is not waited for much longer than
/// the way takes.
const OPTIONS_TIMEOUT: Duration = Duration::from_secs(3);
/// How long the end of a session is waited for: one round trip in a network that works; a camera
/// that is gone ends it by itself.
const TEARDOWN_TIMEOUT: Duration = Duration::from_secs(1);
/// Answers to one request that ask for credentials, each in another way.
const CHALLENGES_MAX: u32 = 4;
/// "Not Found" (RFC 2326, 11.2).
const NOT_FOUND: u16 = 404;
/// "Unsupported Transport" (RFC 2326, 11.3.14).
const UNSUPPORTED_TRANSPORT: u16 = 461;
/// Refusals of a request that another address may be right for: "Not Found", "Method Not Valid in
/// This State", and the two about aggregates (RFC 2326, 11.3).
const OTHER_ADDRESS: [u16; 4] = [NOT_FOUND, 455, 459, 460];
/// Refusals of a request that may be right without a range, of which what is live has none:
/// "Header Field Not Valid for Resource", "Invalid Range" (RFC 2326, 11.3).
const NO_RANGE: [u16; 2] = [456, 457];

/// Takes packets that come while an answer is waited for.
pub(super) type Heard<'a> = &'a mut (dyn FnMut(u8, &[u8]) + Send);

/// One connection, and the session on it.
pub(super) struct Dialogue {
    pub(super) wire: Wire,
    camera: Endpoint,
    /// What is asked for; another one than the camera's where it was redirected.
    url: Url,
    /// What the whole session goes by, once that is known.
    whole: Url,
    login: Login,
    sequence: u32,
    /// Requests that no answer was seen to.
    unanswered: u32,
    pub(super) session: Option<SessionId>,
    /// What the camera says that it is.
    pub(super) server: String,
    /// What it says that it can do, in capitals.
    pub(super) methods: Vec<String>,
}

/// What a camera offers, and where.
pub(super) struct Described {
    pub(super) description: Description,
    base: Url,
}

impl Described {
    /// The address of one medium.
    pub(super) fn medium(&self, index: usize) -> Url {
        let control = self.description.media.get(index).and_then(|media| media.control.as_deref());
        header::control(&self.base, control)
    }

    /// The address of the whole.
    fn whole(&self) -> Url {
        header::control(&self.base, self.description.control.as_deref())
    }
}

/// What a camera says when it is asked for a description.
pub(super) enum Whereabouts {
    Here(Described),
    /// It is somewhere else (RFC 2326, 11.2).
    At(Url),
}

impl Dialogue {
    /// How the camera asks for a login; empty where it does not.
    pub(super) fn scheme(&self) -> &'static str {
        self.login.scheme()
    }

    /// Connects, and asks what the camera can do.
    ///
    /// # Errors
    /// If there is no connection, or it is over with that.
    pub(super) async fn begin(camera: &Endpoint, url: &Url) -> Result<Dialogue, CameraError> {
        let mut dialogue = Dialogue::connect(camera, url).await?;
        match tokio::time::timeout(OPTIONS_TIMEOUT, dialogue.options()).await {
            Ok(Err(error)) => Err(error),
            Ok(Ok(())) | Err(_) => Ok(dialogue),
        }
    }

    /// Connects.
    ///
    /// # Errors
    /// If there is no connection.
    pub(super) async fn connect(camera: &Endpoint, url: &Url) -> Result<Dialogue, CameraError> {
        let host = url.host_str().unwrap_or_default();
        let wire = Wire::connect(host, url.port().unwrap_or(RTSP_PORT)).await?;
        Ok(Dialogue {
            wire,
            camera: camera.clone(),
            url: url.clone(),
            whole: url.clone(),
            login: Login::default(),
            sequence: 0,
            unanswered: 0,
            session: None,
            server: String::new(),
            methods: Vec::new(),
        })
    }

    /// Only what comes back is of interest, not whether it is granted.
    async fn options(&mut self) -> Result<(), CameraError> {
        let url = self.url.to_string();
        self.ask("OPTIONS", &url, &[])?;
        let answer = self.answer(&mut |_, _| ()).await?;
        if answer.status == 401 {
            // What is wrong with a login is told where it is needed.
            let _ = self.log_in(&answer.headers);
        }
        Ok(())
    }

    /// Asks for a description.
    ///
    /// # Errors
    /// If there is none.
    pub(super) async fn describe(&mut self) -> Result<Whereabouts, CameraError> {
        let url = self.url.to_string();
        let accept = [("Accept", "application/sdp".to_owned())];
        let answer = self.exchange("DESCRIBE", &url, &accept, &mut |_, _| ()).await?;
        let location = answer.headers.get("location").filter(|_| answer.status / 100 == 3);
        if let Some(location) = location {
            let at = self.url.join(location).ok().filter(|at| at.scheme() == "rtsp");
            let at = at.filter(Url::has_host).map(header::without_credentials);
            return at.map(Whereabouts::At).ok_or_else(|| CameraError::Refused {
                stage: "describe",
                why: one_line(&format!("redirected to {location}, which is not rtsp:")),
            });
        }
        granted("describe", &answer).map_err(|error| match error {
            CameraError::Refused { stage, why } if answer.status == NOT_FOUND => {
                let path = one_line(self.url.path());
                let why = format!("the camera has no stream {path} ({why})");
                CameraError::Refused { stage, why }
            }
            error => error,
        })?;
        let headers = &answer.headers;
        let said = headers.get("content-base").or_else(|| headers.get("content-location"));
        let base = header::base(&self.url, said);
        let description = Description::parse(&answer.body);
        let described = Described { description, base };
        self.whole = described.whole();
        Ok(Whereabouts::Here(described))
    }

    /// Asks for one medium. `None` where the camera does not have that transport.
    ///
    /// # Errors
    /// If it is refused for another reason.
    pub(super) async fn set_up(
        &mut self,
        url: &Url,
        transport: String,
    ) -> Result<Option<TransportAnswer>, CameraError> {
        let transport = [("Transport", transport)];
        let answer = self.exchange("SETUP", url.as_str(), &transport, &mut |_, _| ()).await?;
        if answer.status == UNSUPPORTED_TRANSPORT {
            return Ok(None);
        }
        granted("set-up", &answer)?;
        if let Some(session) = answer.headers.get("session").and_then(SessionId::parse) {
            self.session = Some(session);
        }
        let value = answer.headers.get("transport").unwrap_or_default();
        Ok(Some(TransportAnswer::parse(value)))
    }

    /// Asks for the packets.
    ///
    /// # Errors
    /// If they are refused.
    pub(super) async fn play(&mut self, first: &Url, heard: Heard<'_>) -> Result<(), CameraError> {
        let range = [("Range", "npt=0.000-".to_owned())];
        let whole = self.whole.clone();
        let mut address = &whole;
        let mut answer = self.exchange("PLAY", address.as_str(), &range, heard).await?;
        if OTHER_ADDRESS.contains(&answer.status) && *first != whole {
            address = first;
            answer = self.exchange("PLAY", address.as_str(), &range, heard).await?;
        }
        if NO_RANGE.contains(&answer.status) {
            answer = self.exchange("PLAY", address.as_str(), &[], heard).await?;
        }
        granted("play", &answer)
    }

    /// Ends the session, and waits for the answer.
    ///
    /// # Errors
    /// If none comes.
    pub(super) async fn tear_down(&mut self) -> Result<(), CameraError> {
        let url = self.whole.to_string();
        self.exchange("TEARDOWN", &url, &[], &mut |_, _| ()).await.map(drop)
    }

    /// The same, with a moment for it. Answers whether the camera has heard.
    pub(super) async fn end(&mut self) -> bool {
        let ended = tokio::time::timeout(TEARDOWN_TIMEOUT, self.tear_down()).await;
        matches!(ended, Ok(Ok(())))
    }

    /// Sends a request without waiting for its answer.
    ///
    /// # Errors
    /// If the camera takes none.
    pub(super) fn ask_for_more_time(&mut self, method: &str) -> Result<(), CameraError> {
        let url = self.whole.to_string();
        self.ask(method, &url, &[])
    }

    /// A request that was not waited for was granted.
    pub(super) fn was_granted(&mut self) {
        self.unanswered = 0;
        self.login.taken();
    }

    /// Takes what a refusal asks for, for the next request. Answers whether that is news: what was
    /// answered before, and refused, is not answered again.
    ///
    /// # Errors
    /// If there are no credentials for it, or none for this host: others may have pointed to it.
    pub(super) fn log_in(&mut self, headers: &Headers) -> Result<bool, CameraError> {
        if self.url.host_str() != self.camera.url.host_str() {
            let why = "the host that the camera points to asks for a login".to_owned();
            return Err(CameraError::Authentication { why });
        }
        self.login.take(&self.camera, headers)
    }

    fn ask(&mut self, method: &str, url: &str, more: &[(&str, String)]) -> Result<(), CameraError> {
        self.sequence += 1;
        self.unanswered += 1;
        let mut headers = vec![
            ("CSeq", self.sequence.to_string()),
            ("User-Agent", concat!("reelfs/", env!("CARGO_PKG_VERSION")).to_owned()),
        ];
        if let Some(session) = &self.session {
            headers.push(("Session", session.id.clone()));
        }
        if let Some(login) = self.login.header(&self.camera, method, url)? {
            headers.push(("Authorization", login));
        }
        headers.extend_from_slice(more);
        self.wire.send(&message::request(method, url, &headers))
    }

    async fn exchange(
        &mut self,
        method: &str,
        url: &str,
        more: &[(&str, String)],
        heard: Heard<'_>,
    ) -> Result<Answer, CameraError> {
        for _ in 0..CHALLENGES_MAX {
            self.ask(method, url, more)?;
            let answer = self.answer(heard).await?;
            if answer.status != 401 {
                self.login.taken();
                return Ok(answer);
            }
            if !self.log_in(&answer.headers)? {
                return Ok(answer);
            }
        }
        let why = "the camera asks for a login again and again".to_owned();
        Err(CameraError::Authentication { why })
    }

    /// The answer to the last request.
    async fn answer(&mut self, heard: Heard<'_>) -> Result<Answer, CameraError> {
        loop {
            while let Some(item) = self.wire.item()? {
                let asked = match item {
                    Item::Packet { channel, bytes } => {
                        heard(channel, bytes);
                        continue;
                    }
                    Item::Answer(answer) => {
                        if answer.status < 200 || self.is_late(&answer.headers) {
                            continue;
                        }
                        self.note(&answer.headers);
                        return Ok(answer);
                    }
                    Item::Request { method, headers } => (method, headers),
                };
                self.reply(&asked.0, &asked.1)?;
            }
            self.wire.step().await?;
        }
    }

    /// Whether an answer is that to a request before the last one, which was not waited for any
    /// more. There are at most as many of these as such requests.
    fn is_late(&mut self, headers: &Headers) -> bool {
        let is_before = headers.sequence().is_some_and(|number| number < self.sequence);
        let is_late = is_before && self.unanswered > 1;
        self.unanswered = if is_late { self.unanswered - 1 } else { 0 };
        is_late
    }

    /// Takes what a camera says of itself.
    fn note(&mut self, headers: &Headers) {
        if let Some(server) = headers.get("server") {
            self.server = one_line(server);
        }
        if let Some(methods) = headers.get("public") {
            let upper = |method: &str| method.trim().to_ascii_uppercase();
            self.methods = methods.split(',').take(32).map(upper).collect();
        }
    }

    /// Answers a request of the camera.
    ///
    /// # Errors
    /// If it ends the session.
    pub(super) fn reply(&mut self, method: &str, headers: &Headers) -> Result<(), CameraError> {
        let status = match method {
            "OPTIONS" | "GET_PARAMETER" | "SET_PARAMETER" | "ANNOUNCE" | "TEARDOWN" => "200 OK",
            _ => "501 Not Implemented",
        };
        let sequence = headers.get("cseq").filter(|number| number.len() < 20);
        self.wire.send(&message::answer(status, sequence))?;
        if method == "TEARDOWN" { Err(CameraError::Ended) } else { Ok(()) }
    }
}

/// Whether a request is granted; names the status where it is not.
fn granted(stage: &'static str, answer: &Answer) -> Result<(), CameraError> {
    if answer.status / 100 == 2 {
        return Ok(());
    }
    let why = one_line(format!("{} {}", answer.status, answer.reason).trim());
    Err(CameraError::of_status(stage, answer.status, why))
}
