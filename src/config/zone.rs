//! Which time zone names and days are in.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::nearest::nearest;
use crate::clock::{Clock, SystemClock, system_offset_seconds};
use crate::units::{NANOS_PER_SECOND, WallTime};
use crate::zone::Zone;

const LOCALTIME: &str = "/etc/localtime";
/// Names a zone where there is no `/etc/localtime`.
const TIMEZONE: &str = "/etc/timezone";
/// Where the system keeps the zones that names of `TZ` stand for.
const DATABASE: &str = "/usr/share/zoneinfo";
/// No zone's file has more, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

const WEEK_NANOS: i64 = 7 * 86_400 * NANOS_PER_SECOND;
/// Two zones are the same one where their clocks agree for so long before and behind now.
const ALIKE_WEEKS: i64 = 100;
/// Behind the next change of the clock in every zone that has some.
const HALF_A_YEAR_WEEKS: i64 = 26;

/// The zone called `name` in the time zone database.
///
/// # Errors
/// There is none, with advice.
pub fn parse(name: &str) -> Result<Zone, String> {
    Zone::named(name).ok_or_else(|| {
        let advice = match nearest(name, Zone::names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "write one such as \"Europe/Berlin\" or \"UTC\"".to_owned(),
        };
        format!("{name:?} is not in the time zone database; {advice}")
    })
}

/// The zone of `TZ`, or else of the system; and a warning where it is not known, or the C library,
/// and so every other program, takes another one for it.
#[must_use]
pub fn system_zone() -> (Zone, Option<String>) {
    let now = SystemClock::new().read().wall;
    let variable = std::env::var_os("TZ").map(|text| text.to_string_lossy().into_owned());
    let system = System { localtime: LOCALTIME.into(), timezone: TIMEZONE.into(), now };
    let (zone, warning) = system.zone(variable.as_deref());
    let warning = warning.or_else(|| contradiction(&zone, variable.is_some(), now));
    (zone, warning)
}

/// What is said where the C library's clock differs from that of `zone`, now or in half a year.
fn contradiction(zone: &Zone, by_variable: bool, now: WallTime) -> Option<String> {
    let source = if by_variable { "TZ" } else { LOCALTIME };
    [now, now.plus_nanos(HALF_A_YEAR_WEEKS * WEEK_NANOS)].into_iter().find_map(|time| {
        let (ours, theirs) = (zone.offset_seconds(time), system_offset_seconds(time)?);
        (ours != theirs).then(|| {
            let day = zone.local(time).format("%Y-%m-%d");
            let (ours, theirs) = (offset_text(ours), offset_text(theirs));
            format!(
                "{source} is the time zone {zone} ({ours} on {day}), but {theirs} to the C library \
                 and so to other programs: set view.zone to the one that is right"
            )
        })
    })
}

