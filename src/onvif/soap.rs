//! Envelopes, faults, and how one logs in (ONVIF Core, 5.9 and 5.12).

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use http_auth::{PasswordClient, PasswordParams};
use sha1::{Digest, Sha1};
use ureq::Agent;
use ureq::http::{HeaderMap, StatusCode};
use url::{Position, Url};

use super::OnvifError;
use super::xml::{Element, escaped};
use crate::clock::{Clock, SystemClock};

/// A camera that is asleep answers within this.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// More than a camera with a hundred profiles says, in bytes.
const ANSWER_BYTES_MAX: u64 = 512 << 10;

const ENVELOPE: &str = "http://www.w3.org/2003/05/soap-envelope";
const SECURITY: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
const UTILITY: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";
const DIGEST: &str = concat!(
    "http://docs.oasis-open.org/wss/2004/01/",
    "oasis-200401-wss-username-token-profile-1.0#PasswordDigest"
);

/// Words of a fault that mean that the login is wrong (ONVIF Core, 5.9; WS-Security 1.1, 12).
const DENIALS: [&str; 3] = ["NotAuthorized", "FailedAuthentication", "InvalidSecurity"];

/// The same in what people are told.
const DENIAL_WORDS: [&str; 6] =
    ["not authorized", "unauthorized", "authenticat", "ws-security", "credential", "password"];

/// What a camera asks for that is told to no stranger.
const PLAIN: &str = "it wants the password as it is (Basic), which none is told that was found by \
                     a search: name its address";

/// How to log in.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Login {
    /// Not empty.
    pub username: String,
    /// May be empty.
    pub password: String,
    /// Whether the password may be told as it is (Basic): to a host that somebody has named, and to
    /// none that has answered a search.
    pub is_told_plainly: bool,
}

/// Calls the services of one camera.
pub(super) struct Caller<'l> {
    agent: Agent,
    login: Option<&'l Login>,
    /// What the camera's clock is ahead of this machine's: tokens of another time are refused.
    ahead: TimeDelta,
}

/// A request: what it is called, in which of the services, and what it says.
pub(super) struct Request<'r> {
    pub(super) name: &'static str,
    pub(super) space: &'static str,
    /// What is in its element.
    pub(super) content: &'r str,
}

