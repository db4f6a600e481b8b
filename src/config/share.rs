//! Shares of something, as the configuration has them: `30%`.

/// Reads one, in percent, up to `most`.
///
/// # Errors
/// What is wrong with it, in words for the user.
pub(super) fn parse(text: &str, most: u8) -> Result<u8, String> {
    let digits = text.strip_suffix('%').map(str::trim_end);
    let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let share = digits.and_then(|digits| digits.parse::<u16>().ok());
    let share = share.ok_or_else(|| format!("{text:?} is no share: one is like \"30%\""))?;
    match u8::try_from(share) {
        Ok(share) if share <= most => Ok(share),
        _ => Err(format!("has to be 0% to {most}%")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_whole_number_of_percent() {
        for (text, percent) in [("0%", 0), ("30%", 30), ("7 %", 7), ("090%", 90)] {
            assert_eq!(parse(text, 90), Ok(percent), "{text}");
        }
        for wrong in ["30", "%", "-1%", "1.5%", "0x1f%", "91%", "300%", "70000%", "", "30%%"] {
            assert!(parse(wrong, 90).is_err(), "{wrong}");
        }
    }
}
