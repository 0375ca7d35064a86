//! Arithmetic on rows of samples: ranges, depths and matrices.
//!
//! Everything here works on whole rows in 16-bit or float lanes, so that it vectorises.

use ffmpeg_next::util::color::Space;

/// What samples mean: where black and white lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SampleRange {
    /// Luma 16..235 and chroma 16..240, of 8 bits.
    Limited,
    /// 0..255.
    Full,
}

/// Weights of the two colour differences, as stored, relative to luma in 0..255.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Matrix {
    red_cr: f32,
    green_cb: f32,
    green_cr: f32,
    blue_cb: f32,
    /// In BT.601 luma of the red, green and blue they give.
    luma_cb: f32,
    luma_cr: f32,
}

impl Matrix {
    /// The matrix of a stream; unknown ones are taken as BT.601, as FFmpeg's scaler does.
    pub(crate) fn of(space: Space, range: SampleRange) -> Self {
        let (kr, kb) = match space {
            Space::BT709 => (0.2126, 0.0722),
            Space::FCC => (0.30, 0.11),
            Space::SMPTE240M => (0.212, 0.087),
            Space::BT2020NCL | Space::BT2020CL => (0.2627, 0.0593),
            _ => (0.299, 0.114),
        };
        let kg: f32 = 1.0 - kr - kb;
        let scale = match range {
            SampleRange::Full => 1.0,
            SampleRange::Limited => 255.0 / 224.0,
        };
        let red_cr = 2.0 * (1.0 - kr) * scale;
        let blue_cb = 2.0 * (1.0 - kb) * scale;
        let green_cb = -blue_cb * kb / kg;
        let green_cr = -red_cr * kr / kg;
        Self {
            red_cr,
            green_cb,
            green_cr,
            blue_cb,
            luma_cb: 0.587 * green_cb + 0.114 * blue_cb,
            luma_cr: 0.299 * red_cr + 0.587 * green_cr,
        }
    }

    /// True where BT.601 luma is Y itself.
    pub(crate) fn is_bt601(&self) -> bool {
        self.luma_cb.abs() < 1e-5 && self.luma_cr.abs() < 1e-5
    }

    /// Red, green and blue of a full-range luma and stored colour differences.
    pub(crate) fn rgb(&self, y: u8, cb: u8, cr: u8) -> [u8; 3] {
        let (y, cb, cr) = (f32::from(y), f32::from(cb) - 128.0, f32::from(cr) - 128.0);
        [
            to_byte(y + self.red_cr * cr),
            to_byte(y + self.green_cb * cb + self.green_cr * cr),
            to_byte(y + self.blue_cb * cb),
        ]
    }

    /// What the colour differences add to Y in BT.601 luma, in 128ths of a level.
    pub(crate) fn luma_shift(&self, cb: &[u8], cr: &[u8], out: &mut [i16]) {
        let (weight_cb, weight_cr) = (to_fixed(self.luma_cb), to_fixed(self.luma_cr));
        for ((&cb, &cr), out) in cb.iter().zip(cr).zip(out) {
            *out = (centred(cb).wrapping_mul(weight_cb) >> 3)
                .wrapping_add(centred(cr).wrapping_mul(weight_cr) >> 3);
        }
    }
}

/// A weight in 1024ths, small enough that 128 of it fit 16 bits; the cast saturates.
fn to_fixed(weight: f32) -> i16 {
    (weight * 1024.0).round().clamp(-255.0, 255.0) as i16
}

/// A chroma sample less 128.
fn centred(sample: u8) -> i16 {
    i16::from(sample) - 128
}

/// Luma in 256ths of a full-range level: for the limited range times 255 / 219, as near as
/// 298 + 5/64 is to 298.08.
fn widen(y: u8, range: SampleRange) -> u16 {
    match range {
        SampleRange::Full => u16::from(y) << 8,
        SampleRange::Limited => {
            let y = u16::from(y.saturating_sub(16).min(219));
            y.wrapping_mul(298).wrapping_add(y.wrapping_mul(5) >> 6)
        }
    }
}

/// Limited range to full range: `round((y - 16) * 255 / 219)`, clipped.
pub(crate) fn expand(row: &[u8], out: &mut [u8]) {
    for (&y, out) in row.iter().zip(out) {
        *out =
            u8::try_from(widen(y, SampleRange::Limited).wrapping_add(128) >> 8).unwrap_or(u8::MAX);
    }
}

/// Repeats each of [`Matrix::luma_shift`]'s values for the `2^halvings` pixels that it serves.
pub(crate) fn spread(shift: &[i16], halvings: u8, out: &mut [i16]) {
    match halvings {
        0 => {
            for (&shift, out) in shift.iter().zip(out) {
                *out = shift;
            }
        }
        1 => {
            let (pairs, rest) = out.as_chunks_mut::<2>();
            for (&shift, out) in shift.iter().zip(pairs) {
                *out = [shift, shift];
            }
            if let ([out], Some(&shift)) = (rest, shift.last()) {
                *out = shift;
            }
        }
        _ => {
            for (&shift, out) in shift.iter().zip(out.chunks_mut(1 << halvings)) {
                out.fill(shift);
            }
        }
    }
}

