//! Which time zone names and days are in.

use super::nearest::nearest;
use crate::zone::Zone;

/// The zone called `name` in the time zone database.
pub(super) fn parse(name: &str) -> Result<Zone, String> {
    Zone::named(name).ok_or_else(|| {
        let advice = match nearest(name, Zone::names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "write one such as \"Europe/Berlin\" or \"UTC\"".to_owned(),
        };
        format!("{name:?} is not in the time zone database; {advice}")
    })
}

/// The zone of `TZ`, or else of the system; where neither names one, UTC and a warning.
#[must_use]
pub fn system_zone() -> (Zone, Option<String>) {
    let variable = std::env::var("TZ").ok();
    let wanted = variable.as_deref().map(|name| name.trim_start_matches(':'));
    if let Some(zone) = wanted.and_then(Zone::named) {
        return (zone, None);
    }
    let name = iana_time_zone::get_timezone();
    match name.as_ref().ok().and_then(|name| Zone::named(name)) {
        Some(zone) => (zone, None),
        None => {
            let found = name.unwrap_or_else(|error| error.to_string());
            let warning = format!("the system's time zone is not known ({found}): using UTC");
            (Zone::UTC, Some(warning))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_known_by_its_name_in_the_database() {
        assert_eq!(parse("America/St_Johns").unwrap().to_string(), "America/St_Johns");
        assert!(parse("Middle-earth").unwrap_err().contains("write one such as"));
    }
}
