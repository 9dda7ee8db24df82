//! An instance: a named filter and the folder of its pins.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use sip_filter_common::abi::map;

use super::{Hook, preflight};

/// The folder of all instances below the BPF file system.
const FOLDER: &str = "sip-filter";
/// What the names of pinned links begin with; the interface's index follows. The name would
/// not do: a BPF file system allows no dots, which VLAN interfaces have.
const LINK: &str = "link-";
/// What a pin's name ends with until it may take the place of another.
const BESIDE: &str = "-new";
/// The names of the pinned programs.
const XDP_PROGRAM: &str = "program";
const TCX_PROGRAM: &str = "program-tcx";

/// Where an instance's pins live: `BPFFS/sip-filter/NAME/`.
#[derive(Clone, Debug)]
pub struct Instance {
    name: String,
    bpffs: PathBuf,
    dir: PathBuf,
}

impl Instance {
    /// The instance `name` below the BPF file system at `bpffs`, attached or not.
    ///
    /// # Errors
    ///
    /// When the name cannot be a folder's.
    pub fn new(bpffs: &Path, name: &str) -> Result<Self> {
        if name.is_empty() || name.contains(['/', '.']) {
            bail!("{name:?} cannot name an instance: use letters, digits, - and _");
        }
        Ok(Self {
            name: name.to_owned(),
            bpffs: bpffs.to_owned(),
            dir: bpffs.join(FOLDER).join(name),
        })
    }

    /// The instance's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The folder of its pins, which is there while it is attached.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The BPF file system that the folder is on.
    pub(super) fn bpffs(&self) -> &Path {
        &self.bpffs
    }

    /// Where a map is pinned.
    pub(super) fn map(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Where a map is pinned until it may take the place of another.
    pub(super) fn beside(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}{BESIDE}"))
    }

    /// Puts a pin in the place of another one.
    pub(super) fn replace(&self, from: &Path, to: &Path) -> Result<()> {
        fs::rename(from, to)
            .with_context(|| format!("cannot rename {} to {}", from.display(), to.display()))
    }

    /// Where the link to the interface with this index is pinned.
    pub(super) fn link(&self, ifindex: u32) -> PathBuf {
        self.dir.join(format!("{LINK}{ifindex}"))
    }

    /// Where the program is pinned that is in force, or was when the last interface went away.
    pub(super) fn program(&self, hook: Hook) -> PathBuf {
        self.dir.join(program(hook))
    }

    /// Where a program is pinned until it may take that one's place.
    pub(super) fn program_beside(&self, hook: Hook) -> PathBuf {
        self.beside(program(hook))
    }

    /// The index of the interface that a pinned link was made for.
    pub(super) fn ifindex_of(link: &Path) -> Option<u32> {
        link.file_name()?.to_str()?.strip_prefix(LINK)?.parse().ok()
    }

    /// The pinned links; none where the instance is not attached.
    pub(super) fn links(&self) -> Result<Vec<PathBuf>> {
        let is_link = |path: &PathBuf| {
            path.file_name()
                .and_then(|name| name.to_str())
                .is_some_and(|name| name.starts_with(LINK))
        };
        Ok(self.pins()?.into_iter().filter(is_link).collect())
    }

    /// The pinned programs: that in force, and one that may be about to take its place.
    pub(super) fn programs(&self) -> Result<Vec<PathBuf>> {
        let is_program = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| {
                Hook::ALL
                    .iter()
                    .any(|hook| name.starts_with(program(*hook)))
            })
        };
        Ok(self.pins()?.into_iter().filter(is_program).collect())
    }

    /// Everything pinned, in the order of its names.
    pub(super) fn pins(&self) -> Result<Vec<PathBuf>> {
        list(&self.dir)
    }

    /// Creates the folder; whether it was not there before.
    pub(super) fn create(&self) -> Result<bool> {
        if let Some(parent) = self.dir.parent() {
            fs::create_dir_all(parent)
                .with_context(|| format!("cannot create {}", parent.display()))?;
        }
        match fs::create_dir(&self.dir) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => {
                Err(error).with_context(|| format!("cannot create {}", self.dir.display()))
            }
        }
    }

    /// Removes the folder and every pin in it, and the folder of all instances with the last.
    pub(super) fn remove(&self) -> Result<()> {
        let mut pins = self.pins()?;
        // First, for without settings nothing is attached to whoever looks, now or if this is killed.
        let settings = self.map(map::SETTINGS);
        pins.sort_by_key(|pin| *pin != settings);
        for pin in pins {
            fs::remove_file(&pin).with_context(|| format!("cannot remove {}", pin.display()))?;
        }
        match fs::remove_dir(&self.dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", self.dir.display()));
            }
            _ => {}
        }
        if let Some(parent) = self.dir.parent() {
            // Refused while other instances are there, which is as it should be.
            let _ = fs::remove_dir(parent);
        }
        Ok(())
    }
}

pub(super) const fn program(hook: Hook) -> &'static str {
    match hook {
        Hook::Xdp => XDP_PROGRAM,
        Hook::Tcx => TCX_PROGRAM,
    }
}

/// The names of the instances that have pins below the BPF file system at `bpffs`.
///
/// # Errors
///
/// When `bpffs` is no BPF file system or cannot be read.
pub fn instances(bpffs: &Path) -> Result<Vec<String>> {
    preflight::bpffs(bpffs)?;
    let folders = list(&bpffs.join(FOLDER))?;
    Ok(folders
        .iter()
        .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
        .collect())
}

/// What a folder holds, in the order of names; nothing where there is no such folder.
fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let cannot_read = |error: io::Error| {
        let error = anyhow::Error::new(error);
        let next = preflight::denied(&error).map(|next| format!(": {next}"));
        let next = next.unwrap_or_default();
        error.context(format!("cannot read {}{next}", folder.display()))
    };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(cannot_read(error)),
    };
    let mut paths = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<io::Result<Vec<_>>>()
        .map_err(cannot_read)?;
    paths.sort();
    Ok(paths)
}
