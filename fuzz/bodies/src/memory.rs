//! How much memory a call needs at most: an allocator that counts, for the target and the test that ask.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, which notes for each thread how much it has and had at most.
#[derive(Clone, Copy, Debug)]
pub struct Counting;

thread_local! {
    static HAS: Cell<usize> = const { Cell::new(0) };
    static MOST: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is passed on to the system's allocator with the arguments that came; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let has = HAS.get().wrapping_add(layout.size());
        HAS.set(has);
        MOST.set(MOST.get().max(has));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // What another thread had allocated may go below zero: such a thread measures nothing.
        HAS.set(HAS.get().saturating_sub(layout.size()));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(at, layout) }
    }
}

/// How many bytes `call` had allocated at one time, besides those that were there; 0 where the allocator is another.
pub fn most_of(call: impl FnOnce()) -> usize {
    let before = HAS.get();
    MOST.set(before);
    call();
    MOST.get() - before
}
