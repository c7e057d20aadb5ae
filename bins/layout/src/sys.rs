//! The one place with `unsafe`: what no safe crate offers.

/// Gives SIGPIPE its default action back: to end the process.
pub fn default_sigpipe() {
    // SAFETY: SIG_DFL is no handler, so there is no code of ours that would have to be safe to run at any moment.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}
