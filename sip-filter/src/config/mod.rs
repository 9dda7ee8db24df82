//! What the operator wrote, turned into what the kernel takes.
//!
//! Each type parses with a message that names the offending part and what is allowed, and
//! prints itself in one canonical form. Nothing here touches the kernel.

pub mod configuration;
pub mod drop;
pub mod file;
pub mod interface;
pub mod keep;
pub mod listen;
mod meant;
pub mod mode;
pub mod ports;
pub mod prefix;
pub mod readers;
pub mod signatures;
pub mod size;
pub mod span;
pub mod text;
mod unit;
