//! Packages of any Debian release, downloaded and unpacked without being installed. Each release
//! is asked through an apt with a folder of its own, to which nothing is installed: so neither
//! this machine's lists nor its packages matter or change, and no root is needed. The mirror is
//! the one that this machine's apt has.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};

use crate::command;

/// The keys of all of Debian's releases, where Debian's package of them puts them.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// How the releases are called in a machine's sources.
const RELEASES: [&str; 9] = [
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "sid",
    "oldstable",
    "stable",
    "testing",
    "unstable",
];

/// Suites with this ending have a mirror of their own.
const SECURITY: &str = "-security";

/// Some suites of Debian.
pub struct Archive {
    folder: PathBuf,
}

impl Archive {
    /// Fetches the suites' lists into the folder, which is the archive's alone.
    pub fn open(folder: &Path, suites: &[&str]) -> Result<Self> {
        ensure!(
            command::on_path("apt-get").is_some(),
            "it comes as a package of Debian, and there is no apt-get here"
        );
        let sources = sources(suites)?;
        let archive = Self {
            folder: folder.to_path_buf(),
        };
        // What a run that was ended has left is of no use.
        let _ = archive.remove();
        let make = || {
            for partial in ["lists/partial", "cache/archives/partial"] {
                fs::create_dir_all(folder.join(partial))?;
            }
            fs::write(folder.join("status"), "")?;
            fs::write(folder.join("sources.list"), &sources)
        };
        make().with_context(|| format!("cannot write to {}", folder.display()))?;
        // One missing suite fails the update, and another may have what is needed.
        if let Err(error) = command::run(archive.apt("apt-get").args(["-qq", "update"])) {
            eprintln!("setup: {error:#}; going on with the lists that are there");
        }
        Ok(archive)
    }

    /// Where the archive keeps what it fetches.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Removes all that was fetched.
    pub fn remove(&self) -> std::io::Result<()> {
        fs::remove_dir_all(&self.folder)
    }

    /// The newest version of the package that begins so.
    pub fn newest(&self, package: &str, prefix: &str) -> Result<String> {
        let versions = command::read(self.apt("apt-cache").args(["madison", package]))?;
        newest(&versions, prefix)
            .map(str::to_owned)
            .with_context(|| format!("the mirror has no {package} {prefix}*"))
    }

    /// The names of the packages that it depends on; of alternatives the first.
    pub fn dependencies(&self, package: &str) -> Result<Vec<String>> {
        let mut show = self.apt("apt-cache");
        show.args(["show", "--no-all-versions", package]);
        Ok(dependencies(&command::read(&mut show)?))
    }

    /// Downloads one package.
    pub fn download(&self, package: &str) -> Result<PathBuf> {
        let folder = self.folder.join("download");
        fs::create_dir_all(&folder)?;
        let mut download = self.apt("apt-get");
        download.args(["-qq", "download", package]);
        command::run(download.current_dir(&folder))?;
        packages_in(&folder)?
            .pop()
            .with_context(|| format!("apt-get left no {package}"))
    }

    /// Downloads the packages and all that they depend on.
    pub fn download_whole(&self, packages: &[&str]) -> Result<Vec<PathBuf>> {
        let mut download = self.apt("apt-get");
        download
            .args(["-qq", "install", "--download-only", "-y"])
            .arg("--no-install-recommends")
            .args(packages)
            // It lists what it would install.
            .stdout(Stdio::null());
        command::run(&mut download)?;
        packages_in(&self.folder.join("cache/archives"))
    }

    /// An apt that knows of this archive only.
    fn apt(&self, program: &str) -> Command {
        let mut apt = Command::new(program);
        let folder = self.folder.display();
        for option in [
            format!("Dir::State={folder}"),
            format!("Dir::State::status={folder}/status"),
            format!("Dir::Cache={folder}/cache"),
            format!("Dir::Etc::sourcelist={folder}/sources.list"),
            "Dir::Etc::sourceparts=/dev/null".into(),
            "Dir::Etc::preferencesparts=/dev/null".into(),
            "Acquire::Languages=none".into(),
            // The user that apt would become may not write to this checkout.
            "APT::Sandbox::User=".into(),
        ] {
            apt.args(["-o", &option]);
        }
        apt.stdin(Stdio::null());
        apt
    }
}

/// Unpacks a package into the folder.
pub fn unpack(package: &Path, folder: &Path) -> Result<()> {
    command::run(
        Command::new("dpkg-deb")
            .arg("--extract")
            .args([package, folder]),
    )
}

