//! Checks the bytes of a library before the dynamic linker opens it, because the linker runs code of the library.

use object::read::{Object as _, ObjectSegment as _, ObjectSymbol as _};
use object::{Architecture, BinaryFormat, File, ObjectKind};
use openai_agents_plugin::abi::{ABI_VERSION, MAGIC, PluginTable, SYMBOL};

/// Magic, version and size: the first fields of the table, which need no relocation.
const HEAD_BYTES: u64 = 16;

/// Why bytes are not a plugin.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ImageError {
    NoPlugin(String),
    Abi(u32),
}

impl From<&str> for ImageError {
    fn from(problem: &str) -> Self {
        Self::NoPlugin(problem.to_owned())
    }
}

/// Checks that bytes are a complete shared library for this machine, with a table of this ABI.
pub(super) fn check(bytes: &[u8]) -> Result<(), ImageError> {
    let file = File::parse(bytes)
        .map_err(|error| ImageError::NoPlugin(format!("it is not a shared library ({error})")))?;
    let format = if cfg!(target_vendor = "apple") {
        BinaryFormat::MachO
    } else {
        BinaryFormat::Elf
    };
    if file.format() != format || file.kind() != ObjectKind::Dynamic {
        return Err("it is not a shared library of this system".into());
    }
    let architecture = match std::env::consts::ARCH {
        "x86_64" => Architecture::X86_64,
        "aarch64" => Architecture::Aarch64,
        other => {
            return Err(ImageError::NoPlugin(format!(
                "plugins are not supported on {other}"
            )));
        }
    };
    if file.architecture() != architecture {
        let found = file.architecture();
        let problem = format!("it is for the architecture {found:?}");
        return Err(ImageError::NoPlugin(problem));
    }
    // The linker maps what the segments claim. Touching a page beyond the end of the file would end the program by
    // SIGBUS.
    let length = bytes.len() as u64;
    let is_whole = file.segments().all(|segment| {
        let (start, size) = segment.file_range();
        start.checked_add(size).is_some_and(|end| end <= length)
    });
    if !is_whole {
        return Err("it is cut off".into());
    }
    check_table(&file)
}

fn check_table(file: &File<'_>) -> Result<(), ImageError> {
    let symbols = if cfg!(target_vendor = "apple") {
        file.symbols()
    } else {
        file.dynamic_symbols()
    };
    // Mach-O prefixes C names with an underscore.
    let is_table = |name: &str| name == SYMBOL || name.strip_prefix('_') == Some(SYMBOL);
    let mut tables = symbols
        .filter(|symbol| symbol.is_definition() && symbol.name().is_ok_and(is_table))
        .map(|symbol| symbol.address());
    let address = tables
        .next()
        .ok_or_else(|| ImageError::NoPlugin(format!("it has no symbol {SYMBOL}")))?;
    let head = file
        .segments()
        .find_map(|segment| segment.data_range(address, HEAD_BYTES).ok().flatten());
    let no_table = || ImageError::NoPlugin(format!("its {SYMBOL} is not the table of a plugin"));
    let head = head.ok_or_else(no_table)?;
    let number = |at: usize| {
        let bytes = head.get(at..at + 4)?.try_into().ok()?;
        Some(u32::from_ne_bytes(bytes))
    };
    if head.get(..8) != Some(&MAGIC[..]) {
        return Err(no_table());
    }
    let (version, size) = (number(8).ok_or_else(no_table)?, number(12));
    if version != ABI_VERSION {
        return Err(ImageError::Abi(version));
    }
    if size.map(|size| size as usize) != Some(size_of::<PluginTable>()) {
        return Err(no_table());
    }
    Ok(())
}
