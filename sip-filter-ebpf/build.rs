//! Gives bpf-linker the one CPU feature without which `read_unaligned` becomes single-byte
//! loads: the kernel allows misaligned loads from packets on every CPU that it supports.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_ARCH").as_deref() == Ok("bpf") {
        println!("cargo:rustc-link-arg=--cpu-features=+allows-misaligned-mem-access");
    }
}
