//! The vDSO: the few functions that a kernel maps into every process so that it need not be called to tell the time.

use std::ops::Range;

use nix::unistd::Pid;
use object::elf::FileHeader64;
use object::read::elf::{ElfFile, ProgramHeader};
use object::{Endianness, Object, ObjectSymbol};
use procfs::process::{MMapPath, Process};

use super::code::ALIGNMENT;

/// Where the vDSO of a process is mapped.
pub(super) fn place(pid: Pid) -> Result<Range<u64>, String> {
    let unreadable = |error: procfs::ProcError| format!("the memory map of process {pid} cannot be read: {error}");
    let maps = Process::new(pid.as_raw()).and_then(|process| process.maps()).map_err(unreadable)?;
    let vdso = maps.into_iter().find(|map| map.pathname == MMapPath::Vdso);
    let (begin, end) = vdso.ok_or_else(|| format!("process {pid} has no vDSO whose clocks could be turned"))?.address;
    Ok(begin..end)
}

/// What a kernel maps: the same bytes into every process.
pub(super) struct Image {
    pub bytes: Vec<u8>,
}

impl Image {
    /// The one of this process, which nobody has touched.
    pub(super) fn own() -> Result<Image, String> {
        let place = place(Pid::this())?;
        let length = usize::try_from(place.end - place.start).expect("a few pages");
        // SAFETY: the kernel mapped these bytes for reading, and they stay mapped as long as the process lives.
        let bytes = unsafe { std::slice::from_raw_parts(place.start as *const u8, length) };
        Ok(Image { bytes: bytes.to_vec() })
    }

    fn elf(&self) -> Result<ElfFile<'_, FileHeader64<Endianness>>, String> {
        ElfFile::parse(self.bytes.as_slice()).map_err(|error| format!("this kernel's vDSO cannot be read: {error}"))
    }

    /// The offset of a function, if it has one of this name that is at least so long.
    pub(super) fn function(&self, name: &str, least: u64) -> Result<usize, String> {
        let elf = self.elf()?;
        let symbol = elf.dynamic_symbols().find(|symbol| symbol.name() == Ok(name) && symbol.is_definition());
        let symbol = symbol.ok_or_else(|| format!("this kernel's vDSO has no {name}"))?;
        if symbol.size() < least {
            return Err(format!("{name} of this kernel's vDSO is too short for a jump"));
        }
        usize::try_from(symbol.address())
            .ok()
            .filter(|at| *at < self.bytes.len())
            .ok_or_else(|| format!("{name} of this kernel's vDSO lies outside of it"))
    }

    /// The offset of so many bytes that nobody uses: behind all that is written there, or else behind what the program
    /// headers name, where only debuggers look.
    pub(super) fn room(&self, length: usize) -> Result<usize, String> {
        let written = self.bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let elf = self.elf()?;
        let segments = elf.elf_program_headers().iter();
        let loaded = segments
            .map(|segment| segment.p_offset(Endianness::Little).saturating_add(segment.p_filesz(Endianness::Little)));
        let loaded = loaded.max().and_then(|end| usize::try_from(end).ok()).unwrap_or(self.bytes.len());
        [written, loaded]
            .into_iter()
            .map(|end| end.next_multiple_of(ALIGNMENT))
            .find(|begin| begin + length <= self.bytes.len())
            .ok_or_else(|| format!("this kernel's vDSO has no {length} bytes of room for a hook"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_kernels_functions_and_room_are_found() {
        let image = Image::own().expect("a vDSO");
        for name in ["__vdso_clock_gettime", "__vdso_gettimeofday", "__vdso_time"] {
            let at = image.function(name, 5).unwrap_or_else(|error| panic!("{error}"));
            assert!(at > 0, "{name}");
        }
        assert!(image.function("__vdso_tea", 5).is_err_and(|error| error.contains("__vdso_tea")));
        let room = image.room(64).expect("room");
        assert_eq!(room % ALIGNMENT, 0);
        assert!(image.room(1 << 20).is_err());
    }
}
