//! What the ranks of a training agree on: where they begin, when they end, and that they are alike.

use std::time::Duration;

use msn_data::Split;
use msn_kernels::Collective;
use msn_model::{Tensors, hash_tensors};

use crate::{
    Engine, Progress, Settings, TrainError,
    checkpoint::{pack_state, unpack_state},
    collective::{broadcast_bytes, gather_bytes, gather_u64},
};

/// Whether all ranks have the same settings; all call it, before they do anything that depends on
/// these. [`train`](crate::train) does, too.
///
/// # Errors
/// [`TrainError::RankSettings`], on all ranks.
pub fn same_settings(collective: &dyn Collective, settings: &Settings) -> Result<(), TrainError> {
    if collective.world_size() == 1 {
        return Ok(());
    }
    let all = gather_bytes(collective, settings.to_toml().as_bytes());
    let all: Vec<_> = all
        .iter()
        .map(|text| String::from_utf8_lossy(text))
        .collect();
    for (rank, theirs) in all.iter().enumerate() {
        if let Some((ours, theirs)) = all[0].lines().zip(theirs.lines()).find(|(a, b)| a != b) {
            return Err(TrainError::RankSettings {
                rank,
                theirs: theirs.to_owned(),
                ours: ours.to_owned(),
            });
        }
    }
    Ok(())
}

/// Whether all ranks have the same training frames, by their [`msn_data::data_hash`], and the same
/// split of them; all call it. [`train`](crate::train) does, too.
///
/// # Errors
/// [`TrainError::RankFrames`], on all ranks.
pub fn same_footage(
    collective: &dyn Collective,
    data_hash: &str,
    split: &Split,
) -> Result<(), TrainError> {
    if collective.world_size() == 1 {
        return Ok(());
    }
    let own = format!("{data_hash} {split:?}");
    let hashes = gather_bytes(collective, own.as_bytes());
    match hashes.iter().position(|hash| *hash != hashes[0]) {
        None => Ok(()),
        Some(rank) => Err(TrainError::RankFrames { rank }),
    }
}

/// Brings all ranks to the network, the optimiser and the progress of rank 0.
pub(crate) fn begin(engine: &mut dyn Engine, own: Progress) -> Result<Progress, TrainError> {
    let collective = engine.collective();
    if collective.world_size() == 1 {
        return Ok(own);
    }
    let bytes = match collective.rank() {
        0 => pack_state(&own, &engine.state())?,
        _ => Vec::new(),
    };
    let bytes = broadcast_bytes(collective.as_ref(), &bytes);
    if collective.rank() == 0 {
        return Ok(own);
    }
    let (progress, state) = unpack_state(&bytes)?;
    engine.restore(state)?;
    Ok(progress)
}

/// Rank 0's time and plan for all ranks, and whether any was asked to stop.
pub(crate) fn agree(collective: &dyn Collective, progress: &mut Progress, stop: bool) -> bool {
    if collective.world_size() == 1 {
        return stop;
    }
    let nanoseconds = u64::try_from(progress.elapsed.as_nanos()).unwrap_or(u64::MAX);
    let planned = progress.planned.map_or(0, |steps| steps as u64);
    let all = gather_u64(collective, &[nanoseconds, planned, u64::from(stop)]);
    progress.elapsed = Duration::from_nanos(all[0][0]);
    let planned = usize::try_from(all[0][1]).unwrap_or(usize::MAX);
    progress.planned = (planned > 0).then_some(planned);
    all.iter().any(|of| of[2] > 0)
}

/// Rank 0's loss, where all ranks have the same network.
pub(crate) fn same_network(
    collective: &dyn Collective,
    tensors: &Tensors,
    loss: Option<f64>,
) -> Result<Option<f64>, TrainError> {
    if collective.world_size() == 1 {
        return Ok(loss);
    }
    let mut hash = [0; 8];
    hash.copy_from_slice(&hash_tensors(tensors).as_bytes()[..8]);
    let own = [
        u64::from_le_bytes(hash),
        u64::from(loss.is_some()),
        loss.unwrap_or_default().to_bits(),
    ];
    let all = gather_u64(collective, &own);
    if let Some(rank) = all.iter().position(|of| of[0] != all[0][0]) {
        return Err(TrainError::RankNetworks { rank });
    }
    Ok((all[0][1] > 0).then(|| f64::from_bits(all[0][2])))
}
