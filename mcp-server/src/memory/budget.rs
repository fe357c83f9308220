//! The bound on what one answer holds.

use crate::memory::MemoryError;

/// What is left for one answer, in bytes of stored text.
#[derive(Debug)]
pub(in crate::memory) struct Budget {
    bytes_max: usize,
    left: usize,
}

impl Budget {
    pub(in crate::memory) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            left: bytes_max,
        }
    }

    /// Takes `bytes`, or nothing at all when less is left.
    ///
    /// # Errors
    ///
    /// [`MemoryError::AnswerTooLarge`].
    pub(in crate::memory) fn take(&mut self, bytes: usize) -> Result<(), MemoryError> {
        let left = self.left.checked_sub(bytes);
        self.left = left.ok_or(MemoryError::AnswerTooLarge {
            bytes_max: self.bytes_max,
        })?;
        Ok(())
    }
}
