//! What the operator wrote, turned into what the kernel takes.
//!
//! Each type parses with a message that names the offending part and what is allowed, and
//! prints itself in one canonical form. Nothing here touches the kernel.

pub mod drop;
pub mod ports;
pub mod prefix;
pub mod signatures;
pub mod span;
