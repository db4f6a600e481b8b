//! The call that is under way, as its requests see it: who makes it, and what it is answered.

use std::sync::Mutex;

use fuser::Errno;

use super::super::lock;
use super::news::{Event, News};
use crate::view::Inode;

/// What a lookup of the process finds.
#[derive(Debug)]
pub(in crate::mount) enum Looked {
    /// The clip that is to appear.
    Clip(News),
    /// What is gone already, and is to be seen going.
    Leaving(Inode),
    /// Nothing, or the answer that only the daemon gives.
    Error(Errno),
}

/// What a request that would change the tree is.
#[derive(Debug)]
pub(in crate::mount) enum Mine {
    /// The call under way: what it says is so already.
    Call(News),
    /// One that was given up, and is to change nothing.
    TooLate,
}

/// What the process hears in place of "not found" when its name was known: no other file system
/// answers that, so that a call never goes to what is below a mount that is gone.
pub(super) const KNOWN: i32 = libc::EINPROGRESS;

/// See the [module](self).
#[derive(Default)]
pub(in crate::mount) struct Calls(Mutex<State>);

#[derive(Default)]
struct State {
    call: Option<Call>,
    /// The process that has last proved to be it, by its number in the namespace of the mount.
    caller: Option<u32>,
}

struct Call {
    news: News,
    token: String,
    /// Who has looked the token up. A process in a system call makes no other, and no other
    /// process has its number meanwhile.
    caller: Option<u32>,
    is_answered: bool,
}

impl Calls {
    /// A call is made next; answers the name by which it is known.
    pub(super) fn begin(&self, news: &News) -> String {
        let token = uuid::Uuid::new_v4().simple().to_string();
        let (news, own) = (news.clone(), token.clone());
        lock(&self.0).call = Some(Call { news, token: own, caller: None, is_answered: false });
        token
    }

    /// It is over, or given up; answers whether it came to its request.
    pub(super) fn end(&self) -> bool {
        lock(&self.0).call.take().is_some_and(|call| call.is_answered)
    }

    /// The process has ended: its number may be anybody's.
    pub(super) fn caller_ended(&self) {
        let mut state = lock(&self.0);
        state.caller = None;
        if let Some(call) = &mut state.call {
            call.caller = None;
        }
    }

    /// What a lookup finds, where it is one of `.announce`, or of the call under way.
    pub(in crate::mount) fn look_up(&self, asker: u32, parent: u64, name: &str) -> Option<Looked> {
        let mut state = lock(&self.0);
        if parent == Inode::Announce.word() {
            return Some(state.present(asker, name).unwrap_or(Looked::Error(Errno::ENOENT)));
        }
        let call = state.call.as_ref().filter(|call| call.is_by(asker) && !call.is_answered)?;
        if (call.news.parent, &*call.news.name) != (parent, name) {
            return None;
        }
        Some(match call.news.event {
            Event::Listed | Event::Made => Looked::Error(Errno::ENOENT),
            Event::Gone => Looked::Leaving(Inode::Leaving),
            Event::Dropped => Looked::Leaving(Inode::LeavingDirectory),
        })
    }

    /// Whether a request that would change the tree is one of the process.
    pub(in crate::mount) fn answer(
        &self,
        asker: u32,
        event: Event,
        (parent, name): (u64, &str),
    ) -> Option<Mine> {
        let mut state = lock(&self.0);
        let caller = state.caller;
        let call = state.call.as_mut().filter(|call| {
            let news = &call.news;
            call.is_by(asker)
                && !call.is_answered
                && (news.event, news.parent, &*news.name) == (event, parent, name)
        });
        match call {
            Some(call) => {
                call.is_answered = true;
                Some(Mine::Call(call.news.clone()))
            }
            None => (caller == Some(asker)).then_some(Mine::TooLate),
        }
    }
}

impl Call {
    fn is_by(&self, asker: u32) -> bool {
        self.caller == Some(asker)
    }
}

impl State {
    /// Somebody knows a name in `.announce`. Who has no number is outside the namespace of the
    /// mount, and can't be told from others.
    fn present(&mut self, asker: u32, name: &str) -> Option<Looked> {
        let call = self.call.as_mut().filter(|call| call.token == name && asker != 0)?;
        if call.caller.is_some() {
            return None;
        }
        call.caller = Some(asker);
        self.caller = Some(asker);
        Some(match call.news.event {
            Event::Listed => Looked::Clip(call.news.clone()),
            _ => Looked::Error(Errno::from_i32(KNOWN)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: u32 = 7;
    const OTHER: u32 = 8;

    fn news(event: Event) -> News {
        News { event, parent: 5, inode: 6, name: "a.mp4".into() }
    }

    fn announce() -> u64 {
        Inode::Announce.word()
    }

    #[test]
    fn a_name_is_known_once_and_by_one() {
        let calls = Calls::default();
        let token = calls.begin(&news(Event::Listed));
        for (asker, name) in [(OTHER, "guessed"), (0, token.as_str())] {
            let found = calls.look_up(asker, announce(), name);
            assert!(matches!(found, Some(Looked::Error(errno)) if errno == Errno::ENOENT));
        }
        assert!(matches!(calls.look_up(OWN, announce(), &token), Some(Looked::Clip(_))));
        let again = calls.look_up(OTHER, announce(), &token);
        assert!(matches!(again, Some(Looked::Error(errno)) if errno == Errno::ENOENT));
        assert!(calls.look_up(OTHER, 5, "a.mp4").is_none(), "others find what is there");
        assert!(calls.look_up(OWN, 5, "b.mp4").is_none());
        assert!(matches!(calls.look_up(OWN, 5, "a.mp4"), Some(Looked::Error(_))));
        assert!(calls.answer(OTHER, Event::Listed, (5, "a.mp4")).is_none());
        assert!(matches!(calls.answer(OWN, Event::Listed, (5, "a.mp4")), Some(Mine::Call(_))));
        assert!(calls.look_up(OWN, 5, "a.mp4").is_none(), "now it is there for it, too");
        assert!(calls.end());
        assert!(!calls.end());
    }

    #[test]
    fn a_call_that_comes_when_it_was_given_up_changes_nothing() {
        let calls = Calls::default();
        let token = calls.begin(&news(Event::Gone));
        let known = calls.look_up(OWN, announce(), &token);
        assert!(matches!(known, Some(Looked::Error(errno)) if errno.code() == KNOWN));
        assert!(!calls.end());
        assert!(matches!(calls.answer(OWN, Event::Gone, (5, "a.mp4")), Some(Mine::TooLate)));
        assert!(calls.answer(OTHER, Event::Gone, (5, "a.mp4")).is_none(), "somebody's rm");
        calls.begin(&news(Event::Gone));
        assert!(matches!(calls.answer(OWN, Event::Gone, (5, "a.mp4")), Some(Mine::TooLate)));
        calls.caller_ended();
        assert!(calls.answer(OWN, Event::Gone, (5, "a.mp4")).is_none(), "another process by now");
    }
}
