//! Sizes, rates and lengths of time: how people write them and how they are printed.
//!
//! Sizes in bytes go in powers of 1024 (`4M` is 4 MiB), as those of files do; rates in bits per
//! second go in powers of 1000 (`4M` is 4,000,000), as those of cameras do.

use std::time::Duration;

use crate::config::size::parse;
use crate::units::ByteCount;

pub use crate::config::size::QuantityError;

/// A size in bytes: a whole number, with K, M, G or T behind it for powers of 1024 or nothing.
///
/// # Errors
/// Says what is wrong with the text.
pub fn parse_size(text: &str) -> Result<ByteCount, QuantityError> {
    parse(text, 1024).map(ByteCount)
}

/// A rate in bits per second: as a size, in powers of 1000; not 0.
///
/// # Errors
/// Says what is wrong with the text.
pub fn parse_bit_rate(text: &str) -> Result<u64, QuantityError> {
    match parse(text, 1000)? {
        0 => Err(QuantityError::NotANumber),
        rate => Ok(rate),
    }
}

/// A size for people, with three digits at least: `512 B`, `4.00 MiB`, `1023 GiB`.
#[must_use]
pub fn size_text(size: ByteCount) -> String {
    scaled(size.0, 1024, ["B", "KiB", "MiB", "GiB", "TiB"])
}

/// A rate in bits per second for people: `4.00 Mbit/s`.
#[must_use]
pub fn bit_rate_text(rate: u64) -> String {
    scaled(rate, 1000, ["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"])
}

fn scaled(number: u64, step: u64, units: [&str; 5]) -> String {
    let mut divisor = 1u64;
    let mut unit = 0;
    while number / divisor >= step && unit + 1 < units.len() {
        divisor *= step;
        unit += 1;
    }
    // Rounded down: what is printed as free is there, and 1023.99 does not become 1024.
    let hundredths = u128::from(number) * 100 / u128::from(divisor);
    let (whole, part) = (hundredths / 100, hundredths % 100);
    let unit = units[unit];
    match whole {
        _ if divisor == 1 => format!("{number} {unit}"),
        0..10 => format!("{whole}.{part:02} {unit}"),
        10..100 => format!("{whole}.{} {unit}", part / 10),
        _ => format!("{whole} {unit}"),
    }
}

/// A length of time for people, in its two largest units: `3d 4h`, `12m 5s`, `1.250s`, `40ms`.
#[must_use]
pub fn duration_text(duration: Duration) -> String {
    let millis = (duration.as_micros() + 500) / 1000;
    // Not 59 s for a minute that a camera's clock made a hair shorter.
    let seconds = if millis < 10_000 { millis / 1000 } else { (millis + 500) / 1000 };
    let pair = |large: u128, large_unit, small: u128, small_unit| {
        let (whole, rest) = (seconds / large, seconds % large / small);
        match rest {
            0 => format!("{whole}{large_unit}"),
            _ => format!("{whole}{large_unit} {rest}{small_unit}"),
        }
    };
    match seconds {
        86_400.. => pair(86_400, "d", 3_600, "h"),
        3_600.. => pair(3_600, "h", 60, "m"),
        60.. => pair(60, "m", 1, "s"),
        10.. => format!("{seconds}s"),
        1.. => format!("{seconds}.{:03}s", millis % 1000),
        0 => format!("{millis}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_goes_in_powers_of_1024_and_a_rate_of_1000() {
        assert_eq!(parse_size("512"), Ok(ByteCount(512)));
        assert_eq!(parse_size("4k"), Ok(ByteCount(4096)));
        assert_eq!(parse_size("16T"), Ok(ByteCount(16 << 40)));
        assert_eq!(parse_bit_rate("2M"), Ok(2_000_000));
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for wrong in ["", "K", "-4M", "4.5M", "4MB", "0x10", "4 M", "４M"] {
            assert_eq!(parse_size(wrong), Err(QuantityError::NotANumber), "{wrong:?}");
        }
        assert_eq!(parse_size("18446744073709551616"), Err(QuantityError::TooLarge));
        assert_eq!(parse_size("16777216T"), Err(QuantityError::TooLarge));
        assert_eq!(parse_bit_rate("0"), Err(QuantityError::NotANumber));
    }

    #[test]
    fn sizes_are_printed_with_three_digits_and_rounded_down() {
        assert_eq!(size_text(ByteCount(0)), "0 B");
        assert_eq!(size_text(ByteCount(1023)), "1023 B");
        assert_eq!(size_text(ByteCount(1024)), "1.00 KiB");
        assert_eq!(size_text(ByteCount(4 << 20)), "4.00 MiB");
        assert_eq!(size_text(ByteCount((1 << 30) - 1)), "1023 MiB");
        assert_eq!(size_text(ByteCount(36 << 40)), "36.0 TiB");
        assert_eq!(size_text(ByteCount(u64::MAX)), "16777215 TiB");
        assert_eq!(bit_rate_text(4_000_000), "4.00 Mbit/s");
    }

    #[test]
    fn lengths_of_time_have_two_units() {
        let text = |millis| duration_text(Duration::from_millis(millis));
        assert_eq!(text(40), "40ms");
        assert_eq!(text(1_250), "1.250s");
        assert_eq!(text(59_999), "1m");
        assert_eq!(text(59_400), "59s");
        assert_eq!(text(725_000), "12m 5s");
        assert_eq!(text(3_600_000), "1h");
        assert_eq!(text(273_600_000), "3d 4h");
    }
}
