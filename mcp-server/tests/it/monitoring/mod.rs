//! What the server knows of itself, told by a server that runs.

mod status;
