//! The room that talks to the kernel: loads, attaches, pins, replaces, and reads the maps.
//!
//! It takes what the operator asked for in values ([`Load`]) and gives values back; nothing
//! outside it knows of file descriptors, pins or netlink. Every error carries its cause and
//! the next step.

mod attach;
mod carry;
mod condition;
mod events;
mod filter;
mod hook;
mod instance;
mod interface;
mod link;
mod lists;
mod load;
mod logger;
mod pinned;
mod pins_watch;
mod preflight;
mod privileges;
mod share;
mod sources;
mod syscall;
mod watch;

pub use attach::{Again, Attached, attach, attach_again, detach, forget_dead_links, links};
pub use condition::{Attachment, Condition, Fill, Other, Program};
pub use events::Reports;
pub use filter::Filter;
pub use hook::Hook;
pub use instance::{Instance, instances};
pub use interface::{AttachedMode, Interface, index_of, is_up, name_of};
pub use lists::{Held, RunningLists};
pub use load::{Load, Loaded, TEST_RUN_LENGTHS};
pub use logger::Logger;
pub use pins_watch::PinsWatch;
pub use privileges::{Kept, give_up_others};
pub use share::share;
pub use syscall::{monotonic_ns, random};
pub use watch::{InterfaceChange, InterfaceState, InterfaceWatch};

use std::fmt;

/// How the operator asked to attach.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Native where the driver can, otherwise skb.
    Auto,
    /// In the driver, before the kernel allocates a socket buffer.
    Native,
    /// In the network stack, on a socket buffer: works on every interface.
    Skb,
    /// Behind XDP in the network stack, beside whatever else is there: works on every Ethernet
    /// interface. Linux 6.6 and later.
    Tcx,
    /// On the network card itself.
    Hw,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Native => "native",
            Self::Skb => "skb",
            Self::Tcx => "tcx",
            Self::Hw => "hw",
        })
    }
}
