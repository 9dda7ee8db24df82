//! The commands of the project itself, started as `cargo xtask`: they bring a machine to the
//! point where everything builds, and then build, run, test, show and measure it. The other
//! packages are known here only as commands to start. Every verb has its own file; this one
//! reads the arguments.

mod apt;
mod bench;
mod bpf_rustc;
mod build;
mod cage;
mod ci;
mod command;
mod corpus;
mod debian;
mod demo;
mod dist;
mod fuzz;
mod lint;
mod privilege;
mod run;
mod setup;
mod test;
mod vm;
mod workspace;

use std::{ffi::OsString, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::{setup::Purpose, workspace::Workspace};

#[derive(Parser)]
#[command(bin_name = "cargo xtask", about, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Install what is missing on this machine; every other command does so by itself
    Setup {
        /// What the machine is to be ready for
        #[arg(long = "for", value_name = "PURPOSE", value_enum, default_value_t = Purpose::Run)]
        purpose: Purpose,
    },
    /// Build the eBPF objects and the loader
    Build {
        /// Build the loader with optimizations; the eBPF objects always are
        #[arg(long)]
        release: bool,
    },
    /// Build, then start sip-filter as root: cargo xtask run -- run -i eth0
    Run {
        /// Arguments of sip-filter
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Check formatting and run clippy, refusing every warning
    Lint,
    /// Run every test, those that need root and on other kernels too; under CI=true lint first, and
    /// test the package
    Test {
        /// Arguments of cargo test: cargo xtask test -- svmap
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Test the program on the kernels that are supported, in an emulated machine
    Vm(vm::Options),
    /// Show the filter against real scanners, in network namespaces of its own
    Demo {
        /// Arguments of the demo
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Record what real programs send, into tests/corpus: cargo xtask corpus svmap
    Corpus {
        /// Record again only the runs that have one of these in their name
        names: Vec<OsString>,
    },
    /// Make a Debian package and a tarball, below target/package
    Dist(dist::Options),
    /// Try arbitrary bytes on the parser and the classifier, guided by coverage
    Fuzz(fuzz::Options),
    /// Measure: cargo xtask bench kernel --format json
    Bench {
        #[command(subcommand)]
        subject: bench::Subject,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = Workspace::from_environment().and_then(|workspace| match arguments.verb {
        Verb::Setup { purpose } => setup::prepare(&workspace, purpose).map(drop),
        Verb::Build { release } => build::all(&workspace, release),
        Verb::Run { arguments } => run::loader(&workspace, &arguments),
        Verb::Lint => lint::all(&workspace),
        Verb::Test { arguments } => test::all(&workspace, &arguments),
        Verb::Vm(options) => vm::run(&workspace, &options),
        Verb::Demo { arguments } => demo::start(&workspace, &arguments),
        Verb::Corpus { names } => corpus::record(&workspace, &names),
        Verb::Dist(options) => dist::run(&workspace, &options),
        Verb::Fuzz(options) => fuzz::run(&workspace, &options),
        Verb::Bench { subject } => bench::measure(&workspace, &subject),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
