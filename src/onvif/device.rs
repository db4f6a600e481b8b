//! Requests to a camera, and what it answers.

use chrono::{DateTime, NaiveDate, Utc};
use url::Url;

use super::OnvifError;
use super::address::{Wanted, beside, reached};
use super::soap::{Caller, Login, Request};
use super::xml::{Element, escaped};

/// Name spaces of the services (ONVIF Core 8.1, Media, Media2).
const DEVICE: &str = "http://www.onvif.org/ver10/device/wsdl";
const MEDIA: &str = "http://www.onvif.org/ver10/media/wsdl";
const MEDIA2: &str = "http://www.onvif.org/ver20/media/wsdl";

/// A clock that shows another one is taken for none.
const YEARS: std::ops::RangeInclusive<i32> = 1970..=2100;
/// No camera has more profiles that are looked at.
const PROFILES_MAX: usize = 256;

/// What a camera says that it is; each may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Information {
    /// Who made it.
    pub manufacturer: String,
    /// What it is called there.
    pub model: String,
    /// Which one it is.
    pub serial: String,
}

/// One of a camera's streams.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// What requests call it.
    pub token: String,
    /// What people call it.
    pub name: String,
    /// "H264", "H265", "JPEG", "MPEG4", or as Media2 calls them.
    pub encoding: String,
    /// Width and height, in pixels.
    pub picture: (u32, u32),
    /// The lens that it is of; empty where it is not said.
    source: String,
}

/// What a camera says of itself and of one of its streams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Of the camera.
    pub information: Information,
    /// The stream.
    pub profile: Profile,
    /// Where the stream is: of whatever scheme, with a host.
    pub url: Url,
}

/// A camera that is being asked.
struct Device<'l> {
    service: Url,
    caller: Caller<'l>,
}

/// A service for media, of either kind.
struct Media {
    url: Url,
    is_second: bool,
}

/// Asks the camera with this device service for one of its streams.
///
/// # Errors
/// It can't be reached, refuses the login, or has no such stream.
pub fn ask(service: &Url, wanted: &Wanted, login: Option<&Login>) -> Result<Answer, OnvifError> {
    let device = Device::reach(service, login)?;
    let information = device.information_if_any()?;
    let (media, profiles) = device.profiles()?;
    let profile = choose(&profiles, wanted)
        .map_err(|why| OnvifError::Refused { request: "GetProfiles", why })?
        .clone();
    let url = device.stream_url(&media, &profile.token)?;
    Ok(Answer { information, profile, url })
}

/// Asks a camera what it is.
///
/// # Errors
/// It can't be reached, refuses the login, or does not say it.
pub fn information(service: &Url, login: Option<&Login>) -> Result<Information, OnvifError> {
    Device::reach(service, login)?.information()
}

/// Asks a camera which streams it has.
///
/// # Errors
/// As [`ask`].
pub fn profiles(service: &Url, login: Option<&Login>) -> Result<Vec<Profile>, OnvifError> {
    let (_, profiles) = Device::reach(service, login)?.profiles()?;
    Ok(profiles)
}

