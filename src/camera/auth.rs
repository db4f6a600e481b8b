//! Logging in: challenges of a camera, and answers to them (RFC 7616, RFC 7617).

use http_auth::{PasswordClient, PasswordParams};

use super::endpoint::Endpoint;
use super::error::{CameraError, one_line};
use super::message::Headers;

/// What a camera asked for, and what it is told with each request from then on.
#[derive(Default)]
pub(super) struct Login {
    client: Option<PasswordClient>,
    /// What was asked for last.
    asked: Vec<String>,
    /// Refusals in a row of what was answered, stale ones aside.
    refused: u32,
}

/// A nonce may be old without being called stale; another refusal is one.
const REFUSED_MAX: u32 = 1;

impl Login {
    /// Takes a refusal's challenges. Of several that one counts that says the least to who listens.
    /// Answers whether they are worth an answer: what was answered already, and refused, is not,
    /// nor is another one behind it.
    ///
    /// # Errors
    /// If there are no credentials for this camera, or none of the challenges can be answered.
    pub(super) fn take(
        &mut self,
        camera: &Endpoint,
        headers: &Headers,
    ) -> Result<bool, CameraError> {
        let failed = |why: String| CameraError::Authentication { why };
        if let Err(why) = &camera.password {
            return Err(failed(why.clone()));
        }
        if camera.username.is_none() {
            return Err(failed("the camera asks for a user, and none is set".to_owned()));
        }
        let asked: Vec<String> = headers.all("www-authenticate").map(mended).collect();
        let is_stale = asked.iter().any(|challenge| is_stale(challenge));
        if self.client.is_some() && !is_stale {
            self.refused += 1;
            if asked == self.asked || self.refused > REFUSED_MAX {
                return Ok(false);
            }
        }
        let builder = asked
            .iter()
            .fold(PasswordClient::builder(), |builder, challenge| builder.challenges(challenge));
        let client = builder.build().map_err(|why| {
            failed(one_line(&format!("the camera's challenge can't be answered: {why}")))
        })?;
        if matches!(client, PasswordClient::Basic(_)) && !camera.is_told_plainly {
            let why = "it wants the password as it is (Basic), which none is told that was found \
                       by a search: name the address of its stream";
            return Err(failed(why.to_owned()));
        }
        (self.client, self.asked) = (Some(client), asked);
        Ok(true)
    }

    /// How the camera asks who it is; empty where it does not.
    pub(super) fn scheme(&self) -> &'static str {
        match self.client {
            None => "",
            Some(PasswordClient::Basic(_)) => "Basic",
            Some(_) => "Digest",
        }
    }

    /// What was told was taken.
    pub(super) fn taken(&mut self) {
        self.refused = 0;
    }

    /// What a request says of it; `None` where the camera has not asked.
    ///
    /// # Errors
    /// If the user's name can't be told.
    pub(super) fn header(
        &mut self,
        camera: &Endpoint,
        method: &str,
        url: &str,
    ) -> Result<Option<String>, CameraError> {
        let (Some(client), Some(username)) = (&mut self.client, &camera.username) else {
            return Ok(None);
        };
        let password = camera.password.as_deref().unwrap_or_default();
        let params = PasswordParams { username, password, uri: url, method, body: Some(&[]) };
        let header = client.respond(&params);
        header.map(Some).map_err(|why| CameraError::Authentication { why: one_line(&why) })
    }
}

/// Whether a challenge says that what it refuses was right, but old (RFC 7616, 3.3).
fn is_stale(challenge: &str) -> bool {
    let plain: String = challenge.chars().filter(|it| !" \"".contains(*it)).collect();
    plain.to_ascii_lowercase().contains("stale=true")
}

