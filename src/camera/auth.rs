//! Logging in: challenges of a camera, and answers to them (RFC 7616, RFC 7617).

use http_auth::{PasswordClient, PasswordParams};

use super::Camera;
use super::error::{CameraError, one_line};
use super::message::Headers;

/// What a camera asked for, and what it is told with each request from then on.
#[derive(Default)]
pub(super) struct Login {
    client: Option<PasswordClient>,
}

impl Login {
    /// Takes a refusal's challenges. Of several that one counts that says the least to who listens.
    ///
    /// # Errors
    /// If there are no credentials for this camera, or none of the challenges can be answered.
    pub(super) fn take(&mut self, camera: &Camera, headers: &Headers) -> Result<(), CameraError> {
        let failed = |why: String| CameraError::Authentication { why };
        if let Err(why) = &camera.password {
            return Err(failed(why.clone()));
        }
        if camera.username.is_none() {
            return Err(failed("the camera asks for a user, and none is set".to_owned()));
        }
        let builder = headers
            .all("www-authenticate")
            .fold(PasswordClient::builder(), |builder, value| builder.challenges(&mended(value)));
        let client = builder.build().map_err(|why| {
            failed(one_line(&format!("the camera's challenge can't be answered: {why}")))
        })?;
        self.client = Some(client);
        Ok(())
    }

    /// What a request says of it; `None` where the camera has not asked.
    ///
    /// # Errors
    /// If the user's name can't be told.
    pub(super) fn header(
        &mut self,
        camera: &Camera,
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

    fn camera() -> Camera {
        Camera::new("door", "rtsp://viewer:secret@h/", None, None).unwrap()
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
            login.take(&camera(), &headers(lines)).expect(lines);
            let header = login.header(&camera(), "PLAY", "rtsp://h/").unwrap().unwrap();
            assert!(header.starts_with(scheme), "{lines}: {header}");
            assert!(!header.contains("secret"));
        }
    }

    #[test]
    fn what_cannot_be_answered_is_said() {
        let refused = |camera: &Camera, lines: &str| {
            let refused = Login::default().take(camera, &headers(lines));
            refused.unwrap_err().to_string()
        };
        let nobody = Camera::new("door", "rtsp://h/", None, None).unwrap();
        let told = refused(&nobody, "WWW-Authenticate: Basic realm=\"x\"");
        assert_eq!(told, "authentication failed: the camera asks for a user, and none is set");
        assert!(refused(&camera(), "X: y").contains("can't be answered"));
        assert!(refused(&camera(), "WWW-Authenticate: NTLM").contains("can't be answered"));
        assert!(Login::default().header(&camera(), "PLAY", "rtsp://h/").unwrap().is_none());
    }
}
