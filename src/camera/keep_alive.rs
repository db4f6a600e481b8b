//! Keeping a session alive: with a request now and then that the camera grants (RFC 2326, 10.8).

use std::time::Duration;

use super::dialogue::Dialogue;
use super::error::CameraError;
use super::message::Answer;
use crate::clock::Deadline;

/// What is tried, in that order, unless the camera says what it has.
const METHODS: [&str; 3] = ["OPTIONS", "GET_PARAMETER", "SET_PARAMETER"];
/// Between two requests at most.
const INTERVAL_MAX: Duration = Duration::from_secs(30);
const INTERVAL_MIN: Duration = Duration::from_secs(1);
/// "Session Not Found" (RFC 2326, 11.3.6).
const NO_SESSION: u16 = 454;

/// Requests of one session.
pub(super) struct KeepAlive {
    methods: Vec<&'static str>,
    interval: Duration,
    due: Deadline,
    is_waiting: bool,
}

/// What an answer means for the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alive {
    /// It lives on.
    Yes,
    /// Nothing keeps it alive beyond its time.
    NoLonger,
    /// It is no more, although packets may still come.
    Gone,
}

impl KeepAlive {
    /// For a session with such a time-out, of a camera that has these methods.
    pub(super) fn new(timeout: Duration, methods: &[String]) -> KeepAlive {
        let has = |method: &str| methods.iter().any(|has| has == method);
        let mut order = METHODS.to_vec();
        if !methods.is_empty() {
            // What it names comes first; of these, what is made for it.
            order.sort_by_key(|method| (!has(method), *method != "GET_PARAMETER"));
        }
        // Removed from the end.
        order.reverse();
        let interval = (timeout / 2).clamp(INTERVAL_MIN, INTERVAL_MAX);
        let due = Deadline::after(interval);
        KeepAlive { methods: order, interval, due, is_waiting: false }
    }

    /// Until the next request.
    pub(super) fn left(&self) -> Duration {
        if self.methods.is_empty() { INTERVAL_MAX } else { self.due.left() }
    }

    /// Sends what is due.
    ///
    /// # Errors
    /// If the camera takes nothing.
    pub(super) fn tick(&mut self, dialogue: &mut Dialogue) -> Result<(), CameraError> {
        if self.due.is_over() { self.ask(dialogue) } else { Ok(()) }
    }

    /// Asks before it is due.
    ///
    /// # Errors
    /// If the camera takes nothing.
    pub(super) fn ask(&mut self, dialogue: &mut Dialogue) -> Result<(), CameraError> {
        self.due = Deadline::after(self.interval);
        if let Some(method) = self.methods.last() {
            dialogue.ask_for_more_time(method)?;
            self.is_waiting = true;
        }
        Ok(())
    }

    /// Takes an answer, and asks in another way where it was refused.
    ///
    /// # Errors
    /// If the camera takes nothing.
    pub(super) fn answered(
        &mut self,
        answer: &Answer,
        dialogue: &mut Dialogue,
    ) -> Result<Alive, CameraError> {
        if !std::mem::take(&mut self.is_waiting) {
            return Ok(Alive::Yes);
        }
        match answer.status {
            100..200 => self.is_waiting = true,
            200..300 => dialogue.was_granted(),
            NO_SESSION => return Ok(Alive::Gone),
            // What the login was refused for is no matter of the method.
            401 => match dialogue.log_in(&answer.headers) {
                Ok(true) => self.ask(dialogue)?,
                Ok(false) | Err(_) => {
                    self.methods.clear();
                    return Ok(Alive::NoLonger);
                }
            },
            _ => {
                self.methods.pop();
                if self.methods.is_empty() {
                    return Ok(Alive::NoLonger);
                }
                self.ask(dialogue)?;
            }
        }
        Ok(Alive::Yes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_camera_names_is_tried_first() {
        let order = |methods: &[&str]| {
            let methods: Vec<String> = methods.iter().map(|it| (*it).to_owned()).collect();
            let mut order = KeepAlive::new(Duration::from_secs(60), &methods).methods;
            order.reverse();
            order
        };
        assert_eq!(order(&[]), METHODS);
        assert_eq!(order(&["PLAY", "GET_PARAMETER", "OPTIONS"])[0], "GET_PARAMETER");
        assert_eq!(order(&["PLAY", "OPTIONS"])[0], "OPTIONS");
        assert_eq!(order(&["PLAY", "SET_PARAMETER"])[0], "SET_PARAMETER");
        assert_eq!(order(&["PLAY"]).len(), 3);
    }

    #[test]
    fn it_is_asked_twice_within_the_time_out() {
        let interval = |seconds| KeepAlive::new(Duration::from_secs(seconds), &[]).interval;
        assert_eq!(interval(60), Duration::from_secs(30));
        assert_eq!(interval(10), Duration::from_secs(5));
        assert_eq!(interval(1), INTERVAL_MIN);
        assert_eq!(interval(3600), INTERVAL_MAX);
    }
}
