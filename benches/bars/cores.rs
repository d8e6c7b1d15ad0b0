//! Which core a thread runs on, where there is more than one.

use rustix::thread::{CpuSet, Pid, sched_setaffinity};

/// Of what is measured.
pub const SERVER: usize = 0;
/// Of whoever asks.
pub const CLIENT: usize = 1;

/// Keeps this thread, and those that it starts from now on, on one core.
pub fn pin(core: usize) {
    set(None, [core]);
}

/// Keeps another thread, or a process of one thread, on one core.
pub fn pin_other(thread: i32, core: usize) {
    set(Pid::from_raw(thread), [core]);
}

/// Lets this thread, and those that it starts from now on, run where there is room.
pub fn free() {
    set(None, 0..CpuSet::MAX_CPU);
}

fn set(thread: Option<Pid>, cores: impl IntoIterator<Item = usize>) {
    let mut set = CpuSet::new();
    for core in cores {
        set.set(core);
    }
    // A machine of one core has no second; the figures then say little, and are still told.
    let _ = sched_setaffinity(thread, &set);
}
