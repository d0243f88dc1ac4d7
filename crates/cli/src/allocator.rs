//! What the C library's allocator keeps, and what it gives back to the kernel.
//!
//! What moves through a backup or a restore lives in pieces of at most 400 KiB, thousands of them
//! in a second, made by one thread and freed by another. Left to itself, glibc gives the end of a
//! heap back when little of it is free and faults it in again a moment later: a quarter of a
//! million pages in a restore of 3 GiB, a fifth of its processor time. It learns from the first
//! large buffer that is freed to keep all large ones on the heap, where what is free between them
//! serves nobody: 10 MiB of a backup. And every core adds heaps, so that memory would depend on the
//! machine. Hence the three settings (mallopt(3)); that a threshold is set also ends the learning.
//! The figures are of `perf stat` and `perf record` on two cores, with the data of `make bench`.

/// Larger than any piece that moves, smaller than the buffers that stay.
const LARGE_BYTES: i32 = 512 * 1024;
/// What the heap may keep at its end. With half of it, a restore faulted in four times as many
/// pages.
const KEPT_BYTES: i32 = 8 * 1024 * 1024;
/// What one thread freed serves the next one. The lock that they share made a restore of 3 GiB with
/// two jobs on two cores wait some two thousand times for a moment.
const HEAPS: i32 = 1;

/// Sets the allocator up; to be called before there is a second thread.
pub fn set_up() {
    for (parameter, value) in [
        (libc::M_MMAP_THRESHOLD, LARGE_BYTES),
        (libc::M_TRIM_THRESHOLD, KEPT_BYTES),
        (libc::M_ARENA_MAX, HEAPS),
    ] {
        // SAFETY: it takes two numbers and keeps no pointer, and this is the only thread.
        #[allow(unsafe_code)]
        // What is refused stays as it was: slower, not wrong.
        let _is_set = unsafe { libc::mallopt(parameter, value) };
    }
}
