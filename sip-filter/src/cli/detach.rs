//! `detach`: takes the filter off and removes what was pinned.

use anyhow::{Context, Result, anyhow, bail};

use super::{Global, Usage, complain, given::Given, hold, named_once, turn::Turn};
use crate::{
    config::interface,
    kernel::{self, Instance, Interface},
    output,
};

/// Take the filter off its interfaces
///
/// Without options, takes the filter off all of its interfaces and removes its counters.
/// With interfaces named, takes it off those; with the last one its counters go too.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Leaves attached: nothing; with -i, the filter on the interfaces that are not named.

Examples:
  sip-filter detach              the filter named `default`, wherever it is attached
  sip-filter detach -i eth0      off one interface
  sip-filter detach --name edge  the filter named `edge`
  sip-filter detach --all        every filter, and what an interrupted attach left")]
pub(super) struct Args {
    /// The interface to detach from; may be given several times
    #[arg(short, long = "interface", value_name = "IFACE")]
    #[arg(value_parser = interface::name)]
    interfaces: Vec<String>,
    /// Every filter, whatever its name, and what an interrupted attach left behind
    #[arg(long, conflicts_with = "interfaces")]
    all: bool,
}

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    named_once(&args.interfaces)?;
    if args.all {
        if global.name.is_some() {
            bail!(Usage("--all is every filter: leave out --name".to_owned()));
        }
        return all(global);
    }
    let instance = global.instance()?;
    let interfaces = Some(&*args.interfaces).filter(|interfaces| !interfaces.is_empty());
    detach(global, &instance, interfaces)
}

/// Detaches, says so, and forgets what was asked for.
fn detach(global: &Global, instance: &Instance, interfaces: Option<&[String]>) -> Result<()> {
    let _turn = Turn::wait(&global.state)?;
    let detached = kernel::detach(instance, interfaces)?;
    report(instance, &detached)?;
    let is_gone = !instance.dir().exists();
    if is_gone {
        hold::clear(&global.state, instance.name());
    }
    let interfaces = interfaces.unwrap_or_default();
    Given::detached(&global.state, instance.name(), interfaces, is_gone)
}

/// Detaches every instance, those after one that fails too.
fn all(global: &Global) -> Result<()> {
    let names = kernel::instances(&global.bpffs)?;
    if names.is_empty() {
        return output::print(|out| writeln!(out, "nothing was attached"));
    }
    let mut failed = Vec::new();
    for name in names {
        let done = Instance::new(&global.bpffs, &name)
            .and_then(|instance| detach(global, &instance, None))
            .with_context(|| format!("instance {name}"));
        if let Err(error) = done {
            complain(&format!("error: {error:#}"));
            failed.push(name);
        }
    }
    match failed.is_empty() {
        true => Ok(()),
        false => Err(anyhow!(
            "not everything is detached ({}); see above, and try again",
            failed.join(", ")
        )),
    }
}

fn report(instance: &Instance, detached: &[Interface]) -> Result<()> {
    output::print(|out| {
        for interface in detached {
            writeln!(out, "{}: detached", interface.name)?;
        }
        if detached.is_empty() {
            writeln!(out, "{}: nothing was attached", instance.name())?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_filter_is_not_one_filter() {
        let global = Global {
            name: Some("edge".to_owned()),
            bpffs: "/nowhere".into(),
            state: "/nonexistent".into(),
        };
        let args = Args {
            interfaces: Vec::new(),
            all: true,
        };
        let error = run(&args, &global).unwrap_err();
        assert!(error.is::<Usage>(), "{error}");
    }
}
