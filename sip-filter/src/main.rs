//! The command `sip-filter`: a thin shell around the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    sip_filter::cli::main()
}
