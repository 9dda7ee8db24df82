//! A browser without a screen: what a page has become once its scripts have run, and what it looks like.

use std::{
    collections::HashSet, fs::File, io::BufReader, path::Path, process::Command, time::Duration,
};

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

/// What somebody sees of a page.
#[derive(Clone, Debug)]
pub struct Picture {
    /// In pixels.
    pub width: usize,
    /// Red, green and blue of each pixel, line by line.
    pub pixels: Vec<[u8; 3]>,
}

impl Picture {
    /// The colours of a column of pixels.
    pub fn column(&self, at: usize) -> HashSet<[u8; 3]> {
        self.pixels
            .iter()
            .skip(at)
            .step_by(self.width)
            .copied()
            .collect()
    }

    /// All of its colours.
    pub fn colours(&self) -> HashSet<[u8; 3]> {
        self.pixels.iter().copied().collect()
    }
}

/// What people like to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Dark text.
    Light,
    /// Light text.
    Dark,
}

/// Loads a page in the namespace, in a window of this size, and lets its scripts run for some seconds of
/// their own time.
///
/// # Panics
///
/// If chromium is not installed, or does not end.
pub fn load(namespace: &Namespace, url: &str, window: (u32, u32)) -> Page {
    let folder = Folder::new();
    let mut command = command(namespace, &folder, window);
    command.args(["--dump-dom", url]);
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

/// The same, and looks at what is in the window then.
///
/// # Panics
///
/// As [`load`].
pub fn look(namespace: &Namespace, url: &str, window: (u32, u32), scheme: Scheme) -> Picture {
    let folder = Folder::new();
    let path = folder.path().join("picture.png");
    let mut command = command(namespace, &folder, window);
    let scheme = match scheme {
        Scheme::Light => 1,
        Scheme::Dark => 0,
    };
    command
        .arg(format!("--blink-settings=preferredColorScheme={scheme}"))
        .arg("--hide-scrollbars")
        .arg(format!("--screenshot={}", path.display()))
        .arg(url);
    process::run(command, PATIENCE).successful();
    picture(&path)
}

fn command(namespace: &Namespace, folder: &Folder, (width, height): (u32, u32)) -> Command {
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
        .arg("--virtual-time-budget=5000")
        .env("HOME", folder.path());
    command
}

fn picture(path: &Path) -> Picture {
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let read = || -> Result<Picture, png::DecodingError> {
        let mut reader = png::Decoder::new(BufReader::new(file)).read_info()?;
        let mut bytes = vec![0; reader.output_buffer_size().unwrap_or(0)];
        let frame = reader.next_frame(&mut bytes)?;
        let samples = frame.color_type.samples();
        let pixels = bytes.chunks_exact(samples);
        Ok(Picture {
            width: frame.width as usize,
            pixels: pixels.map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect(),
        })
    };
    read().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
