//! Fixed fields of headers: each begins where the one before it ends, so that no offset is
//! written down twice.

/// Names consecutive byte ranges, and `END` behind the last one.
macro_rules! fields {
    ($($(#[$doc:meta])* $name:ident: $length:expr),+ $(,)?) => {
        fields!(@next 0; $($(#[$doc])* $name: $length,)+);
    };
    (@next $at:expr; $(#[$doc:meta])* $name:ident: $length:expr, $($rest:tt)*) => {
        $(#[$doc])*
        const $name: std::ops::Range<usize> = $at..$at + $length;
        fields!(@next $name.end; $($rest)*);
    };
    (@next $at:expr;) => {
        /// Behind the last field.
        const END: usize = $at;
    };
}
pub(super) use fields;

/// Writes a little-endian number or raw bytes into its field.
pub(super) fn put<const N: usize>(page: &mut [u8], field: std::ops::Range<usize>, bytes: [u8; N]) {
    page[field].copy_from_slice(&bytes);
}

/// The bytes of a field. The field lies within the page by construction of [`fields`].
pub(super) fn get<const N: usize>(page: &[u8], field: std::ops::Range<usize>) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&page[field]);
    bytes
}

pub(super) fn get_u32(page: &[u8], field: std::ops::Range<usize>) -> u32 {
    u32::from_le_bytes(get(page, field))
}

pub(super) fn get_u64(page: &[u8], field: std::ops::Range<usize>) -> u64 {
    u64::from_le_bytes(get(page, field))
}

/// CRC32C of `bytes` with the checksum field itself taken as zeros.
pub(super) fn checksum_around(bytes: &[u8], field: std::ops::Range<usize>) -> u32 {
    let before = crc32c::crc32c(&bytes[..field.start]);
    let zeros = [0; 4];
    let within = crc32c::crc32c_append(before, &zeros[..field.len().min(zeros.len())]);
    crc32c::crc32c_append(within, &bytes[field.end..])
}
