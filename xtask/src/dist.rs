//! Makes what is given to those who install: a Debian package, and a tarball for everybody else. Both
//! hold one program that carries its eBPF object and needs no library of the system's, its manual and
//! completions, which it writes itself, its service, an example configuration, and what Prometheus and
//! Grafana load.
//!
//! The same commit gives the same bytes: nothing here has another time than the commit's, and no path
//! of this machine is in the program.

use std::{
    env::consts::ARCH,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;

use crate::{
    apt::Apt,
    build, cage, ci, command, debian, privilege,
    setup::{self, Purpose},
    workspace::Workspace,
};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The profile of the workspace's manifest in which the program is built.
const PROFILE: &str = "dist";

/// Where the sources of packages lie in the checkout.
const PACKAGING: &str = "sip-filter/packaging";

/// What watches the filter from elsewhere, there and below the package's share.
const FOR_WATCHERS: [&str; 2] = ["grafana/sip-filter.json", "prometheus/sip-filter.rules.yml"];

/// What a maintainer script is called in the package.
const MAINTAINER_SCRIPTS: [&str; 3] = ["postinst", "prerm", "postrm"];

/// The folder of the configuration, in a system.
const CONFIGURATION: &str = "etc/sip-filter/config.toml";

/// What the example configuration is for, and what stands there in the package: which interface it is
/// for is not known before somebody says so.
const INTERFACES: [&str; 2] = ["\ninterfaces = [", "\n#interfaces = ["];

/// What is of one filter in both units, and what stands there in the templates of all others.
const OF_AN_INSTANCE: [[&str; 2]; 2] = [
    ["filter default\n", "filter %i\n"],
    ["--name default", "--name %i"],
];
/// What else is in the service's.
const OF_THE_SERVICE: [[&str; 2]; 3] = [
    ["sip-filter-pins.service", "sip-filter-pins@%i.service"],
    [
        "--config /etc/sip-filter/config.toml",
        "--config /etc/sip-filter/%i.toml",
    ],
    [
        "# The filter that /etc/sip-filter/config.toml describes.",
        "# The filter that /etc/sip-filter/INSTANCE.toml describes.",
    ],
];
/// What else is in that of its pins.
const OF_THE_PINS: [[&str; 2]; 2] = [
    [
        "filter of sip-filter.service",
        "filter of sip-filter@.service",
    ],
    ["PartOf=sip-filter.service", "PartOf=sip-filter@%i.service"],
];

/// The system that the package is tested in: the oldest Debian with long-term support that has all
/// that maintainer scripts use.
const TEST_SUITES: [&str; 3] = ["bookworm", "bookworm-updates", "bookworm-security"];

/// The folder in which temporary files of the test are, in memory.
const CAGE: &str = "cage";

/// The variables in which the test finds what it installs, and where.
const PACKAGES_VARIABLE: &str = "SIP_FILTER_PACKAGES";
const ROOT_VARIABLE: &str = "SIP_FILTER_PACKAGE_ROOT";

/// Options of `cargo xtask dist`.
#[derive(Args)]
pub struct Options {
    /// Install, upgrade and purge the package in a clean Debian; needs root
    #[arg(long)]
    test: bool,
}

/// What `cargo xtask dist` does.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    if options.test {
        privilege::require_root()?;
    }
    let bpf_rustc = setup::prepare(workspace, Purpose::Build)?;
    build::ebpf(workspace, &bpf_rustc)?;
    if options.test {
        return test(workspace);
    }
    let dist = Dist::build(workspace)?;
    println!("{}", dist.debian(VERSION)?.display());
    println!("{}", dist.tarball()?.display());
    Ok(())
}

/// Tests the package, and an upgrade to the same under a later version, around eBPF objects that are
/// there. What cannot be had is known before anything is built.
pub fn test(workspace: &Workspace) -> Result<()> {
    let root = clean_root(workspace)?;
    let dist = Dist::build(workspace)?;
    dist.tarball()?;
    let packages = [VERSION.to_owned(), format!("{VERSION}+later")]
        .iter()
        .map(|version| Ok(dist.debian(version)?.display().to_string()))
        .collect::<Result<Vec<_>>>()?;
    let mut cargo = workspace.cargo();
    cargo
        .args(["test", "--package", "sip-filter-tests", "--test", "package"])
        .env(PACKAGES_VARIABLE, packages.join(":"))
        .env(ROOT_VARIABLE, root);
    let cage = cage::words(&dist.folder.join(CAGE))?;
    let cargo = privilege::run_as_root_behind(&mut cargo, &cage)?;
    command::run_tied(cargo.args(["--", "--ignored"]))
}

