//! `reload`: gives a running filter its configuration file again.

use anyhow::{Result, bail};

use super::{
    Global,
    apply::{self, Applied, Before},
    complain,
    given::Given,
    turn::Turn,
};
use crate::{
    kernel::{Attached, Filter},
    output,
};

/// Apply the configuration file of the running filter anew
///
/// Reads the file that the filter was attached with, or /etc/sip-filter/config.toml where none was
/// named, together with the command-line options of then, which still win. Everything new holds from
/// one packet to the next, on each interface; counters stay. Where anything is wrong, nothing
/// changes.
///
/// Interfaces that the file has come to name are attached; the filter is taken off those that it
/// named and names no more. Those that a command line named stay.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Leaves attached: what the file says; what was in force, where the file cannot be used (exit
status 1). `sip-filter config check` says beforehand whether it can.

Sizes may change too; sources that have no room any more are forgotten, which is said.
A `run` that logs verdicts (-v) goes on logging them only where it is sent SIGHUP instead.

Examples:
  sip-filter reload                the filter named `default`
  sip-filter reload --name edge    the filter named `edge`")]
pub(super) struct Args {}

pub(super) fn run(_: &Args, global: &Global) -> Result<()> {
    let instance = global.instance()?;
    let turn = Turn::wait(&global.state)?;
    let running = Filter::open(&instance)?.program_id()?;
    let name = instance.name();
    let given = Given::read(&global.state, name)?;
    let Some(given) = given.filter(|given| given.program == running) else {
        bail!(
            "{} does not hold what the filter {name} was given; is --state what it was attached \
             with? If so, attach it again: sip-filter attach --config FILE",
            global.state.display()
        );
    };
    let Applied {
        attached:
            Attached {
                interfaces,
                notices,
                logger: _,
            },
        detached,
        mode: _,
        group: _,
        policy,
        history: _,
    } = apply::apply_in_turn(&given.options, global, false, Before::Goes, &turn)?;
    for notice in notices {
        complain(&format!("note: {notice}"));
    }
    output::print(|out| {
        for interface in &detached {
            writeln!(out, "{}: detached", interface.name)?;
        }
        for interface in &interfaces {
            let mode = interface.mode;
            writeln!(out, "{}: attached in {mode} mode", interface.name)?;
        }
        writeln!(out, "{name}: reloaded; {policy}")
    })
}
