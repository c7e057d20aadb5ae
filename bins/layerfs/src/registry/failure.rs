//! Why threads that work together give up: the first error, which stops them all; theirs follow from it.

use crate::registry::explain::{Refused, Unreachable};
use anyhow::{Error, Result};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// Adds what was being done to an error, unless it is a registry's own, which is a sentence that names the image.
pub fn about(error: Error, what: impl FnOnce() -> String) -> Error {
    let is_registrys = error.chain().any(|cause| cause.is::<Refused>() || cause.is::<Unreachable>());
    if is_registrys { error } else { error.context(what()) }
}

/// See the module. Shared by the threads.
#[derive(Default)]
pub struct Failure {
    first: Mutex<Option<Error>>,
    stop: AtomicBool,
}

impl Failure {
    /// Something has failed.
    pub fn set(&self, error: Error) {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.stop.store(true, Ordering::SeqCst);
    }

    /// Whether something has.
    pub fn is_set(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// What failed first, when all have stopped.
    pub fn result(self) -> Result<()> {
        self.first.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }
}
