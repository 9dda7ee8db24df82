//! Reports of a history: what came over months, as the bulletin of the Japanese National Police Agency
//! of 10 March 2016 on probes for SIP servers shows it, from an operator's own traffic.
//!
//! [`span`] says of what time, [`numbers`] what is in it, and [`layout`] what of that is shown: figures
//! and tables, which [`terminal`] and [`html`] (with [`chart`]) draw alike.

pub mod chart;
pub mod html;
pub mod layout;
pub mod numbers;
pub mod span;
pub mod terminal;