/// A Debian of essential packages and systemd, from the mirror that this machine has, as a tarball; made
/// once.
fn clean_root(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.tools().join("dist");
    let root = folder.join(format!("{}.tar", TEST_SUITES[0]));
    if root.is_file() {
        return Ok(root);
    }
    if command::on_path("mmdebstrap").is_none() {
        Apt::find()
            .context("no apt-get here that needs no password")
            .and_then(|apt| apt.install(&["mmdebstrap"]))
            .context("the package is tested in a clean Debian, which mmdebstrap makes; as root: apt-get install mmdebstrap")?;
    }
    eprintln!("dist: making a clean Debian, which takes a minute");
    create_dir(&folder)?;
    // Not of its name before it is whole; what a run that was ended has left is written over.
    let new = folder.join("new.tar");
    let cage = cage::words(&folder.join(CAGE))?;
    ci::fetch("dist", || {
        // Without a mirror that is known, mmdebstrap takes its own.
        let sources = debian::sources(&TEST_SUITES).unwrap_or_default();
        let mut command = privilege::as_root("env")?;
        command
            .args(&cage)
            .args(["mmdebstrap", "--quiet", "--variant=essential"])
            .args(["--include=systemd", TEST_SUITES[0]])
            .arg(&new)
            .args(sources.lines());
        command::run(&mut command)
    })?;
    fs::rename(&new, &root).with_context(|| format!("cannot create {}", root.display()))?;
    Ok(root)
}

/// What the packages hold, built.
struct Dist<'a> {
    workspace: &'a Workspace,
    folder: PathBuf,
    program: PathBuf,
    /// When the commit was made, in seconds since 1970.
    epoch: String,
}

impl<'a> Dist<'a> {
    fn build(workspace: &'a Workspace) -> Result<Self> {
        let mut git = Command::new("git");
        git.arg("-C")
            .arg(workspace.root())
            .args(["log", "-1", "--format=%ct"]);
        let epoch = command::read(&mut git).context("the time of the packages is the commit's")?;
        Ok(Self {
            workspace,
            folder: workspace.packages(),
            program: program(workspace)?,
            epoch: epoch.trim_end().to_owned(),
        })
    }

    /// Makes a Debian package of this version.
    fn debian(&self, version: &str) -> Result<PathBuf> {
        ensure!(
            command::on_path("dpkg-deb").is_some(),
            "Debian packages are made by dpkg-deb, which is not here: install dpkg"
        );
        let architecture = match ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => bail!("Debian's name for {other} is not known here"),
        };
        let tree = self.emptied("debian")?;
        let place = |file: &Path, mode: u32, path: &str| copy(file, &tree.join(path), mode);
        let root = self.workspace.root();
        let packaging = root.join(PACKAGING);
        place(&self.program, 0o755, "usr/sbin/sip-filter")?;

        let share = self.share()?;
        for page in files(&share.join("man8"))? {
            let path = tree.join("usr/share/man/man8").join(name(&page));
            copy(&page, &path, 0o644)?;
            compress(&path)?;
        }
        for (file, path) in [
            ("sip-filter.bash", "bash-completion/completions/sip-filter"),
            ("_sip-filter", "zsh/vendor-completions/_sip-filter"),
            (
                "sip-filter.fish",
                "fish/vendor_completions.d/sip-filter.fish",
            ),
        ] {
            let file = share.join("completions").join(file);
            place(&file, 0o644, &format!("usr/share/{path}"))?;
        }
        for (unit, text) in self.units()? {
            write(
                &tree.join("usr/lib/systemd/system").join(unit),
                &text,
                0o644,
            )?;
        }
        write(&tree.join(CONFIGURATION), &self.configuration()?, 0o644)?;
        for file in FOR_WATCHERS {
            let path = format!("usr/share/sip-filter/{file}");
            place(&packaging.join(file), 0o644, &path)?;
        }

