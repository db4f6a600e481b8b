//! Pictures that lead a key picture: they follow it, are shown before it, and need some from before
//! it. Pure.

use super::open_picture::Access;

/// Pictures that a decoder can put back in order (ITU-T H.264, A.3.1 `MaxDpbFrames`): a camera
/// whose times go back for longer has another reason.
const REORDERED_MAX: usize = 16;

/// The pictures of one track, as they come.
#[derive(Default)]
pub(super) struct Leading {
    /// What is shown before that time leads an open key picture.
    open_key: Option<OpenKey>,
}

/// A key picture behind which pictures may come that are shown before it.
#[derive(Clone, Copy)]
struct OpenKey {
    time: i64,
    /// So many more can.
    room: usize,
}

impl Leading {
    /// Takes the next picture. Answers whether it leads the key picture that it follows: by its
    /// type, or because it comes behind an open one.
    pub(super) fn take(&mut self, access: Access, time: i64) -> bool {
        match (access, &mut self.open_key) {
            (Access::Leading, _) => return true,
            (Access::Key | Access::Recovery, _) => self.open_key = None,
            (Access::OpenKey, _) => self.open_key = Some(OpenKey { time, room: REORDERED_MAX }),
            (Access::None, Some(key)) if time < key.time && key.room > 0 => {
                key.room -= 1;
                return true;
            }
            (Access::None, _) => self.open_key = None,
        }
        false
    }
}
