//! Cosines of queries and items, position by position, on the host.

use std::ops::Range;

use burn::tensor::{Tensor, TensorData, backend::Backend};

use crate::{Clips, NetConfig, OnDevice, PredictError, plan::SIDE_MULTIPLE};

/// How alike the queries of one clip and a pool's items are.
#[derive(Clone, Debug, PartialEq)]
pub struct Cosines {
    /// Pool 1, 2 or 3.
    pub pool: usize,
    /// Rows of queries.
    pub height: usize,
    /// Columns of queries.
    pub width: usize,
    /// Items M.
    pub items: usize,
    /// Cosine of each query and item, [height, width, M]; 0 throughout for a feature of zeros.
    pub values: Vec<f32>,
}

/// A network whose lookups can be observed.
pub trait Lookups {
    /// Settings of the network, which say what it is fed and which pools it has.
    fn config(&self) -> &NetConfig;

    /// For each clip the cosines at each pool, pools ascending. Targets are not looked at.
    ///
    /// # Errors
    /// [`PredictError`] where the clips do not fit the network.
    fn cosines(&self, clips: Clips) -> Result<Vec<Vec<Cosines>>, PredictError>;
}

impl<B: Backend> Lookups for OnDevice<B> {
    fn config(&self) -> &NetConfig {
        self.net.config()
    }

    fn cosines(&self, clips: Clips) -> Result<Vec<Vec<Cosines>>, PredictError> {
        let config = self.net.config();
        let (n, h, w) = (clips.count, clips.height, clips.width);
        let past = config.frames * config.channels;
        if !h.is_multiple_of(SIDE_MULTIPLE)
            || !w.is_multiple_of(SIDE_MULTIPLE)
            || clips.frames.len() != n * past * h * w
        {
            return Err(PredictError::Shape {
                clips: n,
                height: h,
                width: w,
                planes: past,
            });
        }
        let frames = TensorData::new(clips.frames, [n, past, h, w]);
        let mut all: Vec<Vec<Cosines>> = vec![Vec::new(); n];
        for at in self.net.lookups(Tensor::from_data(frames, &self.device)) {
            let [_, height, width] = at.shape;
            // Similarities are cosines divided by the temperature.
            let cosine = at.lookup.similarity().mul_scalar(config.temperature);
            let values: Vec<f32> = cosine.into_data().iter::<f32>().collect();
            let of_clip = height * width * config.items;
            for (clip, values) in all.iter_mut().zip(values.chunks_exact(of_clip)) {
                clip.push(Cosines {
                    pool: at.pool,
                    height,
                    width,
                    items: config.items,
                    values: values.to_vec(),
                });
            }
        }
        Ok(all)
    }
}

/// The rows (or columns) of a frame that the query at row (or column) `position` of a pool depends
/// on, in pixels; it reaches beyond the frame at its edges, where the network sees zeros.
///
/// 14, 32 and 68 pixels for pools 1, 2 and 3, around the 2, 4 and 8 that the position stands for.
pub fn receptive_area(pool: usize, position: usize) -> Range<i64> {
    let whole = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    // Two 3x3 convolutions widen a side by two pixels of their level, each halving by half a pixel.
    let pixel = 1i64 << pool;
    let start = pixel * whole(position) - (4 * pixel - 2);
    start..start + 9 * pixel - 4
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MsnNet;
    use burn::backend::Flex;

    const SIDE: usize = 96;

    fn network(temperature: f64) -> OnDevice<Flex> {
        let config = NetConfig {
            frames: 2,
            width: 2,
            items: 5,
            temperature,
            ..NetConfig::default()
        };
        let device = Default::default();
        OnDevice {
            net: MsnNet::new(&config, 3, &device).unwrap(),
            device,
        }
    }

    fn noise(count: usize) -> Vec<f32> {
        let mut state = 17u32;
        let mut draw = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f32::from(u16::try_from(state >> 16).unwrap()) / 32768.0 - 1.0
        };
        (0..count).map(|_| draw()).collect()
    }

    fn cosines(network: &OnDevice<Flex>, frames: Vec<f32>) -> Vec<Cosines> {
        let clips = Clips {
            count: 1,
            height: SIDE,
            width: SIDE,
            frames,
            target: Vec::new(),
        };
        network.cosines(clips).unwrap().remove(0)
    }

    #[test]
    fn a_query_depends_on_its_receptive_area_alone() {
        let network = network(1.0);
        let frames = noise(2 * SIDE * SIDE);
        let before = cosines(&network, frames.clone());
        for (index, pool) in [1, 2, 3].into_iter().enumerate() {
            let position = (SIDE >> pool) / 2;
            let area = receptive_area(pool, position);
            let at = |cosines: &[Cosines]| {
                let c = &cosines[index];
                let query = position * c.width + position;
                c.values[query * c.items..][..c.items].to_vec()
            };
            let changed = |row: i64| {
                let mut frames = frames.clone();
                let row = usize::try_from(row).unwrap();
                // A row of the newest frame.
                for v in &mut frames[SIDE * SIDE + row * SIDE..][..SIDE] {
                    *v = -*v * 3.0 + 1.0;
                }
                at(&cosines(&network, frames)) != at(&before)
            };
            assert!(!changed(area.start - 1), "pool {pool} sees above its area");
            assert!(!changed(area.end), "pool {pool} sees below its area");
            assert!(changed(area.start), "pool {pool} does not see {area:?}");
            assert!(changed(area.end - 1), "pool {pool} does not see {area:?}");
            assert_eq!(area.end - area.start, [14, 32, 68][index]);
        }
    }

    #[test]
    fn cosines_are_those_of_the_forward_pass_at_any_temperature() {
        let (plain, sharp) = (network(1.0), network(0.1));
        let frames = noise(2 * SIDE * SIDE);
        let (a, b) = (cosines(&plain, frames.clone()), cosines(&sharp, frames));
        assert_eq!(a.len(), 3);
        for (a, b) in a.iter().zip(&b) {
            assert_eq!(
                [a.height, a.width, a.items],
                [SIDE >> a.pool, SIDE >> a.pool, 5]
            );
            for (a, b) in a.values.iter().zip(&b.values) {
                assert!((a - b).abs() < 1e-5 && a.abs() <= 1.0 + 1e-5, "{a} {b}");
            }
        }
    }

    #[test]
    fn clips_that_do_not_fit_are_an_error() {
        let clips = Clips {
            count: 1,
            height: 12,
            width: 16,
            frames: vec![0.0; 2 * 12 * 16],
            target: Vec::new(),
        };
        assert!(network(1.0).cosines(clips).is_err());
    }
}
