//! Tells the compiler where the eBPF object lies that the loader carries inside itself.
//!
//! `cargo xtask build` makes the object; `.cargo/config.toml` says where it leaves it. This
//! script builds nothing: it only refuses early, and in words, when the object is missing.

use std::{env, path::PathBuf};

/// Where the objects lie; set in `.cargo/config.toml`.
const OBJECT_DIR: &str = "SIP_FILTER_EBPF_DIR";
/// The object's path, as the sources see it.
const OBJECT: &str = "SIP_FILTER_EBPF_OBJECT";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed={OBJECT_DIR}");
    let Some(dir) = env::var_os(OBJECT_DIR) else {
        panic!(
            "{OBJECT_DIR} is not set: build inside the repository, where .cargo/config.toml sets it"
        );
    };
    let object = PathBuf::from(dir).join("sip-filter");
    println!("cargo:rerun-if-changed={}", object.display());
    if !object.is_file() {
        panic!(
            "the eBPF object is not built: run `cargo xtask build` (looked for {})",
            object.display()
        );
    }
    println!("cargo:rustc-env={OBJECT}={}", object.display());
}
