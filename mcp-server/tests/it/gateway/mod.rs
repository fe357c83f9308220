//! The gateway, in front of real servers: over HTTP in this process, and as programs.

mod carried;
mod cli;
mod hostile;
mod passing;
mod refresh;
mod results;
mod secure;
mod service_map;
mod settings;
mod store;
