//! In whose name a request is made: bearer tokens (RFC 6750).

use axum::{extract::Request, response::Response};
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header, request::Parts};
use rmcp::model::RequestId;

use super::body::{self, plain};
use crate::{
    auth::{Caller, Scope, Tokens},
    protocol::{Envelope, REFUSED, Scopes, error_response, insufficient_scope_message},
};

/// How a token would be sent in a query (RFC 6750 §2.3), from where it gets into logs.
const IN_QUERY: &str = "access_token=";
const HOW_TO_SEND: &str = "send `Authorization: Bearer TOKEN` with a token that \
    `mcp-server token add` has made";

/// Which tokens open what.
#[derive(Debug, Clone)]
pub struct Auth {
    /// The tokens that are good.
    pub tokens: Tokens,
    /// Whether one must be shown; else who shows none is [`Caller::local`].
    pub required: bool,
    /// What requests take.
    pub scopes: Scopes,
}

/// Why a request has no caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// No token was shown.
    Missing,
    /// What was shown is no token, or no longer one.
    Invalid,
    /// It was shown in a way in which tokens are not.
    Malformed(&'static str),
}

impl Auth {
    /// Puts the caller into the request's head, if it shows a token.
    ///
    /// # Errors
    ///
    /// [`Refused`], ready to be sent.
    pub(super) fn admit<B>(&self, request: &mut Request<B>) -> Result<Option<Caller>, Refused> {
        let caller = self.caller(request.uri(), request.headers())?;
        if let Some(caller) = &caller {
            // Nothing behind this sees the token.
            request.headers_mut().remove(header::AUTHORIZATION);
            request.extensions_mut().insert(caller.clone());
        }
        Ok(caller)
    }

    /// `None`: who shows no token where none is asked for.
    fn caller(&self, uri: &Uri, headers: &HeaderMap) -> Result<Option<Caller>, Refused> {
        let query = uri.query().unwrap_or_default();
        if query.split('&').any(|pair| pair.starts_with(IN_QUERY)) {
            return Err(Refused::Malformed("a token does not belong into a query"));
        }
        let mut shown = headers.get_all(header::AUTHORIZATION).iter();
        match (shown.next(), shown.next()) {
            (None, _) if self.required => Err(Refused::Missing),
            (None, _) => Ok(None),
            (Some(_), Some(_)) => Err(Refused::Malformed("there are two Authorization headers")),
            (Some(shown), None) => {
                let token = bearer(shown).ok_or(Refused::Invalid)?;
                let caller = self.tokens.caller(token).ok_or(Refused::Invalid)?;
                Ok(Some(caller))
            }
        }
    }

    /// What the request takes, if its caller may not do that much.
    pub(super) fn missing_scope(&self, head: &Parts, envelope: &Envelope<'_>) -> Option<Scope> {
        let caller = head.extensions.get::<Caller>()?;
        if caller.scope == Scope::Admin {
            return None;
        }
        let required = self.scopes.required(envelope);
        (caller.scope < required).then_some(required)
    }
}

impl Refused {
    pub(super) fn response(self) -> Response {
        let (status, challenge, message) = match self {
            Self::Missing => (
                StatusCode::UNAUTHORIZED,
                // Without an error code, as nothing was tried (RFC 6750 §3.1).
                "Bearer realm=\"mcp-server\", scope=\"read\"".to_owned(),
                format!("a token is needed: {HOW_TO_SEND}"),
            ),
            Self::Invalid => (
                StatusCode::UNAUTHORIZED,
                error("invalid_token", "the token is unknown or was revoked"),
                format!("the token is unknown or was revoked: {HOW_TO_SEND}"),
            ),
            Self::Malformed(reason) => (
                StatusCode::BAD_REQUEST,
                error("invalid_request", reason),
                format!("{reason}: {HOW_TO_SEND}"),
            ),
        };
        challenged(plain(status, message), &challenge)
    }
}

/// The refusal of a request that takes more than its caller may do.
pub(super) fn insufficient_scope(required: Scope, id: Option<&RequestId>) -> Response {
    let message = insufficient_scope_message(required);
    let refusal = error_response(id, REFUSED, &message);
    let challenge = error("insufficient_scope", &message.replace('`', "'"));
    let challenge = format!("{challenge}, scope=\"{required}\"");
    challenged(body::json(StatusCode::FORBIDDEN, refusal), &challenge)
}

fn error(code: &str, description: &str) -> String {
    format!("Bearer realm=\"mcp-server\", error=\"{code}\", error_description=\"{description}\"")
}

fn challenged(mut response: Response, challenge: &str) -> Response {
    let challenge = HeaderValue::from_str(challenge).expect("it is made of visible text");
    response
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, challenge);
    response
}

/// The token of the one scheme that there is (RFC 6750 §2.1), whose name has no case.
fn bearer(value: &HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let token = token.trim_start_matches(' ');
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_from_one_header_of_one_scheme() {
        let check = |value: &str, expect: Option<&str>| {
            assert_eq!(bearer(&value.parse().unwrap()), expect, "{value}");
        };
        check("Bearer abc", Some("abc"));
        check("bearer  abc", Some("abc"));
        check("BEARER a b", Some("a b"));
        for odd in [
            "",
            "Bearer",
            "Bearer ",
            "Basic abc",
            "abc",
            "Bearerabc",
            "Bearer\tabc",
        ] {
            check(odd, None);
        }
    }
}
