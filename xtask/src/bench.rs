//! Starts a benchmark of the tests package. Only what the benchmark prints goes to stdout, so
//! that it can be piped; what cargo and setup have to say goes to stderr.

use std::ffi::OsString;

use anyhow::Result;
use clap::Subcommand;

use crate::{
    build, command, privilege,
    setup::{self, Purpose},
    workspace::Workspace,
};

/// What can be measured.
#[derive(Subcommand)]
pub enum Subject {
    /// Nanoseconds a packet in the kernel, by BPF_PROG_TEST_RUN
    Kernel {
        /// Arguments of the benchmark, such as --format json
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Milliseconds that `attach` and `detach` take, and what an idle `run` takes
    Loader {
        /// Arguments of the benchmark, such as --rounds 100
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Milliseconds that outputs of many sources take, and what share of a core `run` takes meanwhile
    Outputs {
        /// Arguments of the benchmark, such as --sources 10000
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Packets a second of a capture, with both engines of `sip-filter replay`
    Replay {
        /// Arguments of the benchmark, such as --packets 1000000
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

/// What `cargo xtask bench` does.
pub fn measure(workspace: &Workspace, subject: &Subject) -> Result<()> {
    let (name, arguments) = match subject {
        Subject::Kernel { arguments } => ("kernel", arguments),
        Subject::Loader { arguments } => ("loader", arguments),
        Subject::Outputs { arguments } => ("outputs", arguments),
        Subject::Replay { arguments } => ("replay", arguments),
    };
    privilege::require_root()?;
    let bpf_rustc = setup::prepare(workspace, Purpose::Run)?;
    build::ebpf(workspace, &bpf_rustc)?;
    if let Subject::Loader { .. } | Subject::Outputs { .. } = subject {
        build::loader(workspace, true)?;
    }
    let mut cargo = workspace.cargo();
    cargo.args(["bench", "--package", "sip-filter-tests", "--bench", name]);
    command::run(
        privilege::run_as_root(&mut cargo)?
            .arg("--")
            .args(arguments),
    )
}
