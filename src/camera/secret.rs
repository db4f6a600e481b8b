//! Passwords in addresses, and in what repeats them: hidden before a text is shown. Pure.

/// What a value is a secret of that is named so, or so behind a `_` or `-`.
const SECRETS: [&str; 17] = [
    "password",
    "passwd",
    "passwort",
    "passphrase",
    "pass",
    "pwd",
    "psw",
    "pw",
    "secret",
    "token",
    "key",
    "apikey",
    "auth",
    "authorization",
    "sig",
    "signature",
    "session",
];
/// What stands for a secret.
const HIDDEN: &str = "…";

/// The text without the values of such names, and without the password of any URL in it.
pub(super) fn hidden(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['=', '@']) {
        let (before, behind) = (&rest[..at], &rest[at + 1..]);
        if rest.as_bytes()[at] == b'@' {
            shown.push_str(without_password(before));
            shown.push('@');
            rest = behind;
            continue;
        }
        shown.push_str(before);
        shown.push('=');
        rest = behind;
        if is_secret(before) {
            let quote = rest.len() - rest.trim_start_matches('"').len();
            shown.push_str(&rest[..quote]);
            rest = &rest[quote..];
            let is_query =
                shown.rfind(['?', ' ', '"']).is_some_and(|at| shown[at..].starts_with('?'));
            let value = &rest[..value_end(rest, is_query)];
            shown.push_str(if value.is_empty() { "" } else { HIDDEN });
            rest = &rest[value.len()..];
        }
    }
    shown + rest
}

/// Of `scheme://user:password` what may be shown.
fn without_password(before: &str) -> &str {
    let Some(user) = before.rfind("://").map(|at| at + 3) else { return before };
    let credentials = &before[user..];
    if credentials.contains(['/', '?', '#']) || credentials.contains(char::is_whitespace) {
        return before;
    }
    credentials.find(':').map_or(before, |colon| &before[..user + colon])
}

fn is_secret(before: &str) -> bool {
    let is_name = |c: char| c.is_ascii_alphanumeric();
    let start = before.rfind(|c| !is_name(c)).map_or(0, |at| at + 1);
    let name = before.get(start..).unwrap_or_default().to_ascii_lowercase();
    SECRETS.contains(&name.as_str())
}

/// Where a value ends: at what separates values in a query, or, in a path, also at a `/` or, as
/// some cameras have it, at a `_` with another name behind it.
fn value_end(rest: &str, is_query: bool) -> usize {
    let ends = |(at, c): (usize, char)| match c {
        '/' | '?' | '#' | ';' | '_' if is_query => false,
        '&' | ';' | '/' | '?' | '#' | '"' | '\'' | '<' | '>' => true,
        '_' => {
            let name = rest[at + 1..].find(|c: char| !c.is_ascii_alphanumeric());
            name.is_some_and(|end| end > 0 && rest[at + 1 + end..].starts_with('='))
        }
        c => c.is_whitespace(),
    };
    rest.char_indices().find(|at| ends(*at)).map_or(rest.len(), |(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_secrets_are_hidden_wherever_they_stand() {
        for (text, shown) in [
            ("rtsp://h/11?user=admin&pwd=geheim&x=1", "rtsp://h/11?user=admin&pwd=…&x=1"),
            (
                "rtsp://h/user=admin_password=ge_heim_channel=1_stream=0.sdp",
                "rtsp://h/user=admin_password=…_channel=1_stream=0.sdp",
            ),
            ("GET /?Password=a%20b failed: no key", "GET /?Password=… failed: no key"),
            ("access_token=\"abc\"; path=/", "access_token=\"…\"; path=/"),
            ("rtsp://viewer:ge:heim@h:554/a", "rtsp://viewer@h:554/a"),
            ("at rtsp://viewer@h/a and a@b", "at rtsp://viewer@h/a and a@b"),
            ("user=admin&password=", "user=admin&password="),
            ("rtsp://h/?pwd=ge/hei#m_a=b&x=1", "rtsp://h/?pwd=…&x=1"),
            ("keyframe=1&monkey=2", "keyframe=1&monkey=2"),
        ] {
            assert_eq!(hidden(text), shown);
        }
    }

    #[test]
    fn a_text_without_secrets_is_as_it_was() {
        for text in ["", "=", "@", "401 Unauthorized", "rtsp://[::1]:8554/Streaming/101?a=b"] {
            assert_eq!(hidden(text), text);
        }
    }
}
