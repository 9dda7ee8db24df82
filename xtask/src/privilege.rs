//! Who is root here, and how a command becomes root. Compiling stays with the user, so that
//! no file in the checkout ends up owned by root; only what touches the kernel is raised.

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::MetadataExt as _,
    process::{Command, Stdio},
};

use anyhow::{Result, bail};

use crate::command;

/// Whether this process has root's effective user id.
pub fn is_root() -> bool {
    // procfs gives a process's folder to its effective user.
    fs::metadata("/proc/self").is_ok_and(|folder| folder.uid() == 0)
}

/// The program as root, asking for a password if sudo wants one.
pub fn as_root(program: impl AsRef<OsStr>) -> Result<Command> {
    require_root()?;
    if is_root() {
        return Ok(Command::new(program));
    }
    let mut sudo = Command::new("sudo");
    sudo.arg("--").arg(program);
    Ok(sudo)
}

/// The program as root, or nothing if somebody would have to type a password for it.
pub fn as_root_unasked(program: &str) -> Option<Command> {
    if is_root() {
        return Some(Command::new(program));
    }
    let allowed = Command::new("sudo")
        .args(["-n", "true"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    allowed.then(|| {
        let mut sudo = Command::new("sudo");
        sudo.args(["-n", "--", program]);
        sudo
    })
}

/// Makes `cargo run`, `test` and `bench` start what they built as root.
pub fn run_as_root(cargo: &mut Command) -> Result<&mut Command> {
    run_as_root_behind(cargo, &[])
}

/// The same, with these words in front of it, and as root too.
pub fn run_as_root_behind<'a>(cargo: &'a mut Command, words: &[String]) -> Result<&'a mut Command> {
    require_root()?;
    let sudo: &[_] = if is_root() { &[] } else { &["sudo", "-E"] };
    let words = sudo.iter().copied().chain(words.iter().map(String::as_str));
    // As TOML has strings.
    let quoted: Vec<_> = words.map(|word| format!("{word:?}")).collect();
    if !quoted.is_empty() {
        let runner = format!(r#"target."cfg(all())".runner=[{}]"#, quoted.join(","));
        cargo.args(["--config", &runner]);
    }
    Ok(cargo)
}

/// Says before anything is built that the end of it needs root.
pub fn require_root() -> Result<()> {
    if !is_root() && command::on_path("sudo").is_none() {
        bail!(
            "this loads programs into the kernel and needs root; start it as root, or install sudo"
        );
    }
    Ok(())
}
