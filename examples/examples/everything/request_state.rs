//! State which the client carries between two rounds of one request. What comes
//! back is untrusted, so it is signed and bound to the tool that issued it.

use rmcp::{
    ErrorData,
    model::{RequestStateCodec, SealOptions},
};
use serde::{Serialize, de::DeserializeOwned};

/// Published, like everything else here. A real server keeps its key secret.
const KEY: &[u8] = b"the everything fixture signs but protects nothing";

/// Signs and checks request states.
#[derive(Debug)]
pub(crate) struct Seal(RequestStateCodec);

impl Default for Seal {
    fn default() -> Self {
        Self(RequestStateCodec::try_new(KEY).expect("the key is longer than the minimum"))
    }
}

impl Seal {
    /// Signs `state` so that only `owner` can open it.
    pub(crate) fn close<T: Serialize>(&self, owner: &str, state: &T) -> Result<String, ErrorData> {
        self.0
            .seal_json_with(state, &SealOptions::new().associated_data(owner.as_bytes()))
            .map_err(|error| ErrorData::internal_error(error.to_string(), None))
    }

    /// Opens what [`close`](Self::close) made for the same `owner`; anything else
    /// is the client's error.
    pub(crate) fn open<T: DeserializeOwned>(
        &self,
        owner: &str,
        sealed: &str,
    ) -> Result<T, ErrorData> {
        self.0
            .open_json_with(sealed, owner.as_bytes())
            .map_err(|_| {
                ErrorData::invalid_params("requestState was not issued by this tool", None)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_what_it_closed_for_the_same_owner() {
        let seal = Seal::default();
        let sealed = seal.close("first", &3_u8).unwrap();
        assert_eq!(seal.open::<u8>("first", &sealed).unwrap(), 3);
        assert!(seal.open::<u8>("second", &sealed).is_err());
        assert!(seal.open::<u8>("first", &format!("{sealed}x")).is_err());
    }
}
