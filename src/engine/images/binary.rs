//! The running khd, as what its own image holds.

use std::path::Path;
use std::sync::OnceLock;

use anyhow::Context as _;
use object::Endianness;
use object::elf::{self, FileHeader64};
use object::read::elf::{FileHeader as _, ProgramHeader as _};
use sha2::{Digest as _, Sha256};

use crate::error::Expected;

/// A binary of khd.
#[derive(Debug)]
pub(super) struct Binary {
    content: Vec<u8>,
    digest: OnceLock<String>,
}

impl Binary {
    pub(super) fn new(content: Vec<u8>) -> Self {
        Self {
            content,
            digest: OnceLock::new(),
        }
    }

    /// Reads the running khd, which has to be fit for an image `FROM scratch` on an engine of this architecture.
    pub(super) async fn running(architecture: &str) -> anyhow::Result<Self> {
        let path = std::env::current_exe().context("cannot find the running khd")?;
        let architecture = architecture.to_owned();
        let reading = tokio::task::spawn_blocking(move || {
            // On Linux this is the running file even when another was put in its place since.
            let itself = Path::new("/proc/self/exe");
            let source = if itself.exists() { itself } else { path.as_path() };
            let content = std::fs::read(source).with_context(|| format!("cannot read {}", path.display()))?;
            fit(&content, &architecture).map_err(|why| unfit(&path, &why))?;
            Ok(Self::new(content))
        });
        reading.await.context("cannot read the running khd")?
    }

    pub(super) fn content(&self) -> &[u8] {
        &self.content
    }

    /// Its SHA-256, in lower-case hex.
    pub(super) fn digest(&self) -> &str {
        self.digest.get_or_init(|| hex::encode(Sha256::digest(&self.content)))
    }
}

fn unfit(path: &Path, why: &str) -> anyhow::Error {
    Expected::environment(format!(
        "cannot make the image of producers and consumers from {}: {why}",
        path.display()
    ))
    .hint(
        "run a khd that is linked statically: `cargo build --release` in its repository makes one on Linux \
         (.cargo/config.toml there links statically); or name an image that has khd as its entrypoint: \
         `images: {khd: …}`",
    )
    .into()
}

/// Says what keeps a binary from running in an image that holds nothing else.
fn fit(content: &[u8], architecture: &str) -> Result<(), String> {
    let header = FileHeader64::<Endianness>::parse(content).map_err(|_| "it is no 64-bit program for Linux (ELF)")?;
    let endian = header.endian().map_err(|_| "it is no program for Linux (ELF)")?;
    let machine = match header.e_machine(endian) {
        elf::EM_X86_64 => Some("x86_64"),
        elf::EM_AARCH64 => Some("aarch64"),
        _ => None,
    };
    if let Some(machine) = machine.filter(|machine| !architecture.is_empty() && *machine != architecture) {
        return Err(format!(
            "it is built for {machine}, and the engine's machine is {architecture}"
        ));
    }
    let segments = header
        .program_headers(endian, content)
        .map_err(|_| "its ELF headers are broken")?;
    if segments.iter().any(|segment| segment.p_type(endian) == elf::PT_INTERP) {
        return Err("it is linked dynamically, so it needs libraries that the image does not have".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The smallest ELF file: a header, and one program header of this type.
    fn program(machine: u16, segment: u32) -> Vec<u8> {
        let mut file = vec![0; 64 + 56];
        file[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1, 1]);
        file[16..18].copy_from_slice(&2_u16.to_le_bytes());
        file[18..20].copy_from_slice(&machine.to_le_bytes());
        file[20..24].copy_from_slice(&1_u32.to_le_bytes());
        file[32..40].copy_from_slice(&64_u64.to_le_bytes());
        file[52..54].copy_from_slice(&64_u16.to_le_bytes());
        file[54..56].copy_from_slice(&56_u16.to_le_bytes());
        file[56..58].copy_from_slice(&1_u16.to_le_bytes());
        file[64..68].copy_from_slice(&segment.to_le_bytes());
        file
    }

    #[test]
    fn a_static_program_for_the_engines_machine_is_fit() {
        assert_eq!(fit(&program(62, 1), "x86_64"), Ok(()));
        assert_eq!(fit(&program(183, 1), "aarch64"), Ok(()));
        assert_eq!(fit(&program(62, 1), ""), Ok(()), "the architecture need not be known");
    }

    #[test]
    fn what_would_not_run_in_the_image_is_refused_with_the_reason() {
        let refused = |content: &[u8]| fit(content, "x86_64").unwrap_err();
        assert!(refused(b"\xcf\xfa\xed\xfe and so on, a program for another system").contains("ELF"));
        assert!(refused(&program(183, 1)).contains("built for aarch64"));
        assert!(refused(&program(62, 3)).contains("dynamically"));
        let error = unfit(Path::new("/usr/bin/khd"), &refused(&program(62, 3)));
        assert!(
            error
                .downcast_ref::<Expected>()
                .unwrap()
                .hint
                .as_ref()
                .unwrap()
                .contains("cargo build --release")
        );
    }
}