/// The lines of a sources.list for the suites, with this machine's mirror.
pub fn sources(suites: &[&str]) -> Result<String> {
    let targets = command::read(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(RELEASE) $(COMPONENT) $(SITE)",
        "Created-By: Packages",
    ]))?;
    sources_of(&targets, suites, Path::new(KEYRING).is_file())
}

/// The lines of a sources.list, from what `apt-get indextargets` says of this machine's sources:
/// a release, a component and a site a line.
fn sources_of(targets: &str, suites: &[&str], keyring: bool) -> Result<String> {
    let site = |wanted: &dyn Fn(&str) -> bool| {
        targets.lines().find_map(|target| {
            let mut words = target.split(' ');
            let (release, component, site) = (words.next()?, words.next()?, words.next()?);
            (component == "main" && wanted(release)).then_some(site)
        })
    };
    let main = site(&|release| RELEASES.contains(&release))
        .context("this machine's apt has no mirror of Debian")?;
    let security = site(&|release| {
        let release = release.strip_suffix(SECURITY);
        release.is_some_and(|release| RELEASES.contains(&release))
    });
    let options = match keyring {
        true => format!("[target=Packages signed-by={KEYRING}]"),
        false => "[target=Packages]".into(),
    };
    Ok(suites
        .iter()
        .filter_map(|suite| {
            let site = match suite.ends_with(SECURITY) {
                true => security?,
                false => main,
            };
            Some(format!("deb {options} {site} {suite} main\n"))
        })
        .collect())
}

/// Reads what `apt-cache madison` says: package, version and source a line, newest first.
fn newest<'lines>(madison: &'lines str, prefix: &str) -> Option<&'lines str> {
    madison
        .lines()
        .filter_map(|line| Some(line.split('|').nth(1)?.trim()))
        .find(|version| version.starts_with(prefix))
}

/// Reads the field of that name in what `apt-cache show` says of one package.
fn dependencies(show: &str) -> Vec<String> {
    let field = show.lines().find_map(|line| line.strip_prefix("Depends:"));
    field
        .unwrap_or_default()
        .split(',')
        .filter_map(|dependency| Some(dependency.split_whitespace().next()?.to_owned()))
        .collect()
}

fn packages_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let paths = entries.map(|entry| Ok(entry?.path()));
    let paths = paths.filter(|path| {
        path.as_ref()
            .is_ok_and(|path: &PathBuf| path.extension().is_some_and(|end| end == "deb"))
    });
    paths.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGETS: &str = "nodistro main https://deb.example.org/node
jammy main https://ubuntu.example.org
bookworm non-free https://other.example.org/debian
bookworm main https://mirror.example.org/debian
bookworm-security main https://mirror.example.org/debian-security
";

    #[test]
    fn the_mirror_is_the_one_that_this_machine_has() {
        let security = "https://mirror.example.org/debian-security";
        let main = "https://mirror.example.org/debian";
        let there = sources_of(TARGETS, &["sid", "trixie-security"], false).map_err(drop);
        assert_eq!(
            there,
            Ok(format!(
                "deb [target=Packages] {main} sid main\n\
                 deb [target=Packages] {security} trixie-security main\n"
            ))
        );
        let without_security = TARGETS.replace("bookworm-security", "other");
        let there = sources_of(&without_security, &["sid", "trixie-security"], true).map_err(drop);
        assert_eq!(
            there,
            Ok(format!(
                "deb [target=Packages signed-by={KEYRING}] {main} sid main\n"
            ))
        );
        assert!(sources_of("jammy main https://ubuntu.example.org\n", &["sid"], true).is_err());
    }

    #[test]
    fn the_newest_version_of_a_series_is_found() {
        let madison = "\
 linux | 7.3~rc7-1~exp1 | https://mirror.example.org experimental/main amd64 Packages
 linux |   7.2.13-1 | https://mirror.example.org sid/main amd64 Packages
 linux | 6.12.118-1 | https://mirror.example.org trixie/main amd64 Packages
";
        assert_eq!(newest(madison, "7."), Some("7.3~rc7-1~exp1"));
        assert_eq!(newest(madison, "6.12."), Some("6.12.118-1"));
        assert_eq!(newest(madison, "6.1."), None);
    }

    #[test]
    fn dependencies_are_read_by_name() {
        let show = "Package: linux\nDepends: base (= 7.2), a | b (>= 1), c\nSize: 3\n";
        assert_eq!(dependencies(show), ["base", "a", "c"]);
        assert!(dependencies("Package: linux\n").is_empty());
    }
}