/// A challenge as its reader wants it: cameras end theirs with a comma, or part it by semicolons.
fn mended(value: &str) -> String {
    let mut is_quoted = false;
    let letter = |letter: char| {
        is_quoted ^= letter == '"';
        if letter == ';' && !is_quoted { ',' } else { letter }
    };
    let mended: String = value.trim().chars().map(letter).collect();
    mended.trim_end_matches([',', ' ']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::message::{Item, Reader};
    use super::*;

    fn headers(lines: &str) -> Headers {
        let text = format!("RTSP/1.0 401 Unauthorized\r\n{lines}\r\n\r\n");
        let mut reader = Reader::new();
        reader.room()[..text.len()].copy_from_slice(text.as_bytes());
        reader.filled(text.len());
        match reader.next() {
            Ok(Some(Item::Answer(answer))) => answer.headers,
            other => panic!("{other:?}"),
        }
    }

    fn camera() -> Endpoint {
        Endpoint::new("door", "rtsp://viewer:secret@h/", None, None).unwrap()
    }

    #[test]
    fn who_was_found_by_a_search_is_told_no_password_as_it_is() {
        let mut camera = camera();
        camera.is_told_plainly = false;
        let basic = headers("WWW-Authenticate: Basic realm=\"x\"");
        let error = Login::default().take(&camera, &basic).unwrap_err();
        assert!(error.to_string().contains("(Basic)"), "{error}");
        let digest = headers("WWW-Authenticate: Digest realm=\"x\", nonce=\"1\"");
        assert_eq!(Login::default().take(&camera, &digest), Ok(true));
    }

    #[test]
    fn challenges_in_any_order_are_answered_and_digest_wins() {
        for (lines, scheme) in [
            ("WWW-Authenticate: Basic realm=\"x\"", "Basic "),
            ("WWW-Authenticate: Digest realm=\"x\", nonce=\"1\"", "Digest "),
            ("WWW-Authenticate: Digest realm=\"x\",nonce=\"1\",", "Digest "),
            ("WWW-Authenticate: Digest realm=\"x;y\"; nonce=\"1\"", "Digest "),
            (
                "WWW-Authenticate: Basic realm=\"x\"\r\nWWW-Authenticate: Digest realm=\"x\", \
                 nonce=\"1\", qop=\"auth\", algorithm=SHA-256",
                "Digest ",
            ),
            ("WWW-Authenticate: Digest realm=\"x\", nonce=\"1\", algorithm=MD5", "Digest "),
        ] {
            let mut login = Login::default();
            assert!(login.take(&camera(), &headers(lines)).expect(lines));
            let header = login.header(&camera(), "PLAY", "rtsp://h/").unwrap().unwrap();
            assert!(header.starts_with(scheme), "{lines}: {header}");
            assert!(!header.contains("secret"));
        }
    }

    #[test]
    fn a_refusal_is_answered_once_unless_it_is_one_of_age() {
        let ask = |nonce: &str| format!("WWW-Authenticate: Digest realm=\"x\", nonce=\"{nonce}\"");
        let taken =
            |login: &mut Login, lines: &str| login.take(&camera(), &headers(lines)).unwrap();
        let mut login = Login::default();
        assert!(taken(&mut login, &ask("1")));
        assert!(!taken(&mut login, &ask("1")), "the same was refused");
        let mut login = Login::default();
        assert!(taken(&mut login, &ask("1")));
        assert!(taken(&mut login, &ask("2")), "the first may have been old");
        assert!(!taken(&mut login, &ask("3")));
        assert!(taken(&mut login, &(ask("4") + ", stale=\"TRUE\"")));
        login.taken();
        assert!(taken(&mut login, &ask("5")));
    }

    #[test]
    fn what_cannot_be_answered_is_said() {
        let refused = |camera: &Endpoint, lines: &str| {
            let refused = Login::default().take(camera, &headers(lines));
            refused.unwrap_err().to_string()
        };
        let nobody = Endpoint::new("door", "rtsp://h/", None, None).unwrap();
        let told = refused(&nobody, "WWW-Authenticate: Basic realm=\"x\"");
        assert_eq!(told, "authentication failed: the camera asks for a user, and none is set");
        assert!(refused(&camera(), "X: y").contains("can't be answered"));
        assert!(refused(&camera(), "WWW-Authenticate: NTLM").contains("can't be answered"));
        assert!(Login::default().header(&camera(), "PLAY", "rtsp://h/").unwrap().is_none());
    }
}
