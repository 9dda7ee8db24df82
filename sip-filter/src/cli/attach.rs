//! `attach`: loads, attaches, pins and exits; the filter stays.

use anyhow::Result;

use super::{Global, complain, filter_options::FilterOptions, interface_name, named_once};
use crate::{kernel::Attached, output};

/// Attach the filter and exit; it stays until it is detached
///
/// Loads the program, attaches it to every interface named, and pins it with its counters
/// below the BPF file system, where `status`, `stats` and `detach` find it. If an earlier run
/// left the filter there, it is adopted: counters survive, and the program is replaced
/// without a packet passing unfiltered. Each attach states the whole policy, for all of the
/// filter's interfaces: an option left out goes back to its default.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Leaves attached: the filter, on every interface named, until `sip-filter detach` or a reboot.

Examples:
  sip-filter attach -i eth0                          count, drop nothing
  sip-filter attach -i eth0 -i eth1 --drop scanners  drop what known scanners send
  sip-filter attach -i eth0 --ports any --mode skb   any port, on any driver
  sip-filter attach -i eth1 --name edge              a second filter, with its own counters")]
pub(super) struct Args {
    /// The interface to attach to; may be given several times
    #[arg(short, long = "interface", value_name = "IFACE", required = true)]
    #[arg(value_parser = interface_name)]
    interfaces: Vec<String>,
    #[command(flatten)]
    filter: FilterOptions,
}

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    named_once(&args.interfaces)?;
    let instance = global.instance()?;
    let Attached {
        interfaces,
        notices,
        logger: _,
    } = args
        .filter
        .attach(&instance, &global.state, &args.interfaces, false)?;
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
        writeln!(out, "{}: {}", instance.name(), args.filter.policy())
    })
}
