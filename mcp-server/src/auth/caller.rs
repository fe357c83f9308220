//! In whose name a request is made.

use tokio_util::sync::CancellationToken;

use super::Scope;
use crate::memory::Owner;

/// In whose name a request is made, and what it may do: the authorization context. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Whose data it works on: the tenant.
    pub owner: Owner,
    /// What it may do.
    pub scope: Scope,
    /// Cancelled when the token that it showed is no longer good.
    revoked: Option<CancellationToken>,
}

impl Caller {
    /// Who calls without a token, where none is asked for.
    #[must_use]
    pub fn local() -> Self {
        Self {
            owner: Owner::local(),
            scope: Scope::Admin,
            revoked: None,
        }
    }

    /// Who calls with a token, until it is revoked.
    pub(super) fn with_token(owner: Owner, scope: Scope) -> Self {
        Self {
            owner,
            scope,
            revoked: Some(CancellationToken::new()),
        }
    }

    /// What is cancelled when the caller's token is no longer good; `None` where it showed none.
    #[must_use]
    pub fn revoked(&self) -> Option<&CancellationToken> {
        self.revoked.as_ref()
    }

    pub(super) fn revoke(&self) {
        if let Some(revoked) = &self.revoked {
            revoked.cancel();
        }
    }
}
