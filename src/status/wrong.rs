//! What is wrong at present, in a line each: what a health check goes by.

use super::{CameraStatus, DeviceStatus, Status};

impl Status {
    /// What keeps footage from being recorded, or from expiring, now. What is over is not in it:
    /// errors that were counted, places that are damaged.
    #[must_use]
    pub fn troubles(&self) -> Vec<String> {
        if self.uptime_seconds.is_none() {
            let reason = match self.running {
                true => "the daemon does not answer",
                false => "no daemon runs",
            };
            return vec![reason.to_owned()];
        }
        let cameras = self.cameras.iter().filter_map(camera_trouble);
        let expiry = self.expiry_suspended.iter().map(|why| format!("nothing expires: {why}"));
        let clock = self.footage_ahead.clone();
        let held = self.cameras.iter().filter(|camera| camera.held_bytes > 0).map(|camera| {
            let (name, held) = (&camera.name, camera.held_bytes >> 20);
            format!("{name}: {held} MiB would go at once, and are held: reelfs expire --dry-run")
        });
        let refused = self.settings.iter().filter_map(|settings| settings.refused.as_ref());
        let settings = refused.map(|why| format!("the settings are the former ones: {why}"));
        let gone = self.views.iter().filter(|view| !view.mounted);
        let views = gone.map(|view| format!("{}: nothing is mounted there", view.mount));
        let device = device_trouble(&self.device).into_iter();
        device
            .chain(views)
            .chain(settings)
            .chain(expiry)
            .chain(held)
            .chain(clock)
            .chain(cameras)
            .collect()
    }
}

fn device_trouble(device: &DeviceStatus) -> Option<String> {
    let state = match device.state.as_str() {
        "present" => return None,
        "failing" => "takes no flush".to_owned(),
        "stalled" => "does not answer".to_owned(),
        other => format!("is {other}"),
    };
    let reason = device.refused.as_ref().or(device.unwritable.as_ref());
    let refused = reason.map_or(String::new(), |why| format!(" ({why})"));
    Some(format!("the device {state}{refused}"))
}

fn camera_trouble(camera: &CameraStatus) -> Option<String> {
    let CameraStatus { name, state, reason, .. } = camera;
    match (state.as_str(), reason) {
        ("recording" | "removed" | "disabled" | "off", _) => None,
        (_, Some(reason)) => Some(format!("{name} is not recorded: {reason}")),
        (state, None) => Some(format!("{name} is not recorded: {state}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::ViewStatus;

    fn running(cameras: &[(&str, Option<&str>)]) -> Status {
        let camera = |(state, reason): &(&str, Option<&str>)| CameraStatus {
            name: "yard".into(),
            state: (*state).into(),
            reason: reason.map(str::to_owned),
            ..CameraStatus::default()
        };
        Status {
            running: true,
            uptime_seconds: Some(9),
            device: DeviceStatus { state: "present".into(), ..DeviceStatus::default() },
            cameras: cameras.iter().map(camera).collect(),
            ..Status::default()
        }
    }

    #[test]
    fn nothing_is_wrong_while_every_camera_that_is_configured_is_recorded() {
        let mut status = running(&[("recording", None), ("removed", None)]);
        status.device.read_errors = 3;
        status.ring.bad_blocks = 1;
        assert!(status.troubles().is_empty(), "{:?}", status.troubles());
    }

    #[test]
    fn each_trouble_is_said() {
        let mut status =
            running(&[("waiting", Some("refused; next try in 4s")), ("connecting", None)]);
        status.expiry_suspended = Some("the clock is ahead".into());
        status.device.state = "gone".into();
        status.device.refused = Some("another ring is there".into());
        assert_eq!(
            status.troubles(),
            [
                "the device is gone (another ring is there)",
                "nothing expires: the clock is ahead",
                "yard is not recorded: refused; next try in 4s",
                "yard is not recorded: connecting",
            ]
        );
        for (state, said) in [("failing", "takes no flush"), ("stalled", "does not answer")] {
            let mut status = running(&[]);
            status.device.state = state.into();
            assert_eq!(status.troubles(), [format!("the device {said}")]);
        }
    }

    #[test]
    fn what_the_brake_holds_is_a_trouble() {
        let mut status = running(&[("recording", None)]);
        status.cameras[0].held_bytes = 3 << 30;
        let held = "yard: 3072 MiB would go at once, and are held: reelfs expire --dry-run";
        assert_eq!(status.troubles(), [held]);
    }

    #[test]
    fn a_view_that_somebody_has_unmounted_is_a_trouble() {
        let view = |mount: &str, mounted| ViewStatus {
            mount: mount.to_owned(),
            mounted,
            ..ViewStatus::default()
        };
        let status = Status { views: vec![view("/a", true), view("/b", false)], ..running(&[]) };
        assert_eq!(status.troubles(), ["/b: nothing is mounted there"]);
    }

    #[test]
    fn a_daemon_that_says_nothing_is_the_trouble() {
        assert_eq!(Status::default().troubles(), ["no daemon runs"]);
        let silent = Status { running: true, ..Status::default() };
        assert_eq!(silent.troubles(), ["the daemon does not answer"]);
    }
}
