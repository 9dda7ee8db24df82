//! What may have been meant by a name that does not exist.

/// What of these may have been meant, or which there are, as the end of an error.
pub(super) fn meant(written: &str, names: &[&str]) -> String {
    let written = written.to_ascii_lowercase();
    let distance = |name: &str| strsim::osa_distance(&written, &name.to_ascii_lowercase());
    // A letter that is missing, changed, or has changed places; more of them in longer words.
    let likely = |distance: usize| distance <= 1 + written.chars().count() / 4;
    let nearest = names.iter().min_by_key(|name| distance(name));
    match nearest {
        Some(name) if likely(distance(name)) => format!("; do you mean `{name}`?"),
        _ => format!("; there {}", there_are(names)),
    }
}

fn there_are(names: &[&str]) -> String {
    match names {
        [name] => format!("is `{name}`"),
        names => format!("are {}", names.join(", ")),
    }
}
