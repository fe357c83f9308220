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
    token: Option<Shown>,
}

/// What is known of the token that a caller showed.
#[derive(Debug, Clone)]
struct Shown {
    /// Tells it from others, and nothing else.
    number: u64,
    /// Cancelled when it is no longer good.
    revoked: CancellationToken,
}

impl Caller {
    /// Who calls without a token, where none is asked for.
    #[must_use]
    pub fn local() -> Self {
        Self {
            owner: Owner::local(),
            scope: Scope::Admin,
            token: None,
        }
    }

    /// Who calls with a token, until it is revoked.
    pub(super) fn with_token(owner: Owner, scope: Scope, number: u64) -> Self {
        Self {
            owner,
            scope,
            token: Some(Shown {
                number,
                revoked: CancellationToken::new(),
            }),
        }
    }

    /// A number that tells the caller's token from others; `None` where it showed none.
    #[must_use]
    pub fn token(&self) -> Option<u64> {
        self.token.as_ref().map(|token| token.number)
    }

    /// What is cancelled when the caller's token is no longer good; `None` where it showed none.
    #[must_use]
    pub fn revoked(&self) -> Option<&CancellationToken> {
        self.token.as_ref().map(|token| &token.revoked)
    }

    pub(super) fn revoke(&self) {
        if let Some(token) = &self.token {
            token.revoked.cancel();
        }
    }
}
