//! How long footage stays, and for what: `[retain]`, and what a camera says otherwise.

use std::time::Duration;

use super::document::{ConfigError, Document, Located};
use super::keys::{self, Key};
use super::section::Section;
use crate::retention::{EventTerms, Terms};

/// Footage younger than this is never given up by age.
const CONTINUOUS_MIN: Duration = Duration::from_secs(60);

/// What all cameras have that say nothing else: of `[retain]`, and of `purge.retain`.
pub(super) struct General<'d> {
    section: Section<'d>,
    /// `purge.retain`.
    purge: Option<Located<Duration>>,
}

impl<'d> General<'d> {
    pub(super) fn read(document: &'d Document<'d>) -> Result<General<'d>, ConfigError> {
        let section = document.section(&keys::RETAIN_SECTION)?;
        let purge = document.section(&keys::PURGE)?.optional_duration(&keys::PURGE_RETAIN)?;
        match section.optional_duration(&keys::RETAIN_CONTINUOUS)? {
            Some(continuous) if purge.is_some() => {
                Err(continuous.refuse("means the same as purge.retain: say one of them"))
            }
            _ => Ok(General { section, purge }),
        }
    }

    /// The terms of what no camera says anything of.
    pub(super) fn terms(&self) -> Result<Terms, ConfigError> {
        let continuous = self.section.optional_duration(&keys::RETAIN_CONTINUOUS)?;
        let continuous = continuous.or_else(|| self.purge.as_ref().map(|it| it.with(it.value)));
        self.with(None, continuous)
    }

    /// Those of a camera, or of one of its streams.
    pub(super) fn terms_of(&self, camera: &Section<'_>) -> Result<Terms, ConfigError> {
        let own = camera.retain()?;
        let continuous = match &own {
            Some(own) => own.optional_duration(&keys::RETAIN_CONTINUOUS)?,
            None => camera.optional_duration(&keys::CAMERA_RETAIN)?,
        };
        let general = || self.section.optional_duration(&keys::RETAIN_CONTINUOUS);
        let continuous = match continuous {
            Some(own) => Some(own),
            None => general()?.or_else(|| self.purge.as_ref().map(|it| it.with(it.value))),
        };
        let at = continuous.as_ref().map(|at| at.with(at.value));
        let terms = self.with(own.as_ref(), continuous)?;
        match at {
            Some(at) if at.value.is_zero() && !terms.know_events() => {
                let reason = "keeps nothing: no class of events (detections, alerts, manual) has \
                              a time of its own";
                Err(at.refuse(reason))
            }
            _ => Ok(terms),
        }
    }

    fn with(
        &self,
        own: Option<&Section<'_>>,
        continuous: Option<Located<Duration>>,
    ) -> Result<Terms, ConfigError> {
        if let Some(at) = &continuous
            && !at.value.is_zero()
            && at.value < CONTINUOUS_MIN
        {
            return Err(at.refuse("is neither \"0s\" nor at least 1m"));
        }
        let said = |key: &Key| -> Result<Option<Duration>, ConfigError> {
            let own = own.map(|own| own.optional_duration(key)).transpose()?.flatten();
            let said = match own {
                Some(own) => Some(own),
                None => self.section.optional_duration(key)?,
            };
            Ok(said.map(|said| said.value))
        };
        let or_default = |key: &Key| match said(key)? {
            Some(said) => Ok(said),
            None => self.section.duration(key).map(|default| default.value),
        };
        let (all_pre, all_post) = (or_default(&keys::RETAIN_PRE)?, or_default(&keys::RETAIN_POST)?);
        let class = |[period, pre, post]: [&Key; 3]| {
            Ok(EventTerms {
                period: said(period)?,
                pre: said(pre)?.unwrap_or(all_pre),
                post: said(post)?.unwrap_or(all_post),
            })
        };
        Ok(Terms {
            continuous: continuous.map(|at| at.value),
            detections: class([
                &keys::RETAIN_DETECTIONS,
                &keys::RETAIN_DETECTIONS_PRE,
                &keys::RETAIN_DETECTIONS_POST,
            ])?,
            alerts: class([
                &keys::RETAIN_ALERTS,
                &keys::RETAIN_ALERTS_PRE,
                &keys::RETAIN_ALERTS_POST,
            ])?,
            manual: class([
                &keys::RETAIN_MANUAL,
                &keys::RETAIN_MANUAL_PRE,
                &keys::RETAIN_MANUAL_POST,
            ])?,
            hold: or_default(&keys::RETAIN_HOLD)?,
            late: or_default(&keys::RETAIN_LATE)?,
            stale: or_default(&keys::RETAIN_STALE)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    fn parse(general: &str, camera: &str) -> Result<Config, ConfigError> {
        let text = format!(
            "[ring]\ndevice = \"r\"\n[view]\nmount = \"m\"\nzone = \"UTC\"\n{general}\n\
             [[camera]]\nname = \"a\"\nurl = \"rtsp://h/1\"\n{camera}\n\
             [[camera]]\nname = \"b\"\nurl = \"rtsp://h/2\"\n"
        );
        Config::parse(Path::new("/r/reelfs.toml"), &text)
    }

    fn terms(general: &str, camera: &str) -> [Terms; 2] {
        let config = parse(general, camera).expect("a configuration");
        [0, 1].map(|at| config.cameras[at].retain.clone())
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_camera_says_of_each_key_what_it_has_otherwise() {
        let general = "[retain]\ncontinuous = \"3d\"\nalerts = \"30d\"\npre = \"20s\"\n\
                       alerts_post = \"1m\"\nhold = \"1m\"";
        let camera = "[camera.retain]\ncontinuous = \"0s\"\nmanual = \"52w\"\npre = \"2m\"\n\
                      alerts_pre = \"7s\"";
        let [a, b] = terms(general, camera);
        assert_eq!((a.continuous, b.continuous), (Some(seconds(0)), Some(seconds(3 * 86_400))));
        let of = |terms: &EventTerms| (terms.period.map(|it| it.as_secs()), terms.pre, terms.post);
        let month = Some(30 * 86_400);
        assert_eq!(of(&a.alerts), (month, seconds(7), seconds(60)));
        assert_eq!(of(&b.alerts), (month, seconds(20), seconds(60)));
        assert_eq!(of(&a.manual), (Some(52 * 7 * 86_400), seconds(120), seconds(5)));
        assert_eq!(of(&b.detections), (None, seconds(20), seconds(5)));
        assert_eq!((a.hold, b.hold), (seconds(60), seconds(60)));
        assert_eq!((b.late, b.stale), (seconds(3600), seconds(3600)));
    }

    #[test]
    fn what_was_said_before_means_the_same() {
        let [a, b] = terms("[purge]\nretain = \"9d\"", "retain = \"2d\"");
        assert_eq!((a.continuous, b.continuous), (Some(seconds(172_800)), Some(seconds(777_600))));
        assert_eq!(terms("", "")[0].continuous, None);
        let of_streams = "[camera.streams]\nmain = \"rtsp://h/1\"\n\
                          sub = { url = \"rtsp://h/2\", retain = { continuous = \"1h\" } }";
        let text = format!(
            "[ring]\ndevice = \"r\"\n[view]\nmount = \"m\"\nzone = \"UTC\"\n\
             [[camera]]\nname = \"a\"\nretain = \"2d\"\n{of_streams}\n"
        );
        let config = Config::parse(Path::new("/r/reelfs.toml"), &text).expect("a configuration");
        let ages: Vec<_> = config.cameras.iter().map(|it| it.retain.continuous).collect();
        assert_eq!(ages, [Some(seconds(172_800)), Some(seconds(3600))]);
    }

    #[test]
    fn what_would_keep_nothing_or_can_not_be_meant_is_refused_with_its_line() {
        let refused = |general: &str, camera: &str| {
            parse(general, camera).expect_err("it is refused").to_string()
        };
        for (general, camera, why) in [
            ("[retain]\ncontinuous = \"0s\"", "", ":7: retain.continuous: keeps nothing"),
            ("[retain]\ncontinuous = \"59s\"", "", ":7: retain.continuous: is neither"),
            ("[retain]\ncontinuous = \"1ms\"", "", "retain.continuous: is neither"),
            ("[retain]\nalerts = \"0s\"", "", "retain.alerts: 0s is not from 1m"),
            ("[retain]\npre = \"11m\"", "", "retain.pre: 11m is not from 0s to 10m"),
            ("[retain]\nalert = \"1d\"", "", "retain.alert: no such key; did you mean `alerts`?"),
            ("", "[camera.retain]\nprae = \"1s\"", "camera.retain.prae: no such key; did you mean"),
            ("", "[camera.retain]\ncontinuous = \"0s\"", "camera.retain.continuous: keeps nothing"),
            ("", "[camera.retain]\nlate = 3", "camera.retain.late: is a number"),
            ("", "retain = 3", "camera.retain: is a number, has to be a duration such as \"14d\""),
            (
                "[purge]\nretain = \"1d\"\n[retain]\ncontinuous = \"1d\"",
                "",
                "retain.continuous: means the same as purge.retain",
            ),
        ] {
            let said = refused(general, camera);
            assert!(said.contains(why), "{said}");
        }
    }
}
