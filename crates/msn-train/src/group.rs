//! Several devices of one process as one engine.

use msn_model::{Clips, Predictor, Tensors};

use crate::{Engine, EngineState, StepNumbers, TrainError};

/// Splits each batch evenly over engines that share it, each on a device and a thread of its own.
///
/// After a step all of them hold the same network. Everything but a step is asked of the first.
pub struct DeviceGroup {
    engines: Vec<Box<dyn Engine + Send>>,
    fail: Box<dyn Fn(String) + Send + Sync>,
}

impl std::fmt::Debug for DeviceGroup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeviceGroup")
            .field("devices", &self.engines.len())
            .finish_non_exhaustive()
    }
}

impl DeviceGroup {
    /// Of engines that are alike and share their batches; `fail` releases all that wait for each
    /// other, with a sentence ([`crate::Member::fail`]).
    ///
    /// # Errors
    /// [`TrainError::Engine`] where there is no engine.
    pub fn new(
        engines: Vec<Box<dyn Engine + Send>>,
        fail: Box<dyn Fn(String) + Send + Sync>,
    ) -> Result<Self, TrainError> {
        if engines.is_empty() {
            return Err(TrainError::Engine("a training needs a device".into()));
        }
        Ok(Self { engines, fail })
    }

    /// Whether all engines hold the same network, bit for bit.
    pub fn agree(&self) -> bool {
        let bits = |engine: &dyn Engine| -> Vec<u32> {
            let tensors = engine.tensors();
            let values = tensors.values().flat_map(|t| &t.values);
            values.map(|v| v.to_bits()).collect()
        };
        let first = bits(self.engines[0].as_ref());
        self.engines[1..].iter().all(|e| bits(e.as_ref()) == first)
    }

    /// Does `work` on all engines at once, each with its part of the clips.
    fn on_all(
        &mut self,
        clips: &Clips,
        work: impl Fn(&mut dyn Engine, Clips) -> Result<StepNumbers, TrainError> + Sync,
    ) -> Result<StepNumbers, TrainError> {
        let devices = self.engines.len();
        let parts = split(clips, devices).ok_or_else(|| {
            TrainError::Engine(format!(
                "{} clips can't be split evenly over {devices} devices: give a batch that is a multiple of {devices}",
                clips.count
            ))
        })?;
        let (work, fail) = (&work, &self.fail);
        let results: Vec<Result<StepNumbers, TrainError>> = std::thread::scope(|scope| {
            let mut running = Vec::new();
            for (engine, part) in self.engines.iter_mut().zip(parts) {
                running.push(scope.spawn(move || {
                    let release = Release(fail);
                    let result = work(engine.as_mut(), part);
                    if let Err(error) = &result {
                        fail(error.to_string());
                    }
                    std::mem::forget(release);
                    result
                }));
            }
            let ended = |_| Err(TrainError::Engine("a device's thread ended".into()));
            running
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(ended))
                .collect()
        });
        // Losses and health are those of the joint batch, the same for all.
        let mut all = results.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(all.swap_remove(0))
    }
}

/// Lets the others go on where a thread panics.
struct Release<'a>(&'a (dyn Fn(String) + Send + Sync));

impl Drop for Release<'_> {
    fn drop(&mut self) {
        (self.0)("a device's thread ended".into());
    }
}

/// Equal parts of clips, in order; `None` where they would not be equal.
fn split(clips: &Clips, parts: usize) -> Option<Vec<Clips>> {
    if !clips.count.is_multiple_of(parts) {
        return None;
    }
    let count = clips.count / parts;
    let part = |i: usize| {
        let cut = |values: &[f32]| {
            let one = values.len() / parts;
            values[i * one..(i + 1) * one].to_vec()
        };
        Clips {
            count,
            frames: cut(&clips.frames),
            target: cut(&clips.target),
            ..*clips
        }
    };
    Some((0..parts).map(part).collect())
}

impl Engine for DeviceGroup {
    fn step(&mut self, clips: Clips, lr: f64) -> Result<StepNumbers, TrainError> {
        self.on_all(&clips, |engine, part| engine.step(part, lr))
    }

    fn accumulate(&mut self, clips: Clips) -> Result<StepNumbers, TrainError> {
        self.on_all(&clips, |engine, part| engine.accumulate(part))
    }

    fn statistics(&mut self, clips: Clips, share: f64) -> Result<(), TrainError> {
        self.engines[0].statistics(clips, share)
    }

    fn tensors(&self) -> Tensors {
        self.engines[0].tensors()
    }

    fn predictor(&self, tensors: &Tensors) -> Result<Box<dyn Predictor>, TrainError> {
        self.engines[0].predictor(tensors)
    }

    fn state(&self) -> EngineState {
        self.engines[0].state()
    }

    fn restore(&mut self, state: EngineState) -> Result<(), TrainError> {
        self.engines
            .iter_mut()
            .try_for_each(|engine| engine.restore(state.clone()))
    }
}
