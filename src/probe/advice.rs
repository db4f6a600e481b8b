//! What is to be said of a camera that was listened to. Pure.

use std::time::Duration;

use super::Heard;
use crate::camera::{A_PIPE, Transport, UDP};

/// Groups that are longer than this are worth a word: clips begin with a key frame, and damage
/// lasts to the next one.
const GROUP_MAX: Duration = Duration::from_secs(5);
/// Pictures that come so much later than others are.
const JITTER_MAX: Duration = Duration::from_millis(500);

/// Sentences for whoever sets the camera up; none where all is well.
#[must_use]
pub fn advice(heard: &Heard) -> Vec<String> {
    let mut said = Vec::new();
    match (heard.group(), &heard.no_beginning) {
        (Some(group), _) if group > GROUP_MAX => said.push(format!(
            "a key frame each {:.1} s is rare: clips begin with one, and what a lost packet \
             damages lasts to the next; set the camera to one each second or two",
            group.as_secs_f64()
        )),
        (None, Some(why)) => said.push(format!("no key frame came: {why}")),
        (None, None) => said.push(
            "one key frame came at most: set the camera to one each second or two".to_owned(),
        ),
        _ => {}
    }
    if heard.lost_packets > 0 {
        let over = match heard.facts.transport {
            A_PIPE => ": the program left them out, or was too slow",
            UDP => "; over TCP the network sends them again: transport = \"tcp\"",
            _ => ": the camera drops them itself; a lower bit rate helps",
        };
        said.push(format!("{} packets did not arrive{over}", heard.lost_packets));
    }
    if !heard.facts.has_sender_reports && heard.facts.transport != A_PIPE {
        said.push(
            "no sane sender reports came: times are those of arrival, as late as the network is"
                .to_owned(),
        );
    }
    if heard.jitter() > JITTER_MAX {
        let millis = heard.jitter().as_millis();
        said.push(format!("pictures come up to {millis} ms later than others: the network waits"));
    }
    said
}

/// How packets had better come; `None` where they may come as they did.
#[must_use]
pub fn better_transport(heard: &Heard) -> Option<Transport> {
    let is_lossy = heard.lost_packets > 0 && heard.facts.transport == UDP;
    is_lossy.then_some(Transport::Tcp)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(group_seconds: i64) -> Heard {
        let mut heard = Heard::default();
        heard.facts.has_sender_reports = true;
        heard.keys.add(0, 1);
        heard.keys.add(group_seconds * 1_000_000_000, 1);
        heard
    }

    #[test]
    fn nothing_is_said_where_all_is_well_and_each_fault_by_its_name() {
        assert_eq!(advice(&heard(2)), [] as [&str; 0]);
        let rare = advice(&heard(10));
        assert!(rare[0].starts_with("a key frame each 10.0 s is rare"), "{rare:?}");
        let mut lossy = heard(1);
        (lossy.lost_packets, lossy.facts.transport) = (3, "UDP");
        assert!(advice(&lossy)[0].ends_with("transport = \"tcp\""));
        assert_eq!(better_transport(&lossy), Some(Transport::Tcp));
        assert_eq!(better_transport(&heard(1)), None);
        lossy.facts.has_sender_reports = false;
        assert!(advice(&lossy)[1].contains("no sane sender reports"));
        lossy.facts.transport = A_PIPE;
        let said = advice(&lossy);
        assert!(said.len() == 1 && said[0].contains("the program left them out"), "{said:?}");
        assert!(advice(&Heard::default())[0].contains("one key frame came at most"));
    }
}
