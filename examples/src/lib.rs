//! Runnable embeddings; each one is a file or folder in `examples/`.