/// What came over HTTP.
struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl<'l> Caller<'l> {
    pub(super) fn new(login: Option<&'l Login>) -> Caller<'l> {
        let config = Agent::config_builder()
            .timeout_global(Some(CALL_TIMEOUT))
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .user_agent(concat!("reelfs/", env!("CARGO_PKG_VERSION")))
            .build();
        Caller { agent: config.into(), login, ahead: TimeDelta::zero() }
    }

    /// Takes what the camera's clock says.
    pub(super) fn set_clock(&mut self, camera: DateTime<Utc>) {
        self.ahead = camera - now();
    }

    /// What a service answers: the element that is called as the request is, with "Response".
    ///
    /// # Errors
    /// It can't be reached, refuses the login, or answers something else.
    pub(super) fn call(&self, service: &Url, request: &Request<'_>) -> Result<Element, OnvifError> {
        let refused = |why: String| OnvifError::Refused { request: request.name, why };
        if service.scheme() != "http" {
            let why =
                format!("its service is at {}://, and only http:// is spoken", service.scheme());
            return Err(refused(why));
        }
        let envelope = self.envelope(request);
        let mut reply = self.post(service, request, &envelope, None)?;
        if reply.status == StatusCode::UNAUTHORIZED
            && let Some(answer) = self.answered(service, &envelope, &reply.headers)?
        {
            reply = self.post(service, request, &envelope, Some(&answer))?;
        }
        let denied = |why: String| OnvifError::Denied { why };
        let parsed = Element::parse(&reply.body);
        let body = parsed.as_ref().ok().and_then(|envelope| envelope.child("Body"));
        if let Some(fault) = body.and_then(|body| body.child("Fault")) {
            let why = reason_of(fault);
            let is_denied = is_denial(fault, &why);
            return Err(if is_denied { denied(why) } else { refused(why) });
        }
        if matches!(reply.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return Err(denied(format!("the login is refused ({})", reply.status)));
        }
        if !reply.status.is_success() {
            return Err(refused(format!("answers {}", reply.status)));
        }
        let wanted = format!("{}Response", request.name);
        let mut envelope = parsed.map_err(refused)?;
        let answer = envelope
            .children
            .iter_mut()
            .find(|child| child.name == "Body")
            .and_then(|body| body.children.iter_mut().find(|child| child.name == wanted));
        answer.map(std::mem::take).ok_or_else(|| refused("answers something else".to_owned()))
    }

    fn envelope(&self, request: &Request<'_>) -> String {
        let Request { name, space, content } = request;
        let security = self.login.map(|login| self.security(login)).unwrap_or_default();
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><s:Envelope xmlns:s=\"{ENVELOPE}\">\
             <s:Header>{security}</s:Header><s:Body><{name} xmlns=\"{space}\">{content}</{name}>\
             </s:Body></s:Envelope>"
        )
    }

    /// Who asks, in a form that tells no listener the password, and of no use a second time
    /// (WS-Security UsernameToken Profile 1.0, 3.1).
    fn security(&self, login: &Login) -> String {
        let nonce = *uuid::Uuid::new_v4().as_bytes();
        let created = now().checked_add_signed(self.ahead).unwrap_or_else(now);
        let created = created.to_rfc3339_opts(SecondsFormat::Secs, true);
        let digest = digest(&nonce, &created, &login.password);
        let (nonce, username) = (STANDARD.encode(nonce), escaped(&login.username));
        format!(
            "<Security s:mustUnderstand=\"1\" xmlns=\"{SECURITY}\"><UsernameToken>\
             <Username>{username}</Username><Password Type=\"{DIGEST}\">{digest}</Password>\
             <Nonce>{nonce}</Nonce><Created xmlns=\"{UTILITY}\">{created}</Created>\
             </UsernameToken></Security>"
        )
    }

    fn post(
        &self,
        service: &Url,
        request: &Request<'_>,
        envelope: &str,
        authorization: Option<&str>,
    ) -> Result<Reply, OnvifError> {
        let action = format!("{}/{}", request.space, request.name);
        let kind = format!("application/soap+xml; charset=utf-8; action=\"{action}\"");
        let mut post = self.agent.post(service.as_str()).header("Content-Type", kind);
        if let Some(authorization) = authorization {
            post = post.header("Authorization", authorization);
        }
        let unreachable = |error: ureq::Error| OnvifError::Unreachable {
            host: service.host_str().unwrap_or_default().to_owned(),
            port: service.port_or_known_default().unwrap_or_default(),
            why: match error {
                ureq::Error::Io(error) => error.to_string(),
                other => other.to_string(),
            },
        };
        let mut reply = post.send(envelope).map_err(unreachable)?;
        let (status, headers) = (reply.status(), reply.headers().clone());
        let body = reply.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        let body = body.map_err(|error| OnvifError::Refused {
            request: request.name,
            why: format!("its answer can't be read: {error}"),
        })?;
        Ok(Reply { status, headers, body })
    }

    /// What a challenge of HTTP is answered with (RFC 7616); `None` where nothing is asked.
    fn answered(
        &self,
        service: &Url,
        envelope: &str,
        headers: &HeaderMap,
    ) -> Result<Option<String>, OnvifError> {
        let challenges: Vec<&str> =
            headers.get_all("WWW-Authenticate").iter().filter_map(|it| it.to_str().ok()).collect();
        if challenges.is_empty() {
            return Ok(None);
        }
        let denied = |why: String| OnvifError::Denied { why };
        let login = self
            .login
            .ok_or_else(|| denied("the camera asks for a user, and none is set".to_owned()))?;
        let client = challenges
            .into_iter()
            .fold(PasswordClient::builder(), |builder, challenge| builder.challenges(challenge))
            .build();
        let answered = client.and_then(|mut client| {
            if matches!(client, PasswordClient::Basic(_)) && !login.is_told_plainly {
                return Err(PLAIN.to_owned());
            }
            client.respond(&PasswordParams {
                username: &login.username,
                password: &login.password,
                uri: &service[Position::BeforePath..Position::AfterQuery],
                method: "POST",
                body: Some(envelope.as_bytes()),
            })
        });
        answered.map(Some).map_err(|why| denied(format!("its challenge can't be answered: {why}")))
    }
}

