//! `attach`: loads, attaches, pins and exits; the filter stays.

use anyhow::Result;

use super::{
    Global,
    apply::{self, Applied, Before},
    complain,
    filter_options::FilterOptions,
};
use crate::{kernel::Attached, output};

/// Attach the filter and exit; it stays until it is detached
///
/// Loads the program, attaches it to every interface named, and pins it with its counters
/// below the BPF file system, where `status`, `stats` and `detach` find it. If an earlier run
/// left the filter there, it is adopted: counters survive, and the program is replaced
/// without a packet passing unfiltered. Each attach states the whole policy, for all of the
/// filter's interfaces: an option left out goes back to what the configuration file says, or to
/// its default.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Leaves attached: the filter, on every interface named, until `sip-filter detach` or a reboot.

Examples:
  sip-filter attach -i eth0                          count, drop nothing
  sip-filter attach -i eth0 -i eth1 --drop scanners  drop what known scanners send
  sip-filter attach -i eth0 --ports any --mode skb   any port, on any driver
  sip-filter attach -i eth0 --mode tcx               beside another XDP program
  sip-filter attach --config edge.toml               as a configuration file says
  sip-filter attach -i eth1 --name edge              a second filter, with its own counters")]
pub(super) struct Args {
    #[command(flatten)]
    filter: FilterOptions,
}

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    let instance = global.instance()?;
    let Applied {
        attached:
            Attached {
                interfaces,
                notices,
                logger: _,
            },
        detached: _,
        mode: _,
        group: _,
        policy,
        history: _,
    } = apply::apply(&args.filter, global, false, Before::Stays)?;
    for notice in notices {
        complain(&format!("note: {notice}"));
    }
    output::print(|out| {
        for interface in &interfaces {
            writeln!(
                out,
                "{}: attached in {} mode",
                interface.name, interface.mode
            )?;
        }
        writeln!(out, "{}: {policy}", instance.name())
    })
}
