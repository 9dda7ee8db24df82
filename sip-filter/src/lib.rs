//! The loader: attaches the XDP program, feeds it signatures and policy, and shows what it
//! saw.
//!
//! [`cli`] is one file a verb and calls into the rest. [`config`] turns what the operator
//! wrote into what the kernel takes. [`lists`] keeps who may always call, and who may not. [`kernel`]
//! loads, attaches, pins and reads the maps.
//! [`events`] puts into words what the kernel reports, and [`geoip`] knows where addresses are.
//! [`history`] keeps what was counted over months, and [`report`] shows it.
//! [`stats`] makes one [`stats::Snapshot`] of them, which [`output`] renders. [`capture`] reads
//! files of packets, and [`replay`] runs them through the filter. [`top`] shows a running one on the
//! whole terminal, and [`http`] answers those who watch from elsewhere.

#![cfg_attr(
    test,
    expect(clippy::unwrap_used, reason = "a test that meets an error panics")
)]

mod access;
pub mod capture;
pub mod cli;
pub mod config;
pub mod escape;
pub mod events;
pub mod explain;
pub mod geoip;
pub mod history;
pub mod http;
pub mod kernel;
pub mod lists;
mod memory;
mod number;
pub mod output;
pub mod replay;
pub mod report;
pub mod stats;
pub mod top;
