//! Memory that was freed goes back to the system. Attaching, or a reading of many sources, takes megabytes
//! for a moment, and the GNU C library would keep most of that for the next one; others give it back
//! by themselves.

/// From so many bytes on a piece of memory is mapped by itself, and unmapped when it is freed. The library
/// would learn from the first large one to do otherwise.
#[cfg(target_env = "gnu")]
const MAPPED: libc::c_int = 1 << 20;

/// Large pieces are given back as soon as they are freed, from now on.
pub(crate) fn keep_no_large_pieces() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it changes how later memory is allocated, and nothing else.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED);
    }
}

/// Gives small pieces back that are free.
pub(crate) fn give_small_pieces_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it touches nothing but what is free.
    unsafe {
        libc::malloc_trim(0);
    }
}
