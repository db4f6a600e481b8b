//! A thread that gets the disk only when nobody else wants it.

use std::io;

/// `IOPRIO_WHO_PROCESS` of ioprio_set(2): one thread.
const WHO_THREAD: libc::c_int = 1;
/// `IOPRIO_CLASS_IDLE`, in the place of the class.
const CLASS_IDLE: libc::c_int = 3 << 13;

/// Gives the calling thread's reads the idle priority of ioprio_set(2).
///
/// # Errors
/// What the system says; some schedulers know no priorities, and take it all the same.
pub fn give_way() -> io::Result<()> {
    // SAFETY: no pointer is passed; 0 stands for the calling thread.
    let answer = unsafe { libc::syscall(libc::SYS_ioprio_set, WHO_THREAD, 0, CLASS_IDLE) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thread_has_the_idle_class_afterwards_and_others_have_not() {
        let class = || {
            // SAFETY: no pointer is passed.
            let priority = unsafe { libc::syscall(libc::SYS_ioprio_get, WHO_THREAD, 0) };
            priority as libc::c_int & (7 << 13)
        };
        let inside = std::thread::spawn(move || {
            give_way().expect("the system takes it");
            class()
        });
        assert_eq!(inside.join().expect("no panic"), CLASS_IDLE);
        assert_ne!(class(), CLASS_IDLE);
    }
}
