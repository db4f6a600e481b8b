//! Names, as the kernel asks for them.

use std::ffi::OsStr;

use fuser::Errno;

/// The longest name, in bytes: NAME_MAX, and what `statfs` says.
pub(super) const NAME_BYTES_MAX: u32 = 255;

/// A name that something may have. The kernel looks each one up before it asks for anything to be
/// made, or moved, there: what is refused here is refused for all of them.
pub(super) fn name_of(name: &OsStr) -> Result<&str, Errno> {
    match name.to_str() {
        _ if name.len() > NAME_BYTES_MAX as usize => Err(Errno::ENAMETOOLONG),
        Some(name) => Ok(name),
        // No clip's name is anything but UTF-8.
        None => Err(Errno::ENOENT),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn a_name_is_utf_8_of_at_most_255_bytes() {
        let longest = "\u{e4}".repeat(127) + "x";
        assert_eq!(name_of(OsStr::new(&longest)), Ok(longest.as_str()));
        let longer = longest.clone() + "x";
        assert_eq!(name_of(OsStr::new(&longer)), Err(Errno::ENAMETOOLONG));
        assert_eq!(name_of(OsStr::from_bytes(&[0xFF; 256])), Err(Errno::ENAMETOOLONG));
        assert_eq!(name_of(OsStr::from_bytes(&[0xFF; 255])), Err(Errno::ENOENT));
    }
}
