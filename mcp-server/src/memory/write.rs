//! What is made durable together, as one caller sees it.

use super::{MemoryError, Operation, Outcome};
use crate::call::Call;

/// One caller's operations, all of which are done or none.
#[derive(Debug, Clone)]
pub struct Write {
    /// Whose they are, and until when somebody waits for them.
    pub call: Call,
    /// In order; each sees the effects of those before it.
    pub operations: Vec<Operation>,
}

/// One result per operation, in order. `Err` means that nothing of the write was done.
pub type Written = Result<Vec<Result<Outcome, MemoryError>>, MemoryError>;

impl Write {
    /// A write of one operation.
    #[must_use]
    pub fn one(call: &Call, operation: Operation) -> Self {
        Self {
            call: call.clone(),
            operations: vec![operation],
        }
    }

    /// What came of a write of one operation.
    ///
    /// # Errors
    ///
    /// The write's error, or the operation's.
    pub fn only<T: TryFrom<Outcome, Error = MemoryError>>(
        written: Written,
    ) -> Result<T, MemoryError> {
        let outcome = written?.pop().ok_or_else(|| MemoryError::Internal {
            reason: "the store left an operation unanswered".to_owned(),
        })?;
        outcome?.try_into()
    }
}
