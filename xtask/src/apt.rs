//! Debian packages. Installs only what is asked for and removes nothing: a package that wants
//! another one gone is refused, and left to the user.

use std::{
    fs, io, mem,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Once,
};

use anyhow::{Context as _, Result};

use crate::{ci, command, privilege};

/// The lists are refreshed before the first question to them, and not again.
static REFRESHED: Once = Once::new();

/// An apt-get that can be used without a password.
pub struct Apt(());

impl Apt {
    /// Nothing where there is no apt-get, or no way to use it without a password.
    pub fn find() -> Option<Self> {
        command::on_path("apt-get")?;
        privilege::as_root_unasked("true")?;
        Some(Self(()))
    }

    /// Whether the package can be installed from this machine's sources.
    pub fn offers(&self, package: &str) -> bool {
        self.refresh();
        command::read(Command::new("apt-cache").args(["policy", package]))
            .is_ok_and(|policy| has_candidate(&policy))
    }

    /// Installs the packages.
    pub fn install(&self, packages: &[&str]) -> Result<()> {
        self.refresh();
        eprintln!("setup: installing {}", packages.join(" "));
        let install = ["install", "-y", "--no-install-recommends", "--no-remove"];
        self.fetch(|| self.apt_get(&install, packages))
            .with_context(|| format!("cannot install {}", packages.join(" ")))
    }

    /// Downloads a package into the folder, and installs nothing.
    pub fn download(&self, package: &str, folder: &Path) -> Result<PathBuf> {
        self.refresh();
        eprintln!("setup: downloading {package}");
        let mut apt_get = Command::new("apt-get");
        apt_get
            // The user that apt would become may not write to this checkout.
            .args(["-qq", "-o", "APT::Sandbox::User=", "download", package])
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(io::stderr());
        self.fetch(|| command::run(&mut apt_get))?;
        let mut found = fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path()));
        found
            .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
            .with_context(|| format!("apt-get left no {package}"))
    }

    fn refresh(&self) {
        REFRESHED.call_once(|| self.update());
    }

    fn update(&self) {
        eprintln!("setup: refreshing the package lists");
        // One broken source fails the whole update while the others still serve what is
        // needed, so the install is the one to judge.
        if let Err(error) = self.apt_get(&["update"], &[]) {
            eprintln!("setup: {error:#}; going on with the lists that are there");
        }
    }

    /// Where it is tried again, then with new lists: those that are there may be the reason.
    fn fetch(&self, mut work: impl FnMut() -> Result<()>) -> Result<()> {
        let mut is_again = false;
        ci::fetch("setup", || {
            if mem::replace(&mut is_again, true) {
                self.update();
            }
            work()
        })
    }

    fn apt_get(&self, verb: &[&str], packages: &[&str]) -> Result<()> {
        // `env` because sudo drops variables.
        let mut apt_get = privilege::as_root_unasked("env").context("apt-get needs root")?;
        apt_get
            .args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"])
            .args(["-o", "DPkg::Lock::Timeout=120"])
            .args(verb)
            .args(packages)
            .stdin(Stdio::null())
            // Only what was asked for goes to stdout.
            .stdout(io::stderr());
        command::run(&mut apt_get)
    }
}

/// Reads what `apt-cache policy` says of one package.
fn has_candidate(policy: &str) -> bool {
    policy
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Candidate:"))
        .any(|version| version.trim() != "(none)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_without_a_candidate_is_not_offered() {
        for (policy, offered) in [
            (
                "rustc-web:\n  Installed: (none)\n  Candidate: 1.96.0+dfsg1-1\n",
                true,
            ),
            (
                "libstd-rust-dev-bpf:\n  Installed: (none)\n  Candidate: (none)\n",
                false,
            ),
            ("", false),
        ] {
            assert_eq!(has_candidate(policy), offered, "{policy}");
        }
    }
}
