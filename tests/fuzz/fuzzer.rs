//! libFuzzer around one of the targets: that which `REELFS_FUZZ_TARGET` names.
#![no_main]

mod targets;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use targets::{TARGETS, Target};

/// The most that may be asked for at once, in bytes: whatever an input of a few KB says, no more
/// than this may hang on it. Above the 14 MiB of the ring in memory.
const ALLOCATION_BYTES_MAX: usize = 64 << 20;

/// Refuses what is too much, which ends the process and leaves the input as a finding.
struct Bounded;

// SAFETY: everything is left to the system's allocator, or refused with a null pointer, as the
// trait allows.
unsafe impl GlobalAlloc for Bounded {
    // SAFETY: as the trait has it.
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() > ALLOCATION_BYTES_MAX {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller keeps the trait's rules.
        unsafe { System.alloc(layout) }
    }

    // SAFETY: as the trait has it.
    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the trait's rules.
        unsafe { System.dealloc(place, layout) }
    }

    // SAFETY: as the trait has it.
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.size() > ALLOCATION_BYTES_MAX {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller keeps the trait's rules.
        unsafe { System.alloc_zeroed(layout) }
    }
}

#[global_allocator]
static BOUNDED: Bounded = Bounded;

fn target() -> &'static Target {
    static CHOSEN: OnceLock<&'static Target> = OnceLock::new();
    CHOSEN.get_or_init(|| {
        let wanted = std::env::var("REELFS_FUZZ_TARGET").unwrap_or_default();
        let names = TARGETS.map(|target| target.name).join(" ");
        let found = TARGETS.iter().find(|target| target.name == wanted);
        let Some(target) = found else {
            eprintln!("REELFS_FUZZ_TARGET has to be one of {names}");
            std::process::exit(2);
        };
        if target.catches {
            // libFuzzer's own hook ends the process before a panic can be caught. What is not
            // caught still does.
            std::panic::set_hook(Box::new(|_| ()));
        }
        target
    })
}

fuzz_target!(
    init: {
        target();
    },
    |data: &[u8]| (target().run)(data)
);
