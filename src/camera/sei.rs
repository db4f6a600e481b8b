//! Messages beside pictures (supplemental enhancement information): where decoding can begin
//! without a key picture. The same in H.264 and H.265. Pure.

/// So much of a unit of messages is looked at, in bytes.
pub(super) const MESSAGES_BYTES: usize = 4 << 10;
/// The type of a recovery point (ITU-T H.264, D.1.1; H.265, D.2.1).
const RECOVERY_POINT: usize = 6;

/// What the first recovery point says among messages without their unit's header (ITU-T H.264,
/// 7.3.2.3.1; H.265, 7.3.5).
pub(super) fn recovery_point(mut messages: &[u8]) -> Option<&[u8]> {
    loop {
        let kind = number(&mut messages)?;
        let length = number(&mut messages)?;
        if kind == RECOVERY_POINT {
            return messages.get(..length);
        }
        messages = messages.get(length..)?;
    }
}

/// Bytes that are added, up to one below 255.
fn number(bytes: &mut &[u8]) -> Option<usize> {
    let mut sum = 0;
    loop {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        sum += usize::from(*byte);
        if *byte != 0xff {
            return Some(sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recovery_point_is_found_among_other_messages() {
        let long = [&[5, 0xff, 1][..], &[0xaa; 256], &[6, 2, 0x84, 0x40, 0x80]].concat();
        assert_eq!(recovery_point(&long), Some(&[0x84, 0x40][..]));
        assert_eq!(recovery_point(&[6, 1, 0xc4, 0x80]), Some(&[0xc4][..]));
        for none in [&[1, 1, 9, 0x80][..], &[6, 9, 1], &[0xff; 40], &[5, 0xff, 0xff, 3], &[]] {
            assert_eq!(recovery_point(none), None, "{none:x?}");
        }
    }
}
