//! What ends a training.

use msn_data::DataError;
use msn_memory::MemoryError;
use msn_model::{ConfigError, CpuError, Precision, PredictError, TensorError};

/// A training that can't begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A setting of the network is out of range.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// No video is long enough.
    #[error(
        "no training video has the {needed} unbroken frames that one clip needs: give longer videos, or fewer frames or a smaller stride"
    )]
    NoClips {
        /// Frames of a clip with its target.
        needed: usize,
    },
    /// The loss is not finite, or beyond what bounded predictions and items can give.
    #[error("the loss is {loss} at step {step} (clips {clips}): a smaller lr or clip_norm=1 helps")]
    Diverged {
        /// Counted from 1.
        step: usize,
        /// Its value, perhaps not finite.
        loss: f64,
        /// The batch, as `video:first frame`.
        clips: String,
    },
    /// Frames that can't be read any more.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Items can't be started from queries.
    #[error("start_items: {0}")]
    Start(#[from] MemoryError),
    /// Tensors of another network.
    #[error(transparent)]
    Tensors(#[from] TensorError),
    /// The kernels' engine refuses its settings, tensors or clips.
    #[error(transparent)]
    Kernels(#[from] CpuError),
    /// Validation clips that the network can't take.
    #[error(transparent)]
    Predict(#[from] PredictError),
    /// The device has no arithmetic in bf16.
    #[error("{backend} does not compute in bf16 on {device}: leave bf16=true out")]
    NoBf16 {
        /// Burn's name of the backend.
        backend: String,
        /// As the backend names it.
        device: String,
    },
    /// The kernels' engine trains in f32 alone.
    #[error("the kernels train in f32, not in {0}")]
    KernelPrecision(Precision),
    /// A setting that the kernels' engine lacks.
    #[error("{setting}=true needs --kernels plain, or a device other than flex")]
    NotOnKernels {
        /// Its key, as on the command line.
        setting: &'static str,
    },
    /// A setting that draws on the queries of one process.
    #[error(
        "{setting}=true draws from the queries of one rank: train in one process, or leave it out"
    )]
    OneRankOnly {
        /// Its key, as on the command line.
        setting: &'static str,
    },
    /// A batch of which every rank would not get the same number of clips.
    #[error(
        "a batch of {batch} clips can't be split evenly over {world_size} ranks: give batch={instead}"
    )]
    UnevenBatch {
        /// Clips of the batch, on all ranks together.
        batch: usize,
        /// Number of ranks.
        world_size: usize,
        /// The next larger batch that can.
        instead: usize,
    },
    /// Ranks that were started with different settings.
    #[error(
        "rank {rank} has the setting `{theirs}`, rank 0 `{ours}`: start all ranks with the same command"
    )]
    RankSettings {
        /// The first that differs from rank 0.
        rank: usize,
        /// Its first line of settings that differs, as in `config.toml`.
        theirs: String,
        /// The same line of rank 0.
        ours: String,
    },
    /// Ranks that read different training frames, or split them otherwise.
    #[error(
        "rank {rank} has other training frames or another calibration split than rank 0: give all ranks the same data set and --split"
    )]
    RankFrames {
        /// The first that differs from rank 0.
        rank: usize,
    },
    /// Ranks whose networks have come apart.
    #[error(
        "rank {rank} no longer has the network of rank 0: ranks must have processors and devices of one kind, which round alike"
    )]
    RankNetworks {
        /// The first that differs from rank 0.
        rank: usize,
    },
    /// Ranks of different versions of this library.
    #[error(
        "rank 0 sends a training state that can't be read ({0}): give all ranks the same version of msn"
    )]
    RankState(#[from] serde_json::Error),
}

impl TrainError {
    /// The error for a batch that `world_size` ranks can't share; `None` where they can.
    pub fn uneven(batch: usize, world_size: usize) -> Option<Self> {
        (!batch.is_multiple_of(world_size)).then(|| Self::UnevenBatch {
            batch,
            world_size,
            instead: batch.next_multiple_of(world_size),
        })
    }

    /// Whether all ranks of a training have this error, so that none waits for another.
    pub fn is_on_all_ranks(&self) -> bool {
        matches!(
            self,
            Self::Diverged { .. }
                | Self::UnevenBatch { .. }
                | Self::RankSettings { .. }
                | Self::RankFrames { .. }
                | Self::RankNetworks { .. }
        )
    }
}