/// Luma in full range plus a shift for each pixel, clipped.
pub(crate) fn blend(row: &[u8], range: SampleRange, shift: &[i16], out: &mut [u8]) {
    // One loop for each range, so that the choice is made outside of it.
    match range {
        SampleRange::Full => blend_as(row, shift, out, |y| widen(y, SampleRange::Full)),
        SampleRange::Limited => blend_as(row, shift, out, |y| widen(y, SampleRange::Limited)),
    }
}

fn blend_as(row: &[u8], shift: &[i16], out: &mut [u8], widen: impl Fn(u8) -> u16) {
    for ((&y, &shift), out) in row.iter().zip(shift).zip(out) {
        let y = i16::try_from(widen(y) >> 1).unwrap_or(i16::MAX);
        let level = y.saturating_add(shift.wrapping_add(64)) >> 7;
        *out = u8::try_from(level.clamp(0, 255)).unwrap_or(u8::MAX);
    }
}

/// Luma of more than 8 bits, in little-endian words, to full-range bytes.
pub(crate) fn reduce_luma(row: &[u8], bits: u32, range: SampleRange, out: &mut [u8]) {
    for (&word, out) in row.as_chunks::<2>().0.iter().zip(out) {
        *out = reduced(u16::from_le_bytes(word), bits, range);
    }
}

/// A luma sample of more than 8 bits as a full-range byte.
#[inline]
pub(crate) fn reduced(word: u16, bits: u32, range: SampleRange) -> u8 {
    let unit = f32::from(1u16 << (bits - 8));
    let (black, scale) = match range {
        SampleRange::Full => (0.0, 255.0 / (256.0 * unit - 1.0)),
        SampleRange::Limited => (16.0 * unit, 255.0 / (219.0 * unit)),
    };
    to_byte((f32::from(word) - black) * scale)
}

/// Chroma of more than 8 bits to bytes around 128.
pub(crate) fn reduce_chroma(row: &[u8], bits: u32, out: &mut [u8]) {
    let scale = 1.0 / f32::from(1u16 << (bits - 8));
    for (&word, out) in row.as_chunks::<2>().0.iter().zip(out) {
        *out = to_byte(f32::from(u16::from_le_bytes(word)) * scale);
    }
}

/// Rounds to nearest and clips; the cast saturates.
pub(crate) fn to_byte(value: f32) -> u8 {
    (value + 0.5) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn expansion_is_the_rounded_quotient() {
        let all: Vec<u8> = (0..=255).collect();
        let mut out = [0; 256];
        expand(&all, &mut out);
        for (&y, &out) in all.iter().zip(&out) {
            let exact = ((f64::from(y) - 16.0) * 255.0 / 219.0).round();
            assert_eq!(f64::from(out), exact.clamp(0.0, 255.0), "{y}");
        }
    }

    #[test]
    fn luma_weights_vanish_for_bt601_alone() {
        assert!(Matrix::of(Space::Unspecified, SampleRange::Limited).is_bt601());
        assert!(Matrix::of(Space::SMPTE170M, SampleRange::Full).is_bt601());
        assert!(!Matrix::of(Space::BT709, SampleRange::Limited).is_bt601());
    }

    const SPACES: [Space; 6] = [
        Space::BT709,
        Space::BT2020NCL,
        Space::SMPTE170M,
        Space::SMPTE240M,
        Space::FCC,
        Space::Unspecified,
    ];

    proptest! {
        #[test]
        fn blended_luma_is_that_of_the_colour(
            samples in prop::collection::vec(any::<[u8; 3]>(), 1..9),
            space in 0..6usize,
            limited: bool,
            halvings in 0..3u8,
        ) {
            let range = if limited { SampleRange::Limited } else { SampleRange::Full };
            let matrix = Matrix::of(SPACES[space], range);
            let cb: Vec<u8> = samples.iter().map(|s| s[1]).collect();
            let cr: Vec<u8> = samples.iter().map(|s| s[2]).collect();
            let mut narrow = vec![0; samples.len()];
            matrix.luma_shift(&cb, &cr, &mut narrow);
            // The last chroma sample serves fewer pixels where the width is odd.
            let width = (samples.len() << halvings) - usize::from(halvings > 0);
            let row: Vec<u8> = (0..width).map(|x| samples[x >> halvings][0]).collect();
            let mut shift = vec![0; width];
            spread(&narrow, halvings, &mut shift);
            let mut out = vec![0; width];
            blend(&row, range, &shift, &mut out);
            for (x, &out) in out.iter().enumerate() {
                let [y, cb, cr] = samples[x >> halvings].map(f32::from);
                let y = if limited { (y - 16.0).clamp(0.0, 219.0) * 255.0 / 219.0 } else { y };
                let exact =
                    y + matrix.luma_cb * (cb - 128.0) + matrix.luma_cr * (cr - 128.0);
                prop_assert!((f32::from(out) - exact.clamp(0.0, 255.0)).abs() <= 0.7);
            }
        }

        #[test]
        fn grey_is_grey_in_every_matrix(y: u8, space in 0..6usize) {
            let matrix = Matrix::of(SPACES[space], SampleRange::Full);
            prop_assert_eq!(matrix.rgb(y, 128, 128), [y; 3]);
        }
    }
}
