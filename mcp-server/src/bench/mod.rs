//! Benchmarks of the server as its users meet it: a load generator, what agents ask for, and
//! reports that compare.
//!
//! | room | what lives there |
//! |---|---|
//! | [`random`], [`corpus`], [`trace`] | what is asked for, the same in every run |
//! | [`client`], [`pace`], [`load`], [`latency`] | the load generator |
//! | [`agent`], [`history`], [`verify`] | an agent at work, what it saw, and whether that was true |
//! | [`server`], [`usage`], [`fill`] | the server that is measured, what it uses, its memories |
//! | [`upstream`] | other servers, for the gateway to stand in front of |
//! | [`inside`] | the same from inside, while the server serves others |
//! | [`profile`], [`measure`], [`report`] | what can be run, and what was found |

pub mod agent;
pub mod client;
pub mod corpus;
pub mod error;
pub mod fill;
pub mod history;
pub mod inside;
pub mod latency;
pub mod load;
pub mod measure;
pub mod pace;
pub mod profile;
pub mod random;
pub mod report;
pub mod server;
pub mod trace;
pub mod upstream;
pub mod usage;
pub mod verify;
