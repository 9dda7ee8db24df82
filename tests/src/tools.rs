//! The real tools: how the tests and the demo start them, and what they say they found.

use std::{process::Command, time::Duration};

use crate::{
    namespace::{Namespace, PHONE, SERVER},
    process::{self, Finished, Running},
};

/// The tools, and the Debian package that each comes in.
pub const TOOLS: [(&str, &str); 7] = [
    ("ip", "iproute2"),
    ("tc", "iproute2"),
    ("svmap", "sipvicious"),
    ("svwar", "sipvicious"),
    ("svcrack", "sipvicious"),
    ("sipsak", "sipsak"),
    ("sipp", "sip-tester"),
];

/// How long a tool may take, its own waiting for answers included.
const PATIENCE: Duration = Duration::from_secs(40);

/// The tools that are not installed, with their packages.
pub fn missing() -> Vec<(&'static str, &'static str)> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = std::env::split_paths(&path).collect();
    let is_missing = |tool: &str| !folders.iter().any(|folder| folder.join(tool).is_file());
    TOOLS
        .into_iter()
        .filter(|(tool, _)| is_missing(tool))
        .collect()
}

/// A tool in a namespace, with arguments separated by blanks.
///
/// # Panics
///
/// If it is not installed; with the package that it comes in.
pub fn command(namespace: &Namespace, line: &str) -> Command {
    let mut words = line.split_whitespace();
    let tool = words.next().unwrap_or_default();
    if let Some((_, package)) = missing().into_iter().find(|(missing, _)| *missing == tool) {
        panic!("{tool} is not installed: apt-get install {package}, or `cargo xtask setup`");
    }
    let mut command = namespace.command(tool);
    // They keep sessions and logs where they are started, or at home.
    command
        .args(words)
        .current_dir(std::env::temp_dir())
        .env("HOME", std::env::temp_dir());
    command
}

/// Runs a tool to its end, whatever that is.
///
/// # Panics
///
/// If it is not installed or takes too long.
pub fn run(namespace: &Namespace, line: &str) -> Finished {
    process::run(command(namespace, line), PATIENCE)
}

/// Whether SIPVicious lists something in a table of this run. Without one it says `found
/// nothing`, and some of its errors end the run without either.
///
/// # Panics
///
/// If the run had neither a result nor the lack of one.
pub fn has_found(finished: &Finished, what: &str) -> bool {
    let Finished {
        command: _,
        status: _,
        stdout,
        stderr,
    } = finished;
    let nothing = stderr.contains("found nothing");
    assert!(
        nothing || stdout.contains('|') || stdout.contains('│'),
        "no result: {finished}"
    );
    !nothing && stdout.contains(what)
}

/// A phone that takes calls at the server's address and this port, until it is dropped.
///
/// # Panics
///
/// If sipp is not installed or cannot have the port.
pub fn answer_calls(namespace: &Namespace, port: u16) -> Running {
    let line = format!("sipp -sn uas -i {SERVER} -p {port} -nostdin");
    let mut running = Running::start(command(namespace, &line));
    running.wait_until("it listened", PATIENCE, |_| namespace.has_udp_port(port));
    running
}

/// The command that calls the server at this port so many times from [`PHONE`], ten times a
/// second. Nothing is sent twice, so that a call fails for every packet that is lost.
///
/// # Panics
///
/// If sipp is not installed.
pub fn call_command(namespace: &Namespace, port: u16, times: u32) -> Command {
    let line = format!(
        "sipp -sn uac {SERVER}:{port} -i {PHONE} -p 5060 -m {times} -r 10 -d 200 -nr \
         -recv_timeout 3000 -timeout 20 -nostdin"
    );
    command(namespace, &line)
}

/// Runs [`call_command`] to its end, whatever that is.
///
/// # Panics
///
/// If sipp is not installed or takes too long.
pub fn call(namespace: &Namespace, port: u16, times: u32) -> Finished {
    process::run(call_command(namespace, port, times), PATIENCE)
}
