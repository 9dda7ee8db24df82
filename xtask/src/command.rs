//! Starting other programs so that a failure names the whole command line and its cause.
//! Takes a ready `Command`; what it means that one failed is left to the caller.

use std::{
    env,
    io::ErrorKind,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Error, Result, bail};

/// Runs to the end, with this process's terminal; fails unless the status is 0.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .map_err(|cause| not_started(command, cause))?;
    succeeded(command, status)
}

/// Like `run`, but the command is asked to end as soon as this process has ended, whatever has ended it.
pub fn run_tied(command: &Command) -> Result<()> {
    let mut tied = Command::new("setpriv");
    tied.args(["--pdeathsig", "TERM"])
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => tied.env(name, value),
            None => tied.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        tied.current_dir(folder);
    }
    run(&mut tied)
}

/// Runs to the end and returns what the command printed on stdout.
pub fn read(command: &mut Command) -> Result<String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|cause| not_started(command, cause))?;
    succeeded(command, output.status)?;
    String::from_utf8(output.stdout)
        .with_context(|| format!("`{}` printed something else than UTF-8", line(command)))
}

/// Like `run`, but ends the command when it takes longer than `limit`.
pub fn run_within(command: &mut Command, limit: Duration) -> Result<()> {
    let mut child = command
        .spawn()
        .map_err(|cause| not_started(command, cause))?;
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return succeeded(command, status);
        }
        if started.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            bail!("`{}` took longer than {limit:?}", line(command));
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Becomes the command, so that signals and the exit status are its own. Returns only the
/// reason why it could not.
pub fn become_command(command: &mut Command) -> Error {
    let cause = command.exec();
    not_started(command, cause)
}

/// The command of this name that a shell would start; root's folders are searched too, as
/// Debian leaves them out of a user's PATH.
pub fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

fn succeeded(command: &Command, status: ExitStatus) -> Result<()> {
    if !status.success() {
        bail!("`{}` failed with {status}", line(command));
    }
    Ok(())
}

fn not_started(command: &Command, cause: std::io::Error) -> Error {
    let program = Path::new(command.get_program()).display();
    let next_step = match cause.kind() {
        ErrorKind::NotFound => "; install it, or add its folder to PATH",
        _ => "",
    };
    Error::new(cause).context(format!("cannot start {program}{next_step}"))
}

/// The command as one would type it, with the variables set for it.
fn line(command: &Command) -> String {
    let variables = command.get_envs().filter_map(|(name, value)| {
        Some(format!(
            "{}={}",
            name.display(),
            quoted(&value?.to_string_lossy())
        ))
    });
    let words = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| quoted(&word.to_string_lossy()));
    variables.chain(words).collect::<Vec<_>>().join(" ")
}

/// The word as a shell takes it for one.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+./:,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_whole_command_line() {
        let mut command = Command::new("false");
        command
            .env("FLAGS", "-C debuginfo=2")
            .args(["--why", "it's"]);
        let error = run(&mut command).map_err(|error| error.to_string());
        assert_eq!(
            error,
            Err(
                r"`FLAGS='-C debuginfo=2' false --why 'it'\''s'` failed with exit status: 1".into()
            )
        );
    }

    #[test]
    fn a_command_that_is_not_there_is_named() {
        let error =
            run(&mut Command::new("no-such-command-anywhere")).map_err(|error| error.to_string());
        assert_eq!(
            error,
            Err(
                "cannot start no-such-command-anywhere; install it, or add its folder to PATH"
                    .into()
            )
        );
    }

    #[test]
    fn a_command_that_hangs_is_ended() {
        let started = Instant::now();
        let outcome = run_within(Command::new("sleep").arg("60"), Duration::from_millis(50));
        assert!(outcome.is_err());
        assert!(started.elapsed() < Duration::from_secs(10));
    }
}
