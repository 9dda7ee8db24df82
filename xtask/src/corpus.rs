//! Records the corpus. Installs the programs that are recorded, those of PyPI and npm into
//! `.tools` of this checkout, and starts a binary of the tests package, which runs them in
//! network namespaces.

use std::{ffi::OsString, fs, io, path::Path, process::Command};

use anyhow::{Context as _, Result};

use crate::{
    build, command, privilege,
    setup::{self, Purpose},
    workspace::Workspace,
};

/// Packages of PyPI, each version in a folder of its own.
const PYTHON: [(&str, &str); 5] = [
    ("sipvicious", "0.3.8"),
    ("sipvicious", "0.3.0"),
    ("siprobo", "1.0.0"),
    ("pjsua2-python", "2.15.1.post1"),
    ("pyVoIP", "1.6.8"),
];
/// Packages of npm, all in one folder.
const NPM: [(&str, &str); 1] = [("sip", "0.0.6")];

/// What `cargo xtask corpus` does.
pub fn record(workspace: &Workspace, names: &[OsString]) -> Result<()> {
    privilege::require_root()?;
    let bpf_rustc = setup::prepare(workspace, Purpose::Corpus)?;
    let tools = workspace.tools();
    for (package, version) in PYTHON {
        install_python(&tools, package, version)?;
    }
    for (package, version) in NPM {
        install_npm(&tools, package, version)?;
    }
    // The tests package is built around them.
    build::ebpf(workspace, &bpf_rustc)?;
    let mut cargo = workspace.cargo();
    cargo.args(["run", "--package", "sip-filter-tests", "--bin", "corpus"]);
    command::run(privilege::run_as_root(&mut cargo)?.arg("--").args(names))
}

/// Installs the package with what it needs into `python/PACKAGE-VERSION`.
fn install_python(tools: &Path, package: &str, version: &str) -> Result<()> {
    let folder = tools.join(format!("python/{package}-{version}"));
    // Made last, so that an installation that was interrupted begins again.
    let done = folder.join("done");
    if done.is_file() {
        return Ok(());
    }
    eprintln!(
        "setup: installing {package} {version} into {}",
        folder.display()
    );
    command::run(
        Command::new("/usr/bin/python3")
            .args(["-m", "venv", "--clear"])
            .arg(&folder)
            .stdout(io::stderr()),
    )
    .context("Python packages need python3-venv: apt-get install python3-venv")?;
    command::run(
        Command::new(folder.join("bin/pip"))
            .args(["install", "--quiet", "--disable-pip-version-check"])
            .arg(format!("{package}=={version}"))
            .stdout(io::stderr()),
    )?;
    fs::write(&done, "").with_context(|| format!("cannot write {}", done.display()))
}

/// Installs the package into `npm`.
fn install_npm(tools: &Path, package: &str, version: &str) -> Result<()> {
    let folder = tools.join("npm");
    if folder.join("node_modules").join(package).is_dir() {
        return Ok(());
    }
    eprintln!(
        "setup: installing {package} {version} into {}",
        folder.display()
    );
    command::run(
        Command::new("npm")
            .args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"])
            .arg(&folder)
            .arg(format!("{package}@{version}"))
            .stdout(io::stderr()),
    )
    .context("npm packages need npm: apt-get install npm")
}
