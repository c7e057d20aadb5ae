//! Where the tools get their memory from, when they are linked with musl.
//!
//! musl's own allocator keeps little: it asks the kernel for a few pages and gives them back as soon as they are free. A tool
//! that lives for a millisecond spent a fifth of it on mmap(2), munmap(2) and the faults of pages that are touched
//! anew. dlmalloc is as small, and gives back large pieces alone.

#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;
