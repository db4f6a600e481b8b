//! Bits of permissions, as the configuration has them: `027`.

/// Reads three or four octal digits, the first of four a 0.
///
/// # Errors
/// What is wrong with it, in words for the user.
pub fn parse(text: &str) -> Result<u16, String> {
    let digits = if text.len() == 4 { text.strip_prefix('0') } else { Some(text) };
    let is_octal =
        |digits: &&str| digits.len() == 3 && digits.bytes().all(|c| (b'0'..b'8').contains(&c));
    let bits = digits.filter(is_octal).and_then(|digits| u16::from_str_radix(digits, 8).ok());
    bits.ok_or_else(|| format!("{text:?} is no umask: one is like \"027\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_three_octal_digits() {
        for (text, bits) in [("022", 0o022), ("0027", 0o027), ("777", 0o777), ("000", 0)] {
            assert_eq!(parse(text), Ok(bits), "{text}");
        }
        for wrong in ["", "22", "028", "+22", "1022", "0o22", "00022", "0x1"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