        let documentation = tree.join("usr/share/doc/sip-filter");
        place(
            &root.join("README.md"),
            0o644,
            "usr/share/doc/sip-filter/README.md",
        )?;
        let changelog = documentation.join("changelog");
        copy(&root.join("CHANGELOG.md"), &changelog, 0o644)?;
        compress(&changelog)?;
        write(&documentation.join("copyright"), &self.copyright()?, 0o644)?;

        let kilobytes = size(&tree)?.div_ceil(1024);
        let control = read(&packaging.join("debian/control"))?
            .replace("@VERSION@", version)
            .replace("@ARCHITECTURE@", architecture)
            .replace("@INSTALLED_SIZE@", &kilobytes.to_string());
        let about = tree.join("DEBIAN");
        write(&about.join("control"), &control, 0o644)?;
        write(
            &about.join("conffiles"),
            &format!("/{CONFIGURATION}\n"),
            0o644,
        )?;
        for script in MAINTAINER_SCRIPTS {
            copy(
                &packaging.join("debian").join(script),
                &about.join(script),
                0o755,
            )?;
        }

        let package = format!("sip-filter_{version}_{architecture}.deb");
        let package = self.folder.join(package);
        let mut dpkg_deb = Command::new("dpkg-deb");
        dpkg_deb
            .args(["--root-owner-group", "--build"])
            .args([&tree, &package])
            .env("SOURCE_DATE_EPOCH", &self.epoch)
            .stdout(std::io::stderr());
        command::run(&mut dpkg_deb)?;
        Ok(package)
    }

    /// Makes a tarball with one folder.
    fn tarball(&self) -> Result<PathBuf> {
        let called = format!("sip-filter-{VERSION}-{ARCH}");
        let tree = self.emptied("tarball")?;
        let folder = tree.join(&called);
        copy(&self.program, &folder.join("sip-filter"), 0o755)?;
        let root = self.workspace.root();
        for file in ["README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"] {
            copy(&root.join(file), &folder.join(file), 0o644)?;
        }
        write(&folder.join("config.toml"), &self.configuration()?, 0o644)?;
        for (unit, text) in self.units()? {
            write(&folder.join(unit), &text, 0o644)?;
        }
        for file in FOR_WATCHERS {
            copy(&root.join(PACKAGING).join(file), &folder.join(file), 0o644)?;
        }
        let share = self.share()?;
        for part in ["man8", "completions"] {
            for file in files(&share.join(part))? {
                copy(&file, &folder.join(part).join(name(&file)), 0o644)?;
            }
        }
        let tarball = self.folder.join(format!("{called}.tar.gz"));
        let mut tar = Command::new("tar");
        tar.args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner"])
            .arg(format!("--mtime=@{}", self.epoch))
            // Without the time of day.
            .args(["--use-compress-program=gzip -9n", "--create", "--file"])
            .arg(&tarball)
            .arg("--directory")
            .args([&tree, Path::new(&called)]);
        command::run(&mut tar)?;
        Ok(tarball)
    }

    /// The manual and the completions, by the program itself.
    fn share(&self) -> Result<PathBuf> {
        let share = self.emptied("share")?;
        let mut generate = Command::new(&self.program);
        generate
            .arg("generate")
            .arg(&share)
            .env("SOURCE_DATE_EPOCH", &self.epoch);
        command::run(&mut generate)?;
        Ok(share)
    }

    /// The service with what belongs to it, and the templates for further filters.
    fn units(&self) -> Result<[(&'static str, String); 4]> {
        let packaging = self.workspace.root().join(PACKAGING);
        let service = read(&packaging.join("sip-filter.service"))?;
        let pins = read(&packaging.join("sip-filter-pins.service"))?;
        let service_template = template(&service, &OF_THE_SERVICE)?;
        let pins_template = template(&pins, &OF_THE_PINS)?;
        Ok([
            ("sip-filter.service", service),
            ("sip-filter@.service", service_template),
            ("sip-filter-pins.service", pins),
            ("sip-filter-pins@.service", pins_template),
        ])
    }

    fn configuration(&self) -> Result<String> {
        let example = read(&self.workspace.root().join("sip-filter/config.toml"))?;
        let [named, unnamed] = INTERFACES;
        replaced(&example, named, unnamed)
    }

    /// Both licences: that which every Debian has by its place, as Debian asks for.
    fn copyright(&self) -> Result<String> {
        Ok(format!(
            "sip-filter is licensed under the MIT licence or the Apache Licence 2.0, as you like. The latter\n\
             is in /usr/share/common-licenses/Apache-2.0; this is the former:\n\n{}",
            read(&self.workspace.root().join("LICENSE-MIT"))?
        ))
    }

    fn emptied(&self, part: &str) -> Result<PathBuf> {
        let folder = self.folder.join(part);
        if folder.exists() {
            fs::remove_dir_all(&folder)
                .with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        create_dir(&folder)?;
        Ok(folder)
    }
}

/// Builds the program without shared libraries, and without this machine's paths.
fn program(workspace: &Workspace) -> Result<PathBuf> {
    let target = format!("{ARCH}-unknown-linux-gnu");
    let mut flags = vec!["-C".to_owned(), "target-feature=+crt-static".to_owned()];
    let rustc = workspace.cargo_path().with_file_name("rustc");
    flags.extend(workspace.without_paths(&rustc)?);
    let mut cargo = workspace.cargo();
    cargo
        .args(["build", "--package", "sip-filter", "--profile", PROFILE])
        .args(["--target", &target])
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    command::run(&mut cargo).context("a static program needs libc.a; on Debian: libc6-dev")?;
    Ok(workspace.target_of(&target, PROFILE).join("sip-filter"))
}

/// The unit for whatever instance; `own` is what it says of one that others do not.
fn template(unit: &str, own: &[[&str; 2]]) -> Result<String> {
    OF_AN_INSTANCE
        .iter()
        .chain(own)
        .try_fold(unit.to_owned(), |unit, [one, any]| {
            replaced(&unit, one, any)
        })
}

/// An error where the text has no such part: it has changed, then, and this has not.
fn replaced(text: &str, part: &str, by: &str) -> Result<String> {
    ensure!(text.contains(part), "nowhere does it say {part:?}");
    Ok(text.replace(part, by))
}

fn compress(file: &Path) -> Result<()> {
    command::run(Command::new("gzip").args(["-9n", "--force"]).arg(file))
}

fn create_dir(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    // Whatever the umask is.
    set_mode(folder, 0o755)
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

fn write(file: &Path, text: &str, mode: u32) -> Result<()> {
    make_way(file)?;
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    set_mode(file, mode)
}

fn copy(from: &Path, to: &Path, mode: u32) -> Result<()> {
    make_way(to)?;
    fs::copy(from, to)
        .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    set_mode(to, mode)
}

fn make_way(file: &Path) -> Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    // Each folder on the way is created with the mode of a folder of a package.
    let mut missing: Vec<_> = folder
        .ancestors()
        .take_while(|above| !above.exists())
        .collect();
    missing.reverse();
    missing.into_iter().try_for_each(create_dir)
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .with_context(|| format!("cannot change the mode of {}", path.display()))
}

/// What lies in the folder, in order.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let list = || -> std::io::Result<Vec<_>> {
        let entries = fs::read_dir(folder)?;
        entries.map(|entry| Ok(entry?.path())).collect()
    };
    let mut files = list().with_context(|| format!("cannot list {}", folder.display()))?;
    files.sort();
    Ok(files)
}

fn name(file: &Path) -> &Path {
    file.file_name().map_or(file, Path::new)
}

/// Bytes of all files below.
fn size(folder: &Path) -> Result<u64> {
    files(folder)?.iter().try_fold(0, |sum, path| {
        Ok(sum
            + match path.is_dir() {
                true => size(path)?,
                false => path.metadata()?.len(),
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICE: &str = include_str!("../../sip-filter/packaging/sip-filter.service");
    const PINS: &str = include_str!("../../sip-filter/packaging/sip-filter-pins.service");

    #[test]
    fn nothing_in_the_templates_is_of_one_filter() {
        for (unit, own, commands) in [
            (SERVICE, OF_THE_SERVICE.as_slice(), 3),
            (PINS, &OF_THE_PINS, 1),
        ] {
            let template = template(unit, own).unwrap_or_else(|error| panic!("{error:#}"));
            assert!(!template.contains("default"), "{template}");
            assert!(!template.contains("config.toml"), "{template}");
            assert!(!template.contains("sip-filter.service"), "{template}");
            assert!(!template.contains("sip-filter-pins.service"), "{template}");
            let names = template.matches("--name %i").count();
            assert_eq!(names, commands, "{template}");
        }
    }
}
