//! What the ledger says of a clip that was recorded on a wrong clock, beside its own fact.

#![warn(clippy::indexing_slicing)]

use super::clip::ClipFact;
use super::name::NameForm;
use crate::wire::{Decoder, Encoder, Malformed};

const VERSION: u8 = 1;

/// By how much a clip's times are others than its fact says, and how its name is told from others'
/// where they put it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redating {
    /// How far the clock was behind, in nanoseconds; negative where it was ahead.
    pub shift_nanos: i64,
    /// The form of its name, among the names that were taken when it was redated.
    pub name_form: NameForm,
}

impl Redating {
    /// The one encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut to = Encoder::new(VERSION);
        to.i64(self.shift_nanos);
        to.u32(self.name_form.code());
        to.finish()
    }

    /// Reads what [`Redating::encode`] wrote.
    ///
    /// # Errors
    /// Names the first field that is not what it should be.
    pub fn decode(bytes: &[u8]) -> Result<Redating, Malformed> {
        let mut from = Decoder::new(bytes, VERSION, "redating")?;
        let shift_nanos = from.i64("shift")?;
        let name_form = NameForm::from_code(from.u32("name form")?);
        from.finish("redating")?;
        Ok(Redating { shift_nanos, name_form })
    }
}

impl ClipFact {
    /// What is true of a clip: its fact, as it was written when the clip closed, with the times
    /// that it was given when its clock was known to have been wrong, if it was.
    ///
    /// # Errors
    /// Names the first field of either that is not what it should be.
    pub fn decode_in_force(fact: &[u8], redating: Option<&[u8]>) -> Result<ClipFact, Malformed> {
        let fact = ClipFact::decode(fact)?;
        let redating = redating.map(Redating::decode).transpose()?;
        Ok(redating.map_or(fact.clone(), |redating| fact.redated(&redating)))
    }

    /// The same clip with the times and the name that it was given.
    #[must_use]
    pub fn redated(&self, redating: &Redating) -> ClipFact {
        let length = self.end.nanos_since(self.start);
        let start = self.start.plus_nanos(redating.shift_nanos);
        let end = start.plus_nanos(length);
        ClipFact { start, end, name_form: redating.name_form, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::segment::name::tests::name_form;

    proptest! {
        #[test]
        fn what_was_written_is_read(shift_nanos: i64, name_form in name_form()) {
            let redating = Redating { shift_nanos, name_form };
            prop_assert_eq!(Redating::decode(&redating.encode()), Ok(redating));
        }

        #[test]
        fn any_bytes_are_a_redating_or_a_named_reason(
            bytes in prop::collection::vec(any::<u8>(), 0..24),
        ) {
            let _ = Redating::decode(&bytes);
        }
    }
}
