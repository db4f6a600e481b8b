//! Who may watch: Basic and Digest (RFC 7617, RFC 7616), judged by the tools of the system.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::request::Request;
use super::session::base64;

/// The one who may.
pub const USER: &str = "viewer";
/// And the password.
pub const PASSWORD: &str = "s3:cret";
const REALM: &str = "camera";

/// How a camera asks for a login.
#[derive(Clone, Copy)]
pub enum Login {
    Basic,
    Digest {
        /// `MD5` or `SHA-256`; empty where it is not told.
        algorithm: &'static str,
        /// With `qop="auth"`.
        has_qop: bool,
        /// A nonce is good for so long.
        nonce_age_max: Duration,
        /// Says that it was only the nonce that was wrong.
        says_stale: bool,
    },
}

/// The nonce of the moment.
#[derive(Default)]
pub(super) struct Nonces(Mutex<(u64, Option<Instant>)>);

impl Nonces {
    fn current(&self, age_max: Duration) -> String {
        let mut nonces = self.0.lock().expect("nobody died");
        if nonces.1.is_none_or(|made| made.elapsed() > age_max) {
            *nonces = (nonces.0 + 1, Some(Instant::now()));
        }
        format!("nonce{}", nonces.0)
    }
}

impl Login {
    /// Whether a request may pass; the header that asks for a login where it may not.
    pub(super) fn admit(&self, request: &Request, nonces: &Nonces) -> Result<(), String> {
        let told = request.header("authorization");
        match self {
            Login::Basic => {
                let wanted = base64(format!("{USER}:{PASSWORD}").as_bytes());
                let is_right = told.strip_prefix("Basic ") == Some(&wanted);
                is_right.then_some(()).ok_or(format!("Basic realm=\"{REALM}\""))
            }
            Login::Digest { algorithm, has_qop, nonce_age_max, says_stale } => {
                let nonce = nonces.current(*nonce_age_max);
                let is_right = is_digest(told, algorithm, *has_qop, &request.method);
                if is_right && field(told, "nonce") == nonce {
                    return Ok(());
                }
                let mut asked = format!("Digest realm=\"{REALM}\", nonce=\"{nonce}\"");
                if !algorithm.is_empty() {
                    asked += &format!(", algorithm={algorithm}");
                }
                if *has_qop {
                    asked += ", qop=\"auth\"";
                }
                if is_right && *says_stale {
                    asked += ", stale=true";
                }
                Err(asked)
            }
        }
    }
}

/// Whether this is what the right password comes to, whatever the nonce.
fn is_digest(told: &str, algorithm: &str, has_qop: bool, method: &str) -> bool {
    if !told.starts_with("Digest ") || field(told, "realm") != REALM {
        return false;
    }
    let hash = |text: String| hashed(algorithm, &text);
    let who = hash(format!("{USER}:{REALM}:{PASSWORD}"));
    let what = hash(format!("{method}:{}", field(told, "uri")));
    let nonce = match has_qop {
        true => {
            let counted = ["nonce", "nc", "cnonce", "qop"].map(|name| field(told, name));
            counted.join(":")
        }
        false => field(told, "nonce").to_owned(),
    };
    field(told, "username") == USER
        && field(told, "response") == hash(format!("{who}:{nonce}:{what}"))
}

/// A field of the header; empty where it is not there.
fn field<'a>(told: &'a str, name: &str) -> &'a str {
    let fields = told.trim_start_matches("Digest").split(',');
    let mut found = fields.filter_map(|field| field.trim().split_once('='));
    found.find(|(key, _)| *key == name).map_or("", |(_, value)| value.trim_matches('"'))
}

fn hashed(algorithm: &str, text: &str) -> String {
    let tool = if algorithm == "SHA-256" { "sha256sum" } else { "md5sum" };
    let mut command = Command::new(tool);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("coreutils");
    child.stdin.take().expect("its input").write_all(text.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends").stdout;
    let words = String::from_utf8(output).expect("text");
    words.split(' ').next().unwrap_or_default().to_owned()
}
