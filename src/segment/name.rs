//! How a clip's name tells it from its neighbours.

/// Marks a form in which names sort in time. Earlier builds read it as a large number, and show
/// the clip under that.
const IN_ORDER: u32 = 1 << 31;
const RANK_SHIFT: u32 = 24;
const NUMBER_MAX: u32 = (1 << RANK_SHIFT) - 1;

/// How a clip's name tells it from its neighbours. Settled when the clip closes, never after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameForm {
    /// To the second: the usual one. Where a zone shows the time twice, earlier builds gave it, and
    /// both passes carry their offset.
    Seconds,
    /// With milliseconds, in front of whose second the name sorts. Earlier builds gave it.
    Milliseconds,
    /// With milliseconds and a number, at least 2 and below 2³¹. Earlier builds gave it; one that
    /// is not below is a form that this program does not know.
    Numbered(u32),
    /// Sorts in time among all clips of the same camera.
    InOrder {
        /// Where it stands among those that begin in the same second.
        rank: NameRank,
        /// Counts those of one rank that begin in the same millisecond, from 1; below 2²⁴.
        number: u32,
    },
}

/// Where a clip's name stands among those of the clips that begin in the same second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameRank {
    /// In front of the one that is named by the second, with milliseconds: it was closed after it,
    /// but begins before it.
    Before,
    /// The one that is named by the second.
    Second,
    /// Behind the one that is named by the second, with milliseconds.
    Behind,
}

impl NameForm {
    /// The number that stands for it on the ring.
    #[must_use]
    pub fn code(self) -> u32 {
        match self {
            NameForm::Seconds => 0,
            NameForm::Milliseconds => 1,
            // Beyond 2³¹ it is a form that a later program gave, and stays what it is.
            NameForm::Numbered(number) => number.max(2),
            NameForm::InOrder { rank, number } => {
                let rank = match rank {
                    NameRank::Second => 0,
                    NameRank::Behind => 1,
                    NameRank::Before => 2,
                };
                IN_ORDER | rank << RANK_SHIFT | number.min(NUMBER_MAX)
            }
        }
    }

    /// The form behind a number. One that this program does not know is what earlier ones take
    /// it for.
    #[must_use]
    pub fn from_code(code: u32) -> NameForm {
        let in_order = |rank| NameForm::InOrder { rank, number: code & NUMBER_MAX };
        match (code, (code ^ IN_ORDER) >> RANK_SHIFT) {
            (0, _) => NameForm::Seconds,
            (1, _) => NameForm::Milliseconds,
            // Nothing is counted from 0.
            (number, 0..3) if number & NUMBER_MAX == 0 => NameForm::Numbered(number),
            (_, 0) => in_order(NameRank::Second),
            (_, 1) => in_order(NameRank::Behind),
            (_, 2) => in_order(NameRank::Before),
            (number, _) => NameForm::Numbered(number),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(in crate::segment) fn name_form() -> impl Strategy<Value = NameForm> {
        let rank =
            prop_oneof![Just(NameRank::Before), Just(NameRank::Second), Just(NameRank::Behind)];
        prop_oneof![
            Just(NameForm::Seconds),
            Just(NameForm::Milliseconds),
            (2..IN_ORDER).prop_map(NameForm::Numbered),
            (rank, 1..=NUMBER_MAX).prop_map(|(rank, number)| NameForm::InOrder { rank, number }),
        ]
    }

    #[test]
    fn a_form_keeps_its_code() {
        assert_eq!(NameForm::from_code(0), NameForm::Seconds);
        assert_eq!(NameForm::from_code(1), NameForm::Milliseconds);
        assert_eq!(NameForm::from_code(2), NameForm::Numbered(2));
        assert_eq!(NameForm::from_code(0x0100_0000), NameForm::Numbered(0x0100_0000));
        let in_order = |rank, number| NameForm::InOrder { rank, number };
        assert_eq!(NameForm::from_code(0x8000_0001), in_order(NameRank::Second, 1));
        assert_eq!(NameForm::from_code(0x8100_0002), in_order(NameRank::Behind, 2));
        assert_eq!(NameForm::from_code(0x8200_0001), in_order(NameRank::Before, 1));
        assert_eq!(NameForm::from_code(0x8300_0001), NameForm::Numbered(0x8300_0001));
    }

    proptest! {
        #[test]
        fn a_form_comes_back(form in name_form(), code in any::<u32>()) {
            prop_assert_eq!(NameForm::from_code(form.code()), form);
            prop_assert_eq!(NameForm::from_code(code).code(), code);
        }
    }
}
