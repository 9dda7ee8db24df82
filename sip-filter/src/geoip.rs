//! Country and autonomous system of addresses, from databases that the operator has: files in the MaxMind
//! DB format (its specification, version 2.0), as GeoLite2 Country, City and ASN are. Without one nothing is
//! known, and nobody is asked.

use std::{
    fmt, fs,
    net::IpAddr,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, Result, anyhow};
use maxminddb::{Mmap, Reader};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, Visitor},
};

use crate::escape;

/// What is known of an address. Text is harmless wherever it is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Location {
    /// The country, in two letters (ISO 3166-1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// The number of the autonomous system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asn: Option<u32>,
    /// Whose that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_name: Option<String>,
}

impl Location {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The autonomous system: `AS64500 Example`, or as much of it as is known.
    pub fn system(&self) -> String {
        let number = self.asn.map(|number| format!("AS{number}"));
        let parts = [number.as_deref(), self.as_name.as_deref()];
        parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }
}

/// `NL, AS64500 Example`, or as much of it as is known.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let system = self.system();
        let parts = [self.country.as_deref().unwrap_or_default(), &system];
        let parts = parts.into_iter().filter(|part| !part.is_empty());
        f.write_str(&parts.collect::<Vec<_>>().join(", "))
    }
}

/// Databases, asked in their order.
#[derive(Default)]
pub struct Databases(Vec<Reader<Mmap>>);

/// What is read of a record; others have more, or less.
#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow)]
    country: Option<Country<'a>>,
    /// Where an address is used elsewhere than it was given to, or nowhere.
    #[serde(borrow)]
    registered_country: Option<Country<'a>>,
    autonomous_system_number: Option<Number>,
    autonomous_system_organization: Option<&'a str>,
}

#[derive(Deserialize)]
struct Country<'a> {
    iso_code: Option<&'a str>,
}

/// A number of whatever width: the specification leaves it to who writes the file how many bits that takes,
/// and not all take 32.
struct Number(u32);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl Visitor<'_> for Any {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of an autonomous system")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Number, E> {
                u32::try_from(number).map(Number).map_err(E::custom)
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Number, E> {
                u32::try_from(number).map(Number).map_err(E::custom)
            }
        }

        deserializer.deserialize_any(Any)
    }
}

impl Databases {
    /// Opens them. A file that is replaced by another one, as geoipupdate does, stays the old one here;
    /// [`Current`] opens that one when it is told to.
    ///
    /// # Errors
    ///
    /// When one cannot be read, or is something else.
    pub fn open(files: &[PathBuf]) -> Result<Self> {
        let readers = files.iter().map(|file| open(file));
        Ok(Self(readers.collect::<Result<_>>()?))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What they know of an address; of each thing, what the first one says that knows it.
    pub fn locate(&self, address: IpAddr) -> Location {
        let mut location = Location::default();
        for reader in &self.0 {
            // A damaged record is as good as none.
            let found = reader.lookup(address).and_then(|found| found.decode());
            let Ok(Some(record)) = found else {
                continue;
            };
            let Record {
                country,
                registered_country,
                autonomous_system_number,
                autonomous_system_organization,
            } = record;
            let code = [country, registered_country].into_iter().flatten();
            let code = code.filter_map(|country| country.iso_code).next();
            let text = |text: &str| escape::terminal(text).into_owned();
            location.country = location.country.or_else(|| code.map(text));
            let number = autonomous_system_number.map(|Number(number)| number);
            location.asn = location.asn.or(number);
            let name = autonomous_system_organization;
            location.as_name = location.as_name.or_else(|| name.map(text));
        }
        location
    }
}

/// Which files are to be asked now, as far as that is known.
type Files = Box<dyn Fn() -> Option<Vec<PathBuf>> + Send + Sync>;

/// Databases that are opened anew whenever a file was replaced that tells which they are: with each
/// reload, whoever does it. Where they cannot be read then, those of before are asked; whoever reloads is
/// told.
pub struct Current {
    told_in: PathBuf,
    files: Files,
    last: Mutex<(Option<Stamp>, Arc<Databases>)>,
}

/// Tells a file from the one that takes its place: its number, and when it was written, in seconds and
/// nanoseconds.
type Stamp = (u64, i64, i64);

impl Current {
    /// These for now, and those that `files` names as soon as the file `told_in` is another one.
    pub fn new(databases: Databases, told_in: PathBuf, files: Files) -> Self {
        let last = Mutex::new((stamp(&told_in), Arc::new(databases)));
        Self {
            told_in,
            files,
            last,
        }
    }

    /// Those of now.
    pub fn get(&self) -> Arc<Databases> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let now = stamp(&self.told_in);
        // Of a filter that is gone nothing is told.
        if now.is_some() && now != last.0 {
            last.0 = now;
            let opened = (self.files)().and_then(|files| Databases::open(&files).ok());
            if let Some(databases) = opened {
                last.1 = Arc::new(databases);
            }
        }
        Arc::clone(&last.1)
    }
}

fn stamp(file: &Path) -> Option<Stamp> {
    let file = fs::metadata(file).ok()?;
    Some((file.ino(), file.mtime(), file.mtime_nsec()))
}

fn open(file: &Path) -> Result<Reader<Mmap>> {
    // SAFETY: whoever changes such a file puts another one in its place; one that is cut off in place
    // ends the process, as it would end any that maps it.
    let reader = unsafe { Reader::open_mmap(file) };
    // Its text has its cause in it.
    reader.map_err(|error| anyhow!("{error}")).with_context(|| {
        format!(
            "{} is no database in the MaxMind DB format that can be read",
            file.display()
        )
    })
}
