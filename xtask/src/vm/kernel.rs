//! The kernels that the tests run on, and how each is got from Debian: of its package only the
//! kernel itself is kept, for BPF is built into it and no module is needed.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::debian::{self, Archive};

/// One for each series that a Debian release ships, from the oldest that is supported, and the
/// newest that there is.
pub const KERNELS: [Kernel; 4] = [
    Kernel {
        name: "5.10",
        suites: &["bullseye-security", "bullseye"],
        // Linux 5.10 rewrites the call that leads to an XDP program while another CPU may be in
        // it (bpf_dispatcher_xdp_func); tests that load programs side by side have met that.
        cpus: 1,
    },
    Kernel {
        name: "6.1",
        suites: &["bookworm-security", "bookworm"],
        cpus: 2,
    },
    Kernel {
        name: "6.12",
        suites: &["trixie-security", "trixie"],
        cpus: 2,
    },
    Kernel {
        name: "7",
        suites: &["experimental", "sid"],
        cpus: 2,
    },
];

/// The package that depends on the newest kernel of its release. The kernel for clouds is the
/// same one with fewer drivers: a third of the size, and soon up.
const NEWEST: &str = "linux-image-cloud-amd64";

/// A kernel to test on.
pub struct Kernel {
    /// How its version begins.
    pub name: &'static str,
    /// The suites of Debian that it is in.
    pub suites: &'static [&'static str],
    /// How many CPUs the machine has.
    pub cpus: u8,
}

/// A kernel that is there.
pub struct Fetched {
    /// Of the package.
    pub version: String,
    /// What the machine boots.
    pub vmlinuz: PathBuf,
}

impl Kernel {
    /// The kernel that an earlier run has fetched, or the newest in the suites.
    pub fn fetch(&self, folder: &Path) -> Result<Fetched> {
        let place = folder.join("kernels").join(self.name);
        let fetched = |place: &Path| -> io::Result<Fetched> {
            let vmlinuz = place.join("vmlinuz");
            fs::metadata(&vmlinuz)?;
            let version = fs::read_to_string(place.join("version"))?;
            Ok(Fetched { version, vmlinuz })
        };
        if let Ok(there) = fetched(&place) {
            return Ok(there);
        }
        eprintln!("vm: fetching Linux {}", self.name);
        let archive = Archive::open(&folder.join("apt").join(self.name), self.suites)?;
        let version = archive.newest(NEWEST, &format!("{}.", self.name))?;
        let package = package(&archive, &version)?;
        let unpacked = archive.folder().join("unpacked");
        debian::unpack(&archive.download(&package)?, &unpacked)?;
        let vmlinuz = find(&unpacked, "vmlinuz")?
            .with_context(|| format!("there is no kernel in the package {package}"))?;
        let keep = || {
            fs::create_dir_all(&place)?;
            fs::write(place.join("version"), &version)?;
            // Last, for it tells that all is there.
            fs::rename(&vmlinuz, place.join("vmlinuz"))?;
            archive.remove()?;
            fetched(&place)
        };
        keep().with_context(|| format!("cannot keep the kernel in {}", place.display()))
    }
}

/// The package with the kernel in it: newer ones have it apart from what goes with it.
fn package(archive: &Archive, version: &str) -> Result<String> {
    let newest = format!("{NEWEST}={version}");
    let image = dependency(archive, &newest, "linux-image-")?
        .with_context(|| format!("{newest} depends on no kernel"))?;
    Ok(dependency(archive, &image, "linux-binary-")?.unwrap_or(image))
}

fn dependency(archive: &Archive, package: &str, prefix: &str) -> Result<Option<String>> {
    let mut dependencies = archive.dependencies(package)?.into_iter();
    Ok(dependencies.find(|name| name.starts_with(prefix)))
}

/// A file whose name begins so, in the folder or below.
fn find(folder: &Path, prefix: &str) -> Result<Option<PathBuf>> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_file() && entry.file_name().to_string_lossy().starts_with(prefix) {
            return Ok(Some(entry.path()));
        }
        if kind.is_dir()
            && let Some(found) = find(&entry.path(), prefix)?
        {
            return Ok(Some(found));
        }
    }
    Ok(None)
}
