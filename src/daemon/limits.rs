//! What the system has to let the daemon have (setrlimit(2)), looked at before anything begins: a
//! thread or a buffer that can't be had later is the end.

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};

use super::DaemonError;

/// Address space that the C library sets aside for each of its arenas, of which there are as many
/// as threads, and eight for each processor at most.
const ARENA_BYTES: u64 = 64 << 20;
const ARENAS_PER_PROCESSOR: u64 = 8;
/// Threads that the daemon has with one view, and some more.
const THREADS: u64 = 48;
/// Threads that serve each other one.
const THREADS_PER_VIEW: u64 = 12;
/// Everything else: code, stacks, what is queued and read.
const OTHER_BYTES: u64 = 512 << 20;

/// Refuses to begin where the address space will not suffice.
///
/// # Errors
/// [`DaemonError::AddressSpace`].
pub(super) fn check(views: usize) -> Result<(), DaemonError> {
    let processors = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
    let needed = needed(processors, views);
    // Where the system does not tell it limits nothing.
    let (limit, _) = getrlimit(Resource::RLIMIT_AS).unwrap_or((RLIM_INFINITY, RLIM_INFINITY));
    match limit == RLIM_INFINITY || limit >= needed {
        true => Ok(()),
        false => Err(DaemonError::AddressSpace { limit, needed }),
    }
}

fn needed(processors: u64, views: usize) -> u64 {
    let threads = THREADS + THREADS_PER_VIEW * (views as u64).saturating_sub(1);
    OTHER_BYTES + ARENA_BYTES * threads.min(ARENAS_PER_PROCESSOR * processors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_processors_need_more_up_to_what_threads_there_are() {
        assert_eq!(needed(2, 1), 1536 << 20);
        assert_eq!(needed(8, 1), needed(64, 1));
        assert_eq!(needed(64, 1), 3584 << 20);
        assert_eq!((needed(2, 3), needed(64, 3)), (1536 << 20, 5120 << 20));
    }
}