impl<'l> Device<'l> {
    /// What the camera's clock says goes into each login from then on.
    fn reach(service: &Url, login: Option<&'l Login>) -> Result<Device<'l>, OnvifError> {
        let mut device = Device { service: service.clone(), caller: Caller::new(login) };
        // Open to everybody, but not in each camera: then its clock is taken to be right.
        let open = Device { service: service.clone(), caller: Caller::new(None) };
        let said = match open.call("GetSystemDateAndTime", "") {
            Err(OnvifError::Denied { .. }) => device.call("GetSystemDateAndTime", ""),
            said => said,
        };
        match said {
            Ok(answer) => {
                if let Some(time) = time_in(&answer) {
                    device.caller.set_clock(time);
                }
            }
            Err(error @ OnvifError::Unreachable { .. }) => return Err(error),
            Err(error) => log::debug!("{service}: its clock is not known: {error:?}"),
        }
        Ok(device)
    }

    fn call(&self, name: &'static str, content: &str) -> Result<Element, OnvifError> {
        self.caller.call(&self.service, &Request { name, space: DEVICE, content })
    }

    fn information(&self) -> Result<Information, OnvifError> {
        Ok(information_in(&self.call("GetDeviceInformation", "")?))
    }

    /// The same; a camera that does not say it has streams all the same.
    fn information_if_any(&self) -> Result<Information, OnvifError> {
        match self.information() {
            Err(OnvifError::Refused { .. }) => Ok(Information::default()),
            answered => answered,
        }
    }

    /// Where its services for media are, the better one first.
    fn media(&self) -> Result<Vec<Media>, OnvifError> {
        let services = self.call("GetServices", "<IncludeCapability>false</IncludeCapability>");
        let found = match services {
            Ok(answer) => media_in(&answer, &self.service),
            Err(OnvifError::Refused { .. }) => Vec::new(),
            Err(error) => return Err(error),
        };
        if !found.is_empty() {
            return Ok(found);
        }
        // Cameras older than GetServices (ONVIF Core 2.1).
        let answer = self.call("GetCapabilities", "<Category>Media</Category>")?;
        let media = answer.find("Media").and_then(|media| media.text_at(&["XAddr"]));
        let media = media.and_then(|said| beside(said, &self.service));
        let url = media.ok_or_else(|| OnvifError::Refused {
            request: "GetCapabilities",
            why: "it has no service for media".to_owned(),
        })?;
        Ok(vec![Media { url, is_second: false }])
    }

    /// Its streams, and the service that tells their addresses.
    fn profiles(&self) -> Result<(Media, Vec<Profile>), OnvifError> {
        let mut refused = None;
        for media in self.media()? {
            let content = "<Type>VideoSource</Type><Type>VideoEncoder</Type>";
            let content = if media.is_second { content } else { "" };
            match self.caller.call(&media.url, &media.request("GetProfiles", content)) {
                Ok(answer) => {
                    let found = profiles_in(&answer);
                    if !found.is_empty() {
                        return Ok((media, found));
                    }
                }
                Err(error @ OnvifError::Refused { .. }) => refused = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(refused.unwrap_or_else(|| OnvifError::Refused {
            request: "GetProfiles",
            why: "it has no stream of pictures".to_owned(),
        }))
    }

    fn stream_url(&self, media: &Media, token: &str) -> Result<Url, OnvifError> {
        let token = format!("<ProfileToken>{}</ProfileToken>", escaped(token));
        // Both mean what any camera has: RTP on the connection of the requests, or beside it.
        let setup = match media.is_second {
            true => "<Protocol>RTSP</Protocol>",
            false => {
                "<StreamSetup><Stream xmlns=\"http://www.onvif.org/ver10/schema\">RTP-Unicast\
                 </Stream><Transport xmlns=\"http://www.onvif.org/ver10/schema\">\
                 <Protocol>RTSP</Protocol></Transport></StreamSetup>"
            }
        };
        let content = format!("{setup}{token}");
        let answer = self.caller.call(&media.url, &media.request("GetStreamUri", &content))?;
        let said = answer.find("Uri").map(|uri| uri.text.as_str());
        said.and_then(|said| reached(said, &self.service)).ok_or_else(|| OnvifError::Refused {
            request: "GetStreamUri",
            why: "it says no address".to_owned(),
        })
    }
}

impl Media {
    fn request<'r>(&self, name: &'static str, content: &'r str) -> Request<'r> {
        Request { name, space: if self.is_second { MEDIA2 } else { MEDIA }, content }
    }
}

fn time_in(answer: &Element) -> Option<DateTime<Utc>> {
    let time = answer.find("UTCDateTime")?;
    let number = |path: [&str; 2]| time.number_at::<u32>(&path);
    let year = time.number_at(&["Date", "Year"]).filter(|year| YEARS.contains(year))?;
    let day = NaiveDate::from_ymd_opt(year, number(["Date", "Month"])?, number(["Date", "Day"])?)?;
    let [hour, minute, second] =
        ["Hour", "Minute", "Second"].map(|part| number(["Time", part]).unwrap_or_default());
    Some(day.and_hms_opt(hour, minute, second)?.and_utc())
}

fn information_in(answer: &Element) -> Information {
    let text = |name: &str| answer.text_at(&[name]).unwrap_or_default().to_owned();
    Information {
        manufacturer: text("Manufacturer"),
        model: text("Model"),
        serial: text("SerialNumber"),
    }
}

fn media_in(answer: &Element, asked: &Url) -> Vec<Media> {
    let of = |space: &str, is_second: bool| {
        let mut all = answer.all("Service");
        let service = all.find(|service| service.text_at(&["Namespace"]) == Some(space))?;
        let url = beside(service.text_at(&["XAddr"])?, asked)?;
        Some(Media { url, is_second })
    };
    [of(MEDIA2, true), of(MEDIA, false)].into_iter().flatten().collect()
}

fn profiles_in(answer: &Element) -> Vec<Profile> {
    let profile = |said: &Element| {
        let second = said.child("Configurations");
        let part = |first: &str, name: &str| {
            second.and_then(|it| it.child(name)).or_else(|| said.child(first))
        };
        let encoder = part("VideoEncoderConfiguration", "VideoEncoder")?;
        let size = |side: &str| encoder.number_at(&["Resolution", side]);
        let source = part("VideoSourceConfiguration", "VideoSource");
        let source = source.and_then(|source| source.text_at(&["SourceToken"]));
        Some(Profile {
            token: said.attribute("token").filter(|token| !token.is_empty())?.to_owned(),
            name: said.text_at(&["Name"]).unwrap_or_default().to_owned(),
            encoding: encoder.text_at(&["Encoding"]).unwrap_or_default().to_owned(),
            picture: (size("Width")?, size("Height")?),
            source: source.unwrap_or_default().to_owned(),
        })
    };
    answer.all("Profiles").take(PROFILES_MAX).filter_map(profile).collect()
}

fn pixels(profile: &Profile) -> u64 {
    u64::from(profile.picture.0) * u64::from(profile.picture.1)
}

/// The profiles of the first lens, the largest first: those that are no JPEG, which a camera has
/// for still pictures, where there are any. The first is [`Wanted::Main`], the last one
/// [`Wanted::Sub`].
#[must_use]
pub fn of_one_lens(profiles: &[Profile]) -> Vec<&Profile> {
    let is_jpeg = |profile: &Profile| profile.encoding.eq_ignore_ascii_case("JPEG");
    let has_others = profiles.iter().any(|profile| !is_jpeg(profile));
    let mut coded: Vec<&Profile> =
        profiles.iter().filter(|profile| !has_others || !is_jpeg(profile)).collect();
    if let Some(source) = coded.first().map(|first| first.source.clone()) {
        coded.retain(|profile| profile.source == source);
    }
    coded.sort_by_key(|profile| std::cmp::Reverse(pixels(profile)));
    coded
}

fn choose<'p>(profiles: &'p [Profile], wanted: &Wanted) -> Result<&'p Profile, String> {
    if let Wanted::Profile(token) = wanted {
        let known = || profiles.iter().map(|it| it.token.as_str()).collect::<Vec<_>>().join(", ");
        let found = profiles.iter().find(|profile| profile.token == *token);
        return found.ok_or_else(|| format!("it has no profile {token:?}; there are {}", known()));
    }
    let coded = of_one_lens(profiles);
    let (Some(main), Some(sub)) = (coded.first(), coded.last()) else {
        return Err("it has no stream of pictures".to_owned());
    };
    match wanted {
        Wanted::Sub if coded.len() < 2 => Err("it has one stream alone".to_owned()),
        Wanted::Sub => Ok(sub),
        _ => Ok(main),
    }
}

/// For a fuzzer.
pub(super) fn parse_anything(bytes: &[u8]) {
    let Ok(answer) = Element::parse(bytes) else { return };
    let asked = Url::parse("http://192.0.2.1/").ok();
    let _ = (time_in(&answer), information_in(&answer));
    let _ = asked.map(|asked| media_in(&answer, &asked).len());
    let profiles = profiles_in(&answer);
    for wanted in [Wanted::Main, Wanted::Sub] {
        let _ = choose(&profiles, &wanted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(text: &str) -> Element {
        Element::parse(text.as_bytes()).unwrap()
    }

    /// Token, coding, width, height, lens.
    fn profile((token, encoding, width, height, source): (&str, &str, u32, u32, &str)) -> Profile {
        Profile {
            token: token.to_owned(),
            name: token.to_owned(),
            encoding: encoding.to_owned(),
            picture: (width, height),
            source: source.to_owned(),
        }
    }

    fn chosen(profiles: &[Profile], wanted: Wanted) -> Result<&str, String> {
        choose(profiles, &wanted).map(|profile| profile.token.as_str())
    }

    #[test]
    fn main_is_the_largest_and_sub_the_smallest_of_one_lens() {
        let all = [
            ("still", "JPEG", 3840, 2160, "a"),
            ("small", "H264", 640, 360, "a"),
            ("large", "H265", 2560, 1440, "a"),
            ("middle", "H264", 1280, 720, "a"),
            ("other", "H264", 320, 180, "b"),
        ]
        .map(profile);
        assert_eq!(chosen(&all, Wanted::Main), Ok("large"));
        assert_eq!(chosen(&all, Wanted::Sub), Ok("small"));
        assert_eq!(chosen(&all, Wanted::Profile("other".to_owned())), Ok("other"));
        let error = chosen(&all, Wanted::Profile("none".to_owned())).unwrap_err();
        assert!(error.ends_with("there are still, small, large, middle, other"), "{error}");
    }

    #[test]
    fn a_camera_with_one_stream_has_no_second_one() {
        let all = [("only", "JPEG", 640, 480, "")].map(profile);
        assert_eq!(chosen(&all, Wanted::Main), Ok("only"));
        assert_eq!(chosen(&all, Wanted::Sub), Err("it has one stream alone".to_owned()));
        assert!(chosen(&[], Wanted::Main).is_err());
        let alike = [("1", "H264", 640, 480, ""), ("2", "H264", 640, 480, "")].map(profile);
        assert_eq!(chosen(&alike, Wanted::Main), Ok("1"));
        assert_eq!(chosen(&alike, Wanted::Sub), Ok("2"));
    }

    #[test]
    fn profiles_of_both_services_are_read() {
        let first = element(
            "<r><Profiles token='p1' fixed='true'><Name>Main</Name><VideoSourceConfiguration>\
             <SourceToken>s</SourceToken></VideoSourceConfiguration><VideoEncoderConfiguration>\
             <Encoding>H264</Encoding><Resolution><Width>1920</Width><Height>1080</Height>\
             </Resolution></VideoEncoderConfiguration></Profiles>\
             <Profiles token='sound'><Name>no pictures</Name></Profiles></r>",
        );
        let second = element(
            "<r><Profiles token='p1'><Name>Main</Name><Configurations><VideoSource>\
             <SourceToken>s</SourceToken></VideoSource><VideoEncoder><Encoding>H264</Encoding>\
             <Resolution><Width>1920</Width><Height>1080</Height></Resolution></VideoEncoder>\
             </Configurations></Profiles></r>",
        );
        let mut expected = profile(("p1", "H264", 1920, 1080, "s"));
        expected.name = "Main".to_owned();
        assert_eq!(profiles_in(&first), [expected.clone()]);
        assert_eq!(profiles_in(&second), [expected]);
    }

    #[test]
    fn a_camera_s_time_is_read_where_it_is_one() {
        let time = |year: i32, month: u32| {
            element(&format!(
                "<r><SystemDateAndTime><UTCDateTime><Time><Hour>7</Hour><Minute>8</Minute>\
                 <Second>9</Second></Time><Date><Year>{year}</Year><Month>{month}</Month>\
                 <Day>3</Day></Date></UTCDateTime></SystemDateAndTime></r>"
            ))
        };
        let read = time_in(&time(2026, 2)).unwrap();
        assert_eq!(read.to_rfc3339(), "2026-02-03T07:08:09+00:00");
        for (year, month) in [(2026, 13), (262_142, 12), (1969, 1), (-5, 1)] {
            assert_eq!(time_in(&time(year, month)), None, "{year}");
        }
    }
}