/// Whether a fault means that the login is wrong or missing: by its code, or, where devices leave
/// that out, by its words.
fn is_denial(fault: &Element, why: &str) -> bool {
    let code = fault.child("Code").or(fault.child("faultcode"));
    let has_code = code.is_some_and(|code| {
        let values = [Some(code), code.at(&["Subcode", "Value"])];
        let mut said = values.into_iter().flatten().map(|value| value.text.as_str());
        said.any(|said| DENIALS.iter().any(|denial| said.ends_with(denial)))
    });
    let why = why.to_lowercase();
    has_code || DENIAL_WORDS.iter().any(|words| why.contains(words))
}

/// Why a request was refused, as the camera says it.
fn reason_of(fault: &Element) -> String {
    let said = [fault.text_at(&["Reason", "Text"]), fault.text_at(&["faultstring"])];
    said.into_iter().flatten().next().unwrap_or("it says no reason").to_owned()
}

fn digest(nonce: &[u8], created: &str, password: &str) -> String {
    let hash = Sha1::new().chain_update(nonce).chain_update(created).chain_update(password);
    STANDARD.encode(hash.finalize())
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_nanos(SystemClock::new().read().wall.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_that_of_the_specification_s_example() {
        // ONVIF Application Programmer's Guide 1.0, 6.1.1.3.
        let nonce = STANDARD.decode("LKqI6G/AikKCQrN0zqZFlg==").unwrap();
        let digest = digest(&nonce, "2010-09-16T07:50:45Z", "userpassword");
        assert_eq!(digest, "tuOSpGlFlIXsozq4HFNeeGeFLEI=");
    }

    #[test]
    fn a_refused_login_is_told_from_other_faults() {
        let denied = |text: &str| {
            let fault = Element::parse(text.as_bytes()).unwrap();
            is_denial(&fault, &reason_of(&fault))
        };
        let second = |code: &str, why: &str| {
            format!(
                "<Fault><Code><Value>s:Sender</Value><Subcode><Value>{code}</Value></Subcode>\
                 </Code><Reason><Text>{why}</Text></Reason></Fault>"
            )
        };
        assert!(denied(&second("ter:NotAuthorized", "no")));
        assert!(denied("<Fault><faultcode>wsse:FailedAuthentication</faultcode></Fault>"));
        assert!(denied(&second("", "Sender not Authorized")));
        assert!(!denied(&second("ter:InvalidArgVal", "no such profile")));
        assert!(!denied("<Fault/>"));
    }

    #[test]
    fn a_name_is_escaped_and_a_password_not_sent() {
        let (username, password) = ("a<b".to_owned(), "geheim".to_owned());
        let login = Login { username, password, is_told_plainly: true };
        let request = Request { name: "GetProfiles", space: "urn:x", content: "" };
        let envelope = Caller::new(Some(&login)).envelope(&request);
        assert!(envelope.contains("<Username>a&lt;b</Username>") && !envelope.contains("geheim"));
        let parsed = Element::parse(envelope.as_bytes()).unwrap();
        assert!(parsed.at(&["Body", "GetProfiles"]).is_some());
        let open = Caller::new(None).envelope(&request);
        assert!(!open.contains("Username"));
    }
}
