//! Sessions that a camera may still hold for us, by host.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use retina::client::SessionGroup;

/// How long a new connection waits for old sessions to end: old live555 servers keep one for 65 s
/// and send its packets into whatever connection gets the same file descriptor.
const STALE_SESSIONS_WAIT: Duration = Duration::from_secs(70);

/// How long the end of a session is waited for when recording stops: one round trip in a network
/// that works; a camera that is gone ends it by itself.
const TEARDOWN_WAIT: Duration = Duration::from_secs(1);

/// Sessions by camera host: cameras of one host share the sessions that its old connections left.
#[derive(Default)]
pub struct Hosts {
    /// One entry for each host of the configuration.
    groups: Mutex<HashMap<String, Arc<SessionGroup>>>,
}

impl Hosts {
    pub(super) fn group(&self, host: &str) -> Arc<SessionGroup> {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(SessionGroup::default().named(host.to_string()));
        Arc::clone(groups.entry(host.to_string()).or_insert_with(new))
    }
}

/// Waits until no old session of the host may play any more, or long enough.
pub(super) async fn wait_for_stale(group: &SessionGroup) {
    let status = group.stale_sessions();
    if status.num_sessions > 0 {
        let waited = group.await_stale_sessions(&status);
        if tokio::time::timeout(STALE_SESSIONS_WAIT, waited).await.is_err() {
            log::debug!("{} old sessions did not end", status.num_sessions);
        }
    }
}

/// Gives the requests that end sessions a moment to be sent.
pub(super) async fn wait_for_teardown(group: &SessionGroup) {
    match tokio::time::timeout(TEARDOWN_WAIT, group.await_teardown()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => log::debug!("ending a session: {error}"),
        Err(_) => log::debug!("ending a session took more than {TEARDOWN_WAIT:?}"),
    }
}
