//! Up to Linux 6.12 a program and the functions that it calls have 512 bytes of stack together;
//! later ones give a function more. So this is looked at where the object is built, and not only
//! where it is loaded into an old kernel.

use std::{collections::HashMap, env, fs, path::Path};

use anyhow::{Context as _, Result};
use object::{
    Object as _, ObjectSection as _, ObjectSymbol as _, RelocationTarget, SectionIndex, SymbolKind,
    read::elf::ElfFile64,
};

/// MAX_BPF_STACK of the kernel, in bytes.
const STACK: usize = 512;

/// The steps in which `check_max_stack_depth` of the kernel counts a function's stack, in bytes.
const FRAME_STEP: usize = 32;

/// MAX_CALL_FRAMES of the kernel.
const MAX_FRAMES: usize = 8;

const INSTRUCTION: usize = 8;

/// The register that points to the end of a function's stack.
const FRAME_POINTER: u8 = 10;

#[test]
fn programs_keep_to_the_stack_of_old_kernels() -> Result<()> {
    let folder = env::var_os("SIP_FILTER_EBPF_DIR")
        .unwrap_or_else(|| panic!("SIP_FILTER_EBPF_DIR is not set: run this with cargo"));
    let path = Path::new(&folder).join("sip-filter");
    let file = fs::read(&path).with_context(|| format!("cannot read {path:?}"))?;
    let functions = Functions::of(&ElfFile64::parse(&*file)?)?;
    for program in ["sip_filter", "sip_filter_one", "sip_filter_tcx"] {
        let deepest = functions.deepest(functions.named(program), 1);
        let chain = deepest.chain(&functions);
        println!("{program}: {} bytes: {chain}", deepest.stack);
        assert!(
            deepest.stack > FRAME_STEP,
            "{program} calls nothing: {chain}"
        );
        assert!(deepest.stack <= STACK, "{} bytes: {chain}", deepest.stack);
    }
    Ok(())
}

/// A section of the object, and a place in it in bytes.
type Place = (SectionIndex, u64);

struct Function {
    name: String,
    /// In bytes, as the kernel counts it.
    stack: usize,
    calls: Vec<Place>,
}

struct Functions(HashMap<Place, Function>);

/// The calls that take the most stack, the last one first.
struct Deepest {
    stack: usize,
    calls: Vec<Place>,
}

impl Deepest {
    fn chain(&self, functions: &Functions) -> String {
        let calls = self.calls.iter().rev().map(|place| {
            let function = &functions.0[place];
            format!("{} {}", function.name, function.stack)
        });
        calls.collect::<Vec<_>>().join(", ")
    }
}

impl Functions {
    fn of(object: &ElfFile64) -> Result<Self> {
        let functions = object
            .symbols()
            .filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.size() > 0)
            .map(|symbol| {
                let section = symbol.section_index().context("a function in no section")?;
                let place = (section, symbol.address());
                let function = Function {
                    name: symbol.name()?.to_owned(),
                    ..function(object, place, symbol.size())?
                };
                Ok((place, function))
            });
        functions.collect::<Result<_>>().map(Self)
    }

    fn named(&self, name: &str) -> Place {
        let named = self.0.iter().find(|(_, function)| function.name == name);
        *named.unwrap_or_else(|| panic!("no {name}")).0
    }

    fn deepest(&self, place: Place, frames: usize) -> Deepest {
        let function = &self.0[&place];
        assert!(frames <= MAX_FRAMES, "{} is called too deep", function.name);
        let called = function
            .calls
            .iter()
            .map(|&call| self.deepest(call, frames + 1))
            .max_by_key(|deepest| deepest.stack);
        let mut deepest = called.unwrap_or(Deepest {
            stack: 0,
            calls: Vec::new(),
        });
        deepest.stack += function.stack;
        deepest.calls.push(place);
        deepest
    }
}

/// What the instructions of a function say; its name is not among them.
fn function(object: &ElfFile64, place: Place, size: u64) -> Result<Function> {
    let (section, address) = place;
    let text = object.section_by_index(section)?;
    let mut targets: HashMap<u64, Place> = HashMap::new();
    for (at, relocation) in text.relocations() {
        if let RelocationTarget::Symbol(symbol) = relocation.target() {
            let symbol = object.symbol_by_index(symbol)?;
            let section = symbol.section_index();
            targets.extend(section.map(|section| (at, (section, symbol.address()))));
        }
    }
    let (instructions, _) = text
        .data_range(address, size)?
        .context("a function outside its section")?
        .as_chunks::<INSTRUCTION>();
    let (mut stack, mut calls) = (0, Vec::new());
    let mut copy_of_frame_pointer = None;
    for (at, instruction) in (address..).step_by(INSTRUCTION).zip(instructions) {
        let &[code, registers, o0, o1, i0, i1, i2, i3] = instruction;
        let (destination, source) = (registers & 0xf, registers >> 4);
        let offset = i16::from_le_bytes([o0, o1]);
        let immediate = i32::from_le_bytes([i0, i1, i2, i3]);
        let copied = copy_of_frame_pointer.take();
        match code {
            // BPF_LDX, and BPF_ST and BPF_STX.
            _ if code & 7 == 1 && source == FRAME_POINTER
                || matches!(code & 7, 2 | 3) && destination == FRAME_POINTER =>
            {
                stack = stack.max(-i64::from(offset));
            }
            // BPF_ALU64 | BPF_MOV | BPF_X
            0xbf if source == FRAME_POINTER => copy_of_frame_pointer = Some(destination),
            // BPF_ALU64 | BPF_ADD | BPF_K
            0x07 if copied == Some(destination) => stack = stack.max(-i64::from(immediate)),
            // BPF_JMP | BPF_CALL, of a function of the object.
            0x85 if source == 1 => {
                let behind = |place: u64| {
                    place.wrapping_add_signed((i64::from(immediate) + 1) * INSTRUCTION as i64)
                };
                calls.push(match targets.get(&at) {
                    // By the symbol of the function, or by that of its section and the place in it.
                    Some(&(section, address)) => (section, behind(address)),
                    None => (section, behind(at)),
                });
            }
            _ => {}
        }
    }
    Ok(Function {
        name: String::new(),
        stack: usize::try_from(stack)?.max(1).next_multiple_of(FRAME_STEP),
        calls,
    })
}
