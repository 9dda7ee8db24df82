//! Where things lie in this checkout, and the cargo that works on it. Takes both from the
//! variables that cargo sets for what it runs, so no path is guessed and none is written twice.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::command;

/// The checkout that `cargo xtask` was started in. All paths are absolute.
pub struct Workspace {
    root: PathBuf,
    cargo: PathBuf,
    target: PathBuf,
    ebpf_objects: PathBuf,
}

impl Workspace {
    /// Fails unless cargo started this process.
    pub fn from_environment() -> Result<Self> {
        let manifest = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
        let root = manifest
            .parent()
            .with_context(|| format!("{} is in no workspace", manifest.display()))?
            .to_path_buf();
        let target = match env::var_os("CARGO_TARGET_DIR") {
            Some(directory) => env::current_dir()
                .context("the current directory cannot be read")?
                .join(directory),
            None => root.join("target"),
        };
        Ok(Self {
            cargo: variable("CARGO")?.into(),
            ebpf_objects: variable("SIP_FILTER_EBPF_DIR")?.into(),
            root,
            target,
        })
    }

    /// The checkout itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The cargo that started xtask, at the workspace root, as if started from a shell.
    pub fn cargo(&self) -> Command {
        let mut cargo = Command::new(&self.cargo);
        cargo.current_dir(&self.root);
        // What cargo says about xtask's own package is wrong for every other one, and build
        // scripts that watch these variables would run again at each change between the two.
        for (name, _) in env::vars_os() {
            if describes_xtask(&name) {
                cargo.env_remove(name);
            }
        }
        cargo.env("CARGO_TARGET_DIR", &self.target);
        cargo
    }

    /// The cargo that started xtask, as a path: its rustc stands beside it.
    pub fn cargo_path(&self) -> &Path {
        &self.cargo
    }

    /// Flags by which a compiler writes none of this machine's paths into what it makes: neither this
    /// checkout's, nor cargo's, nor that of its own sources.
    pub fn without_paths(&self, rustc: &Path) -> Result<Vec<String>> {
        let home = || env::home_dir().unwrap_or_default().join(".cargo");
        let cargo_home = env::var_os("CARGO_HOME").map_or_else(home, PathBuf::from);
        let sysroot = command::read(Command::new(rustc).args(["--print", "sysroot"]))?;
        // The last one that fits is taken: what is within another comes after it.
        let mut paths = [
            (self.root.display().to_string(), ""),
            (cargo_home.display().to_string(), "/cargo"),
            (sysroot.trim_end().to_owned(), "/rustc"),
        ];
        paths.sort();
        let flag = |(path, name)| format!("--remap-path-prefix={path}={name}");
        Ok(paths.map(flag).into())
    }

    /// Where the loader's build script, the tests and the benchmarks look for eBPF objects.
    pub fn ebpf_objects(&self) -> &Path {
        &self.ebpf_objects
    }

    /// The eBPF build has another rustc: in a target directory of its own, neither build
    /// makes the other start over.
    pub fn ebpf_target(&self) -> PathBuf {
        self.target.join("ebpf-build")
    }

    /// The tests for the emulated machine are linked in another way: as above.
    pub fn vm_target(&self) -> PathBuf {
        self.target.join("vm")
    }

    /// Everything of the fuzz target: its build, what it begins with and what it finds.
    pub fn fuzz(&self) -> PathBuf {
        self.target.join("fuzz")
    }

    /// The fuzz target is built with other flags: in a target directory of its own.
    pub fn fuzz_build(&self) -> PathBuf {
        self.fuzz().join("build")
    }

    /// The fuzz target's package, which is not one of this workspace.
    pub fn fuzz_manifest(&self) -> PathBuf {
        self.root.join("tests/fuzz/Cargo.toml")
    }

    /// The loader as `build::loader` leaves it in the release profile.
    pub fn release_loader(&self) -> PathBuf {
        self.target.join("release/sip-filter")
    }

    /// What was built for this target in this profile.
    pub fn target_of(&self, target: &str, profile: &str) -> PathBuf {
        self.target.join(target).join(profile)
    }

    /// Packages for those who install, and what they are made of.
    pub fn packages(&self) -> PathBuf {
        self.target.join("package")
    }

    /// What setup installs for this checkout alone, in the layout of `cargo install --root`.
    pub fn tools(&self) -> PathBuf {
        self.root.join(".tools")
    }

    /// Debian's package of Prometheus, unpacked.
    pub fn prometheus(&self) -> PathBuf {
        self.tools().join("prometheus")
    }

    /// The bpf-linker of this checkout, whatever the user has installed.
    pub fn bpf_linker(&self) -> PathBuf {
        self.tools().join("bin/bpf-linker")
    }
}

fn variable(name: &str) -> Result<OsString> {
    env::var_os(name).with_context(|| format!("{name} is not set; start this as `cargo xtask`"))
}

fn describes_xtask(name: &OsString) -> bool {
    let name = name.to_string_lossy();
    matches!(
        &*name,
        // `cargo run` puts the libraries of its own rustc here.
        "LD_LIBRARY_PATH"
            | "CARGO"
            | "CARGO_BIN_NAME"
            | "CARGO_CRATE_NAME"
            | "CARGO_PRIMARY_PACKAGE"
            | "OUT_DIR"
    ) || name.starts_with("CARGO_PKG_")
        || name.starts_with("CARGO_MANIFEST_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_cargo_says_about_xtask_is_hidden_from_other_builds() {
        for (name, hidden) in [
            ("CARGO_PKG_VERSION", true),
            ("CARGO_MANIFEST_DIR", true),
            ("OUT_DIR", true),
            ("LD_LIBRARY_PATH", true),
            ("CARGO_HOME", false),
            ("CARGO_TERM_COLOR", false),
            ("RUSTUP_TOOLCHAIN", false),
            ("PATH", false),
        ] {
            assert_eq!(describes_xtask(&name.into()), hidden, "{name}");
        }
    }
}
