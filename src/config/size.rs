//! Sizes and rates in words: a whole number, with K, M, G or T behind it or nothing.

const LETTERS: [char; 4] = ['K', 'M', 'G', 'T'];

/// Why a text is not a size or a rate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// Not a whole number with one letter behind it.
    #[error("not a whole number, with K, M, G or T behind it or nothing")]
    NotANumber,
    /// It does not fit.
    #[error("too large")]
    TooLarge,
}

/// Reads one; each letter is `step` times the one before.
///
/// # Errors
/// Says what is wrong with the text.
pub fn parse(text: &str, step: u64) -> Result<u64, QuantityError> {
    let upper = text.to_ascii_uppercase();
    let letter = LETTERS.iter().position(|letter| upper.ends_with(*letter));
    let digits = if letter.is_some() { &upper[..upper.len() - 1] } else { &upper[..] };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(QuantityError::NotANumber);
    }
    let number: u64 = digits.parse().map_err(|_| QuantityError::TooLarge)?;
    let power = letter.map_or(0, |at| at as u32 + 1);
    number.checked_mul(step.pow(power)).ok_or(QuantityError::TooLarge)
}
