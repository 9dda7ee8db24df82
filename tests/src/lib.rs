//! What the end-to-end tests and the demo are made of.
//!
//! [`packet`] and [`messages`] say what is on the wire, [`capture`] what of it a file holds.
//! [`mutation`] changes messages in ways that are hard to read, and [`hostile`] holds some that are
//! meant to be. [`corpus`] is what real programs have sent, recorded once, and [`torture`] what the
//! RFCs thought up. [`namespace`] gives every test a network of its own, in which [`process`] runs
//! programs, [`tools`] the real tools and [`sipp`] one of them as a test has it play, [`registrar`]
//! answers them and [`watch`] counts what passes. [`forged`] sends what names another's address.
//! [`kernel`] is the program alone, without a network. [`sip_filter`] is the loader as its users
//! start it, [`configuration`] what it is given, and [`stats`] what it says; [`http`] asks it as browsers
//! do, [`browser`] is one, and [`prometheus`] is what asks every second. [`tmux`] is a terminal for it,
//! and [`clock`] a clock that is set.
//!
//! Everything here panics with its cause rather than return it: there is nothing else that
//! a test could do. Everything cleans up after itself, whatever ends the test.

pub mod browser;
pub mod capture;
pub mod clock;
pub mod configuration;
pub mod corpus;
pub mod flood;
pub mod forged;
pub mod hostile;
pub mod http;
pub mod kernel;
pub mod messages;
pub mod mmdb;
pub mod mutation;
pub mod namespace;
pub mod offload;
pub mod packet;
pub mod process;
pub mod prometheus;
pub mod registrar;
pub mod sip_filter;
pub mod sipp;
pub mod stats;
pub mod tmux;
pub mod tools;
pub mod torture;
mod vlan;
pub mod watch;

/// How often to do what is done again and again: so many times, or as often as `SIP_FILTER_ROUNDS` says.
pub fn rounds(otherwise: usize) -> usize {
    let asked = std::env::var("SIP_FILTER_ROUNDS").ok();
    asked
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(otherwise)
}
