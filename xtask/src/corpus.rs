//! Records the corpus: installs the programs that are recorded, and starts a binary of the tests
//! package, which runs them in network namespaces. That binary says which programs it needs; the
//! packages of PyPI and npm among them go into `.tools` of this checkout.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs, io,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use crate::{
    apt::Apt,
    build, command, privilege,
    setup::{self, Purpose},
    workspace::Workspace,
};

/// What `cargo xtask corpus` does.
pub fn record(workspace: &Workspace, names: &[OsString]) -> Result<()> {
    privilege::require_root()?;
    let bpf_rustc = setup::prepare(workspace, Purpose::Demo)?;
    // The tests package is built around them.
    build::ebpf(workspace, &bpf_rustc)?;
    let needed = command::read(binary(workspace).args(["--", "--packages"]))?;
    install(&workspace.tools(), &needed)?;
    let mut recorder = binary(workspace);
    command::run(privilege::run_as_root(&mut recorder)?.arg("--").args(names))
}

fn binary(workspace: &Workspace) -> Command {
    let mut cargo = workspace.cargo();
    cargo.args(["run", "--package", "sip-filter-tests", "--bin", "corpus"]);
    cargo
}

/// Installs packages that are listed as `debian NAME`, `pypi NAME VERSION` or `npm NAME VERSION`.
fn install(tools: &Path, needed: &str) -> Result<()> {
    let mut debian = BTreeSet::new();
    let mut others = Vec::new();
    for line in needed.lines() {
        match line.split(' ').collect::<Vec<_>>().as_slice() {
            ["debian", name] => {
                debian.insert(*name);
            }
            ["pypi", name, version] => {
                debian.insert("python3-venv");
                others.push((install_python as fn(&_, &_, &_) -> _, *name, *version));
            }
            ["npm", name, version] => {
                if command::on_path("npm").is_none() {
                    debian.insert("npm");
                }
                others.push((install_npm, *name, *version));
            }
            _ => bail!("no package: {line}"),
        }
    }
    debian.retain(|package| !is_installed(package));
    if !debian.is_empty() {
        let packages: Vec<_> = debian.into_iter().collect();
        Apt::find()
            .context("no apt-get here that needs no password")
            .and_then(|apt| apt.install(&packages))
            .with_context(|| format!("apt-get install {}", packages.join(" ")))?;
    }
    for (install, name, version) in others {
        install(tools, name, version)?;
    }
    Ok(())
}

fn is_installed(package: &str) -> bool {
    let mut ask = Command::new("dpkg-query");
    ask.args(["--show", "--showformat=${db:Status-Status}", package])
        .stderr(Stdio::null());
    ask.output()
        .is_ok_and(|output| output.stdout == b"installed")
}

/// Installs the package with what it needs into `python/PACKAGE-VERSION`.
fn install_python(tools: &Path, package: &str, version: &str) -> Result<()> {
    let folder = tools.join(format!("python/{package}-{version}"));
    // Made last, so that an installation that was interrupted begins again.
    let done = folder.join("done");
    if done.is_file() {
        return Ok(());
    }
    eprintln!("setup: installing {package} {version} of PyPI into .tools");
    command::run(
        // The one that python3-venv belongs to, whatever else is on the PATH.
        Command::new("/usr/bin/python3")
            .args(["-m", "venv", "--clear"])
            .arg(&folder)
            .stdout(io::stderr()),
    )?;
    command::run(
        Command::new(folder.join("bin/pip"))
            .args(["install", "--quiet", "--disable-pip-version-check"])
            .arg(format!("{package}=={version}"))
            .stdout(io::stderr()),
    )?;
    fs::write(&done, "").with_context(|| format!("cannot write {}", done.display()))
}

/// Installs the package into `npm/PACKAGE-VERSION`.
fn install_npm(tools: &Path, package: &str, version: &str) -> Result<()> {
    let folder = tools.join(format!("npm/{package}-{version}"));
    if folder.join("node_modules").join(package).is_dir() {
        return Ok(());
    }
    eprintln!("setup: installing {package} {version} of npm into .tools");
    command::run(
        Command::new("npm")
            .args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"])
            .arg(&folder)
            .arg(format!("{package}@{version}"))
            .stdout(io::stderr()),
    )
}
