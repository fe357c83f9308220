//! What fits into a budget of tokens.

use super::{ContextId, LeftOut, LeftOutContext};

/// The most contexts without room that are named.
const NAMED_MAX: usize = 20;

/// A context that may be listed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) revision: u64,
    pub(crate) id: ContextId,
    pub(crate) tokens: u64,
}

/// What fits, in the order in which it came, and what does not.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Packed {
    pub(crate) revisions: Vec<u64>,
    pub(crate) tokens: u64,
    pub(crate) left_out: LeftOut,
}

/// Takes every candidate, the best first, that still fits: one that is too large does not keep
/// smaller ones behind it out.
pub(crate) fn pack(candidates: impl IntoIterator<Item = Candidate>, budget: u64) -> Packed {
    let mut packed = Packed::default();
    for Candidate {
        revision,
        id,
        tokens,
    } in candidates
    {
        if tokens <= budget - packed.tokens {
            packed.tokens += tokens;
            packed.revisions.push(revision);
            continue;
        }
        let out = &mut packed.left_out;
        out.count += 1;
        out.tokens += tokens;
        if out.contexts.len() < NAMED_MAX {
            out.contexts.push(LeftOutContext { id, tokens });
        }
    }
    packed
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn candidates(tokens: &[u64]) -> Vec<Candidate> {
        let numbered = (1..).zip(tokens);
        numbered
            .map(|(revision, tokens)| Candidate {
                revision,
                id: ContextId::from(format!("c{revision}")),
                tokens: *tokens,
            })
            .collect()
    }

    #[test]
    fn what_is_too_large_is_named_and_passed_over() {
        let packed = pack(candidates(&[5, 20, 3, 2, 1]), 10);
        assert_eq!(packed.revisions, [1, 3, 4]);
        assert_eq!(packed.tokens, 10);
        assert_eq!((packed.left_out.count, packed.left_out.tokens), (2, 21));
        let named: Vec<_> = packed.left_out.contexts.iter().map(|c| c.tokens).collect();
        assert_eq!(named, [20, 1]);
    }

    proptest! {
        #[test]
        fn a_budget_is_kept_and_nothing_is_forgotten(
            tokens in prop::collection::vec(0u64..50, 0..80),
            budget in 1u64..400,
        ) {
            let packed = pack(candidates(&tokens), budget);
            prop_assert!(packed.tokens <= budget);
            let all: u64 = tokens.iter().sum();
            prop_assert_eq!(packed.tokens + packed.left_out.tokens, all);
            let out = usize::try_from(packed.left_out.count).unwrap();
            prop_assert_eq!(packed.revisions.len() + out, tokens.len());
            prop_assert_eq!(packed.left_out.contexts.len(), out.min(NAMED_MAX));
            prop_assert!(packed.revisions.is_sorted());
            // Whatever was left out would not fit now either.
            for context in &packed.left_out.contexts {
                prop_assert!(packed.tokens + context.tokens > budget);
            }
        }
    }
}
