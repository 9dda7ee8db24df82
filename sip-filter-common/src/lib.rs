//! What the XDP program and its loader share.
//!
//! [`abi`] is the layout of every map, declared once for both sides. [`sip`] and [`tool`]
//! are the vocabulary. [`packet`] reads a frame's headers and [`classify`](mod@classify) its
//! payload: the kernel runs them on packet memory, the host on byte slices, and both get the same
//! answer. [`lists`] and [`sender`] say what is known of its source, by [`rules`] that the operator
//! wrote; [`verdict`] turns what was found and what was asked for into what happens to the packet.
//!
//! Nothing here allocates, panics or knows where a packet came from.

#![no_std]

pub mod abi;
pub mod address;
pub mod classify;
pub mod field;
pub mod frame;
pub mod lists;
pub mod packet;
pub mod payload;
pub mod rules;
pub mod sender;
pub mod signature;
pub mod sip;
pub mod sketch;
pub mod tool;
pub mod verdict;

mod header_name;
mod perfect_hash;
pub mod swar;
