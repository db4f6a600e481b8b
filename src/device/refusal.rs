//! What a device says no to: one place of it, or whatever is asked of it.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// What the system said, of which device, and why where that is known.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}{}", path.display(), why.map_or(String::new(), |why| format!(": {why}")))]
struct Refusal {
    path: PathBuf,
    source: io::Error,
    why: Option<&'static str>,
}

/// An error of the system with the path that it is of, and a reason that it does not tell.
pub(super) fn named(path: &Path, source: io::Error, why: Option<&'static str>) -> io::Error {
    io::Error::new(source.kind(), Refusal { path: path.to_owned(), source, why })
}

/// The number of the error, also of one that was [`named`].
pub(super) fn errno(error: &io::Error) -> Option<i32> {
    let named = || error.get_ref()?.downcast_ref::<Refusal>()?.source.raw_os_error();
    error.raw_os_error().or_else(named)
}

/// Whether the error may be that of one place, as a bad sector is, so that another place is worth
/// a try. No room, no permission, a medium that takes no writes say nothing about any place.
#[must_use]
pub fn is_of_one_place(error: &io::Error) -> bool {
    match errno(error) {
        // What the kernel makes of the states of a disk (block/blk-core.c, blk_errors), and file
        // systems of checksums that are wrong.
        Some(number) => matches!(
            number,
            libc::EIO
                | libc::EREMOTEIO
                | libc::ENODATA
                | libc::EILSEQ
                | libc::ETIMEDOUT
                | libc::EBADMSG
                | libc::EUCLEAN
        ),
        None => !matches!(
            error.kind(),
            ErrorKind::StorageFull
                | ErrorKind::QuotaExceeded
                | ErrorKind::ReadOnlyFilesystem
                | ErrorKind::PermissionDenied
                | ErrorKind::InvalidInput
                | ErrorKind::FileTooLarge
                | ErrorKind::NotConnected
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(number: i32) -> io::Error {
        io::Error::from_raw_os_error(number)
    }

    #[test]
    fn a_bad_sector_is_of_one_place_and_a_full_file_system_is_not() {
        for number in [libc::EIO, libc::EREMOTEIO, libc::ENODATA, libc::EILSEQ, libc::EUCLEAN] {
            assert!(is_of_one_place(&raw(number)), "{}", raw(number));
            assert!(is_of_one_place(&named(Path::new("/ring"), raw(number), None)));
        }
        for number in [
            libc::ENOSPC,
            libc::EDQUOT,
            libc::EINVAL,
            libc::EPERM,
            libc::EROFS,
            libc::EFBIG,
            libc::ENODEV,
        ] {
            assert!(!is_of_one_place(&raw(number)), "{}", raw(number));
            assert!(!is_of_one_place(&named(Path::new("/ring"), raw(number), None)));
        }
    }

    #[test]
    fn an_error_has_its_path_the_system_s_word_and_the_reason() {
        let error = named(Path::new("/ring"), raw(libc::ENOSPC), Some("shared"));
        assert_eq!(error.to_string(), "/ring: No space left on device (os error 28): shared");
        assert_eq!((error.kind(), errno(&error)), (ErrorKind::StorageFull, Some(libc::ENOSPC)));
    }
}