fn offset_text(seconds: i32) -> String {
    let minutes = seconds.unsigned_abs() / 60;
    let sign = if seconds < 0 { '-' } else { '+' };
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

/// Where the system says which zone it is in.
struct System {
    localtime: PathBuf,
    timezone: PathBuf,
    now: WallTime,
}

impl System {
    fn zone(&self, variable: Option<&str>) -> (Zone, Option<String>) {
        let machine = || {
            self.machine_zone().unwrap_or_else(|reason| {
                let advice = "using UTC; set view.zone to a name such as \"Europe/Berlin\"";
                let warning = format!("the system's time zone is not known ({reason}): {advice}");
                (Zone::UTC, Some(warning))
            })
        };
        let Some(text) = variable else { return machine() };
        if let Some(zone) = self.zone_of_variable(text) {
            return (zone, None);
        }
        let (zone, also) = machine();
        let near = nearest(text.trim_start_matches(':'), Zone::names());
        let advice = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
        let also = also.map_or(String::new(), |also| format!("; {also}"));
        let warning = format!(
            "TZ is {text:?}, which is no time zone: using {zone}; set TZ, or view.zone{advice}\
             {also}"
        );
        (zone, Some(warning))
    }

    /// In the order of the C library: a file or a name, then a rule.
    fn zone_of_variable(&self, text: &str) -> Option<Zone> {
        let name = text.strip_prefix(':').unwrap_or(text);
        if name.is_empty() {
            return Some(Zone::UTC);
        }
        if name.starts_with('/') {
            return self.zone_of_file(Path::new(name)).ok();
        }
        let below = || Path::new(DATABASE).join(name);
        Zone::named(name)
            .or_else(|| Zone::posix(name).ok())
            .or_else(|| self.zone_of_file(&below()).ok())
    }

    fn machine_zone(&self) -> Result<(Zone, Option<String>), String> {
        match self.zone_of_file(&self.localtime) {
            Ok(zone) => Ok((zone, None)),
            Err(reason) => {
                let name = fs::read_to_string(&self.timezone).unwrap_or_default();
                Zone::named(name.trim()).map(|zone| (zone, None)).ok_or(reason)
            }
        }
    }

    /// The zone that a file is of. By its name, where it is a link to one of the database that
    /// holds nothing else: a container's `/etc/localtime` is a link, and what is mounted over it
    /// lies over the file that the link names.
    fn zone_of_file(&self, path: &Path) -> Result<Zone, String> {
        let named = zone_of_link(path);
        let source = path.display().to_string();
        let of_content = match read(path) {
            Ok(bytes) => Zone::tzif(&source, &bytes),
            // The link says it all where the system has no database.
            Err(error) => match named {
                Some(zone) if error.kind() == ErrorKind::NotFound => return Ok(zone),
                _ => Err(error.to_string()),
            },
        };
        let of_content = of_content.map_err(|reason| format!("{source}: {reason}"))?;
        Ok(named.filter(|named| self.are_alike(named, &of_content)).unwrap_or(of_content))
    }

    fn are_alike(&self, one: &Zone, other: &Zone) -> bool {
        (-ALIKE_WEEKS..=ALIKE_WEEKS).all(|week| {
            let time = self.now.plus_nanos(week * WEEK_NANOS);
            one.offset_seconds(time) == other.offset_seconds(time)
        })
    }
}

/// The zone whose file a path, or the link there, names.
fn zone_of_link(path: &Path) -> Option<Zone> {
    let target = fs::read_link(path).unwrap_or_else(|_| path.to_owned());
    let resolved = fs::canonicalize(path).ok();
    [Some(target), resolved].into_iter().flatten().find_map(|path| {
        let (_, name) = path.to_str()?.split_once("zoneinfo/")?;
        Zone::named(name)
    })
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// 2026-11-21 12:00:00 UTC.
    const NOW: WallTime = WallTime(1_795_262_400_000_000_000);
    const FOOTER: &[u8] = b"CET-1CEST,M3.5.0,M10.5.0/3";

    /// A TZif file of version 2 that says all in its footer, as `zic -b slim` makes it.
    fn file_of(footer: &[u8]) -> Vec<u8> {
        let header = |types: u8| {
            let counts = [0, 0, 0, 0, u32::from(types), 4].map(u32::to_be_bytes).concat();
            [&b"TZif2"[..], &[0; 15], &counts].concat()
        };
        let data = [&3600_i32.to_be_bytes()[..], &[0, 0], b"CET\0"].concat();
        let block = [header(1), data].concat();
        [&block[..], &block, b"\n", footer, b"\n"].concat()
    }

    fn system(folder: &Path) -> System {
        let (localtime, timezone) = (folder.join("localtime"), folder.join("timezone"));
        System { localtime, timezone, now: NOW }
    }

    /// Offsets in hours, now and in half a year.
    fn hours(zone: &Zone) -> [i32; 2] {
        [0, HALF_A_YEAR_WEEKS]
            .map(|weeks| zone.offset_seconds(NOW.plus_nanos(weeks * WEEK_NANOS)) / 3600)
    }

    #[test]
    fn a_zone_is_known_by_its_name_in_the_database() {
        assert_eq!(parse("America/St_Johns").unwrap().to_string(), "America/St_Johns");
        assert!(parse("Middle-earth").unwrap_err().contains("write one such as"));
        assert!(parse("Europe/Berln").unwrap_err().contains("`Europe/Berlin`"));
    }

    #[test]
    fn a_localtime_is_read_whether_it_is_a_link_or_a_copy() {
        let folder = tempfile::tempdir().unwrap();
        let system = system(folder.path());
        let (_, warning) = system.zone(None);
        assert!(warning.is_some_and(|warning| warning.contains("view.zone")), "nothing is there");
        fs::write(&system.timezone, "Asia/Tokyo\n").unwrap();
        assert_eq!(hours(&system.zone(None).0), [9, 9], "the other file names it");
        fs::write(&system.localtime, file_of(FOOTER)).unwrap();
        let (zone, warning) = system.zone(None);
        assert_eq!((hours(&zone), warning), ([1, 2], None));
        assert_eq!(zone.to_string(), system.localtime.display().to_string());
        // As a container sees its host's, mounted over the file that its own link names.
        let database = folder.path().join("zoneinfo/Etc");
        fs::create_dir_all(&database).unwrap();
        fs::rename(&system.localtime, database.join("UTC")).unwrap();
        symlink(database.join("UTC"), &system.localtime).unwrap();
        assert_eq!(hours(&system.zone(None).0), [1, 2]);
        fs::write(database.join("UTC"), file_of(b"UTC0")).unwrap();
        assert_eq!(system.zone(None), (Zone::named("Etc/UTC").unwrap(), None));
        fs::remove_file(database.join("UTC")).unwrap();
        assert_eq!(system.zone(None).0.to_string(), "Etc/UTC", "the link says it");
        fs::write(database.join("UTC"), "TZif").unwrap();
        fs::remove_file(&system.timezone).unwrap();
        let warning = system.zone(None).1.unwrap();
        assert!(warning.contains("localtime: ") && warning.contains("view.zone"), "{warning}");
    }

    #[test]
    fn every_form_of_the_variable_is_understood_or_warned_of() {
        let folder = tempfile::tempdir().unwrap();
        let system = system(folder.path());
        fs::write(&system.localtime, file_of(b"JST-9")).unwrap();
        let berlin = folder.path().join("berlin");
        fs::write(&berlin, file_of(FOOTER)).unwrap();
        let path = berlin.display().to_string();
        for (text, expected) in [
            ("Europe/Berlin", [1, 2]),
            (":Europe/Berlin", [1, 2]),
            ("CET-1CEST,M3.5.0,M10.5.0/3", [1, 2]),
            ("<+03>-3", [3, 3]),
            ("UTC0", [0, 0]),
            ("", [0, 0]),
            ("AEST-10AEDT", [10, 11]),
            ("EST5EDT", [-5, -4]),
            (&path, [1, 2]),
            (&format!(":{path}"), [1, 2]),
        ] {
            let (zone, warning) = system.zone(Some(text));
            assert_eq!((hours(&zone), warning), (expected, None), "{text:?}");
        }
        for text in ["Europe/Berln", "berlin", "/nowhere", "CET-1CEST,M3", " Europe/Berlin"] {
            let (zone, warning) = system.zone(Some(text));
            let warning = warning.unwrap();
            assert_eq!(hours(&zone), [9, 9], "{text:?}: the machine's");
            assert!(warning.contains("view.zone") && warning.contains(text), "{warning}");
        }
        let (_, warning) = system.zone(Some("Europe/Berln"));
        assert!(warning.is_some_and(|warning| warning.contains("`Europe/Berlin`")));
    }
}
