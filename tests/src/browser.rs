//! A browser without a screen: what a page has become once its scripts have run.

use std::time::Duration;

use crate::{
    namespace::{Folder, Namespace},
    process,
};

/// How long it may take to start, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A page that was loaded and whose scripts have run.
#[derive(Clone, Debug)]
pub struct Page {
    /// Its elements, as HTML.
    pub dom: String,
    /// What it complained of, a line each: what its policy forbids, and what its scripts throw.
    pub complaints: Vec<String>,
}

/// Loads a page in the namespace, in a window of this size, and lets its scripts run for some seconds of
/// their own time.
///
/// # Panics
///
/// If chromium is not installed, or does not end.
pub fn load(namespace: &Namespace, url: &str, (width, height): (u32, u32)) -> Page {
    let folder = Folder::new();
    let mut command = namespace.command("chromium");
    command
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
        ])
        .args(["--disable-dev-shm-usage", "--disable-background-networking"])
        .args(["--no-proxy-server", "--enable-logging=stderr"])
        .arg(format!("--user-data-dir={}", folder.path().display()))
        .arg(format!("--window-size={width},{height}"))
        .args(["--virtual-time-budget=5000", "--dump-dom", url])
        .env("HOME", folder.path());
    let loaded = process::run(command, PATIENCE).successful();
    let complaints = loaded.stderr.lines();
    Page {
        complaints: complaints
            .filter(|line| line.contains(":CONSOLE"))
            .map(str::to_owned)
            .collect(),
        dom: loaded.stdout,
    }
}
