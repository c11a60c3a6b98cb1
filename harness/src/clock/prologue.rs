//! The first instructions of a function, moved elsewhere, so that a jump may lie where they were.

use iced_x86::{
    BlockEncoder, BlockEncoderOptions, Decoder, DecoderOptions, FlowControl, Instruction, InstructionBlock,
};

/// How long a jump is.
pub(super) const JUMP: usize = 5;

/// What does the same at `to` as the function at `at` does where it is: its first instructions, as many as a jump
/// covers, and a jump to those that follow. None if one of them is not known, or goes elsewhere.
///
/// Addresses count from the beginning of `image`, which is where it is mapped or not: only distances matter.
pub(super) fn moved(image: &[u8], at: usize, to: usize) -> Option<Vec<u8>> {
    let mut decoder = Decoder::with_ip(64, image.get(at..)?, at as u64, DecoderOptions::NONE);
    let mut instructions: Vec<Instruction> = Vec::new();
    while decoder.position() < JUMP {
        let instruction = decoder.decode();
        if instruction.is_invalid() || instruction.flow_control() != FlowControl::Next {
            return None;
        }
        instructions.push(instruction);
    }
    let block = InstructionBlock::new(&instructions, to as u64);
    let mut bytes = BlockEncoder::encode(64, block, BlockEncoderOptions::DONT_FIX_BRANCHES).ok()?.code_buffer;
    bytes.extend(super::code::jump(to + bytes.len(), at + decoder.position()));
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is at the beginning of an image, moved to 0x100; the jump back is left out.
    fn head(bytes: &[u8]) -> Option<Vec<u8>> {
        let mut image = bytes.to_vec();
        image.resize(0x100, 0x90);
        let moved = moved(&image, 0, 0x100)?;
        Some(moved[..moved.len() - JUMP].to_vec())
    }

    #[test]
    fn prologues_of_kernels() {
        // push rbp; mov rbp, rsp; push r14 (6.18)
        let pushes = [0x55, 0x48, 0x89, 0xe5, 0x41, 0x56];
        assert_eq!(head(&pushes).as_deref(), Some(pushes.as_slice()));
        // cmp edi, 23; sub rsp, 8
        let compares = [0x83, 0xff, 0x17, 0x48, 0x83, 0xec, 0x08];
        assert_eq!(head(&compares).as_deref(), Some(compares.as_slice()));
        // endbr64; push rbp
        let branch_target = [0xf3, 0x0f, 0x1e, 0xfa, 0x55];
        assert_eq!(head(&branch_target).as_deref(), Some(branch_target.as_slice()));
    }

    #[test]
    fn an_address_relative_to_the_instruction_stays_the_same() {
        // push rbp; lea r10, [rip - 0x6818]
        let moved = head(&[0x55, 0x4c, 0x8d, 0x15, 0xe8, 0x97, 0xff, 0xff]).expect("known instructions");
        let distance = i32::from_le_bytes(moved[4..8].try_into().expect("four bytes"));
        assert_eq!((&moved[..4], distance), ([0x55, 0x4c, 0x8d, 0x15].as_slice(), -0x6818 - 0x100));
    }

    #[test]
    fn what_goes_elsewhere_is_refused() {
        for (bytes, what) in [
            (vec![0x74, 0x10, 0x90, 0x90, 0x90], "je"),
            (vec![0xe8, 0, 0, 0, 0], "call"),
            (vec![0x31, 0xc0, 0xc3], "ret"),
            (vec![0x06, 0x06, 0x06, 0x06, 0x06], "no instruction"),
        ] {
            assert_eq!(head(&bytes), None, "{what}");
        }
    }

    #[test]
    fn the_jump_leads_behind_what_was_moved() {
        let mut image = vec![0x55, 0x48, 0x89, 0xe5, 0x41, 0x56];
        image.resize(0x40, 0x90);
        let moved = moved(&image, 0, 0x40).expect("known instructions");
        assert_eq!(moved[6..], super::super::code::jump(0x46, 6));
    }
}
