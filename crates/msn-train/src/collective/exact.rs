//! Whole numbers and bytes by a collective of f32, bit for bit.

use msn_kernels::Collective;

/// What each rank gives, rank 0 first. All give as many numbers.
pub(crate) fn gather_u64(collective: &dyn Collective, own: &[u64]) -> Vec<Vec<u64>> {
    // Sixteen bits at a time: whole numbers that f32 holds.
    let part = |n: u64, i: u32| u16::try_from((n >> (16 * i)) & 0xffff).map_or(0.0, f32::from);
    let parts: Vec<f32> = own
        .iter()
        .flat_map(|&n| (0..4).map(move |i| part(n, i)))
        .collect();
    let whole = |parts: &[f32]| {
        let shifted = parts.iter().zip([0, 16, 32, 48]);
        shifted.map(|(&v, shift)| (v as u64) << shift).sum()
    };
    let of_rank = |parts: Vec<f32>| parts.chunks_exact(4).map(whole).collect();
    collective
        .all_gather(&parts)
        .into_iter()
        .map(of_rank)
        .collect()
}

/// Rank 0's bytes; what the others give is not sent.
pub(crate) fn broadcast_bytes(collective: &dyn Collective, own: &[u8]) -> Vec<u8> {
    let lengths = gather_lengths(collective, own.len());
    let mut values = vec![0.0; lengths[0].div_ceil(2)];
    if collective.rank() == 0 {
        values = pack(own);
    }
    // Zeros of the others change nothing.
    collective.all_reduce_sum(&mut values);
    unpack(&values, lengths[0])
}

/// The bytes of each rank, rank 0 first; lengths may differ.
pub(crate) fn gather_bytes(collective: &dyn Collective, own: &[u8]) -> Vec<Vec<u8>> {
    let lengths = gather_lengths(collective, own.len());
    let longest = lengths.iter().max().copied().unwrap_or(0);
    let mut values = pack(own);
    values.resize(longest.div_ceil(2), 0.0);
    let all = collective.all_gather(&values);
    all.iter()
        .zip(lengths)
        .map(|(values, length)| unpack(values, length))
        .collect()
}

/// Whether any rank says so; all ranks call it, and all get the same answer.
pub fn any_rank(collective: &dyn Collective, own: bool) -> bool {
    let all = collective.all_gather(&[f32::from(u8::from(own))]);
    all.iter().flatten().any(|&v| v != 0.0)
}

fn gather_lengths(collective: &dyn Collective, own: usize) -> Vec<usize> {
    let all = gather_u64(collective, &[own as u64]);
    // Lengths of buffers that are there.
    all.iter()
        .map(|of| usize::try_from(of[0]).unwrap_or(usize::MAX))
        .collect()
}

/// Two bytes a value.
fn pack(bytes: &[u8]) -> Vec<f32> {
    let pair = |c: &[u8]| f32::from(u16::from_le_bytes([c[0], c.get(1).copied().unwrap_or(0)]));
    bytes.chunks(2).map(pair).collect()
}

fn unpack(values: &[f32], length: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = values
        .iter()
        .flat_map(|&v| (v as u16).to_le_bytes())
        .collect();
    bytes.truncate(length);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SingleProcess;

    #[test]
    fn every_bit_arrives() {
        let numbers = [0, 1, u64::MAX, 0x0123_4567_89ab_cdef];
        assert_eq!(gather_u64(&SingleProcess, &numbers), [numbers]);
        for length in [0, 1, 2, 255, 256] {
            let bytes: Vec<u8> = (0..=255).take(length).collect();
            assert_eq!(broadcast_bytes(&SingleProcess, &bytes), bytes);
            assert_eq!(gather_bytes(&SingleProcess, &bytes), [bytes]);
        }
        assert!(any_rank(&SingleProcess, true) && !any_rank(&SingleProcess, false));
    }
}
