//! What a memory has learned: how normal footage uses its items, and which places are most like
//! them.

mod patches;
#[cfg(test)]
mod tests;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use msn_data::{Clip, LoadedVideo, Segment, clips};
use msn_model::{
    Clips, Cosines, HostTensor, Lookups, Tensors, fingerprint, push_planes, receptive_area,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::Value;

use self::patches::Best;
pub(crate) use self::patches::png;
use crate::{EvalError, evaluation::rename};

/// The format of [`MemoryCard`] on disk.
pub const MEMORY_FORMAT: &str = "msn-memory-2";
/// The version before it.
const FIRST_FORMAT: &str = "msn-memory-1";

/// Clips that are looked up together.
const BATCH: usize = 8;

/// What a network's pools hold, seen through normal footage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemoryCard {
    /// [`MEMORY_FORMAT`].
    pub format: String,
    /// The data set's name.
    pub data: String,
    /// [`fingerprint`](msn_model::fingerprint) of the tensors that were looked at.
    pub weights: String,
    /// Clips that were looked up, spread evenly over those there are; one a frame.
    pub surveyed: usize,
    /// Clips that the footage holds.
    pub clips: usize,
    /// Pools, ascending.
    pub pools: Vec<PoolCard>,
}

/// How one pool is used by normal footage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PoolCard {
    /// Pool 1, 2 or 3.
    pub pool: usize,
    /// Features D of an item.
    pub features: usize,
    /// Rows and columns of queries in a frame.
    pub positions: [usize; 2],
    /// Side in pixels of the square that a query can depend on.
    pub receptive_field: usize,
    /// Entropy of the items' usage / log M, in [0, 1]; 1 is even use.
    pub usage_entropy: f64,
    /// Share of queries that are zero, in [0, 1]; they count for the first item, as in training.
    pub zero_queries: f64,
    /// The items, in order.
    pub items: Vec<ItemCard>,
}

/// How one item is used, and what is most like it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ItemCard {
    /// Share of queries that it is the most similar item of, in [0, 1].
    pub usage: f64,
    /// Cosine to every item of its pool, itself included.
    pub cosines: Vec<f64>,
    /// The places that are most like it, most similar first, no two of the same place.
    pub patches: Vec<Patch>,
    /// The pixels around them, side by side, as PNG; grey beyond the frame.
    #[serde(serialize_with = "as_text", deserialize_with = "from_text")]
    pub picture: Vec<u8>,
}

/// A place in a training frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Patch {
    /// Name of the video.
    pub video: String,
    /// The newest past frame, 0-based: the one that is shown.
    pub frame: usize,
    /// Middle of the position, pixels from the top of the network's frame.
    pub y: usize,
    /// Middle of the position, pixels from its left.
    pub x: usize,
    /// Cosine of its query and the item.
    pub cosine: f64,
}

/// How thoroughly a memory is surveyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SurveyOptions {
    /// At most so many clips are looked up, spread evenly.
    pub clips: usize,
    /// At most so many places are shown of each item.
    pub patches: usize,
}

impl MemoryCard {
    /// Reads a card of this version or the one before from JSON.
    ///
    /// # Errors
    /// What serde says; another version is one of them.
    pub fn from_json(json: &[u8]) -> Result<Self, serde_json::Error> {
        let mut value: Value = serde_json::from_slice(json)?;
        if value["format"] == FIRST_FORMAT {
            value["format"] = MEMORY_FORMAT.into();
            rename(&mut value, "asked", "surveyed");
            let pools = value.get_mut("pools").and_then(Value::as_array_mut);
            for pool in pools.into_iter().flatten() {
                rename(pool, "area", "receptive_field");
            }
        }
        let card: Self = serde_json::from_value(value)?;
        if card.format != MEMORY_FORMAT {
            let text = format!("it is of format {}, not {MEMORY_FORMAT}", card.format);
            return Err(serde_json::Error::custom(text));
        }
        Ok(card)
    }
}

impl ItemCard {
    /// The most similar other item, the first of equals, and its cosine; `own` is this item's place.
    pub fn nearest_other(&self, own: usize) -> Option<(usize, f64)> {
        let others = self.cosines.iter().copied().enumerate();
        others
            .filter(|&(i, _)| i != own)
            .reduce(|best, other| if other.1 > best.1 { other } else { best })
    }
}

impl PoolCard {
    /// Items that no query is nearest to.
    pub fn unused(&self) -> usize {
        self.items.iter().filter(|item| item.usage == 0.0).count()
    }

    /// The largest cosine of two different items.
    pub fn largest_cosine(&self) -> f64 {
        let nearest = |(own, item): (usize, &ItemCard)| Some(item.nearest_other(own)?.1);
        let all = self.items.iter().enumerate().filter_map(nearest);
        all.fold(-1.0, f64::max)
    }
}

/// Looks up the clips of `segments` in the pools of a network; `tensors` are the network's.
///
/// # Errors
/// [`EvalError::NoPools`] for a network without pools, [`EvalError::NothingToSurvey`] where no segment
/// holds a clip, [`EvalError::Data`] where a frame can't be read, [`EvalError::Predict`] for frames
/// that do not fit the network.
pub fn survey(
    network: &dyn Lookups,
    tensors: &Tensors,
    data: &str,
    (videos, segments): (&[LoadedVideo], &[Segment]),
    stride: usize,
    options: SurveyOptions,
) -> Result<MemoryCard, EvalError> {
    let config = network.config();
    if config.pools.is_empty() {
        return Err(EvalError::NoPools);
    }
    let all = clips(segments, config.frames, stride);
    let chosen = spread(&all, options.clips);
    if chosen.is_empty() {
        return Err(EvalError::NothingToSurvey {
            needed: config.frames * stride + 1,
        });
    }
    let mut seen: Vec<PoolSurvey> = Vec::new();
    for (batch, clips) in chosen.chunks(BATCH).enumerate() {
        let found = network.cosines(input(videos, clips, config.frames, stride)?)?;
        for (i, cosines) in found.iter().enumerate() {
            if seen.is_empty() {
                seen = cosines.iter().map(PoolSurvey::new).collect();
            }
            for (seen, cosines) in seen.iter_mut().zip(cosines) {
                seen.take(batch * BATCH + i, cosines);
            }
        }
    }
    let newest = |clip: Clip| clip.first + (config.frames - 1) * stride;
    let places: Vec<(usize, usize)> = chosen.iter().map(|&c| (c.video, newest(c))).collect();
    let pools = seen.into_iter().map(|seen| {
        let items = tensors.get(&format!("pools.{}.items", seen.pool));
        let cosines = items.map(between).unwrap_or_default();
        let features = config.features(seen.pool + 1);
        seen.card(features, &cosines, videos, &places, options.patches)
    });
    Ok(MemoryCard {
        format: MEMORY_FORMAT.into(),
        data: data.to_owned(),
        weights: fingerprint(tensors),
        surveyed: chosen.len(),
        clips: all.len(),
        pools: pools.collect::<Result<_, _>>()?,
    })
}

/// At most `most` of all clips, spread evenly.
fn spread(all: &[Clip], most: usize) -> Vec<Clip> {
    let n = all.len().min(most);
    (0..n)
        .map(|i| all[(2 * i + 1) * all.len() / (2 * n)])
        .collect()
}

/// Past frames of clips, without targets.
fn input(
    videos: &[LoadedVideo],
    clips: &[Clip],
    past: usize,
    stride: usize,
) -> Result<Clips, EvalError> {
    let mut input = Clips {
        count: clips.len(),
        ..Clips::default()
    };
    for clip in clips {
        let video = &videos[clip.video];
        [input.height, input.width] = side(video);
        for frame in clip.past(past, stride) {
            let pixels = video.frame(frame)?;
            push_planes(&pixels, video.color.channels(), &mut input.frames);
        }
    }
    Ok(input)
}

/// Height and width of a video's frames.
fn side(video: &LoadedVideo) -> [usize; 2] {
    [video.size.height, video.size.width].map(|v| usize::try_from(v).unwrap_or(usize::MAX))
}

/// What has been seen of one pool.
struct PoolSurvey {
    pool: usize,
    positions: [usize; 2],
    /// Queries of each item.
    usage: Vec<u64>,
    zero: u64,
    best: Best,
}

impl PoolSurvey {
    fn new(cosines: &Cosines) -> Self {
        let positions = [cosines.height, cosines.width];
        Self {
            pool: cosines.pool,
            positions,
            usage: vec![0; cosines.items],
            zero: 0,
            best: Best::new(positions, cosines.items),
        }
    }

    fn take(&mut self, clip: usize, cosines: &Cosines) {
        for query in cosines.values.chunks_exact(cosines.items) {
            let nearest =
                (1..query.len()).fold(0, |best, i| if query[i] > query[best] { i } else { best });
            self.usage[nearest] += 1;
            self.zero += u64::from(query.iter().all(|&c| c == 0.0));
        }
        self.best.take(clip, &cosines.values);
    }

    fn card(
        self,
        features: usize,
        cosines: &[Vec<f64>],
        videos: &[LoadedVideo],
        places: &[(usize, usize)],
        patches: usize,
    ) -> Result<PoolCard, EvalError> {
        let area = receptive_area(self.pool, 0);
        let area = usize::try_from(area.end - area.start).unwrap_or(0);
        let pixel = 1 << self.pool;
        let queries = self.usage.iter().sum::<u64>() as f64;
        let mut items = Vec::new();
        for (item, &usage) in self.usage.iter().enumerate() {
            let found = self.best.of(item, patches, area.div_ceil(2 * pixel));
            let patches: Vec<Patch> = found
                .iter()
                .map(|place| {
                    let (video, frame) = places[place.clip];
                    Patch {
                        video: videos[video].name.clone(),
                        frame,
                        y: place.row * pixel + pixel / 2,
                        x: place.column * pixel + pixel / 2,
                        cosine: f64::from(place.cosine),
                    }
                })
                .collect();
            items.push(ItemCard {
                usage: usage as f64 / queries,
                cosines: cosines.get(item).cloned().unwrap_or_default(),
                picture: patches::picture(self.pool, &found, videos, places)?,
                patches,
            });
        }
        let entropy = |p: f64| if p > 0.0 { -p * p.ln() } else { 0.0 };
        let total: f64 = items.iter().map(|i| entropy(i.usage)).sum();
        Ok(PoolCard {
            pool: self.pool,
            features,
            positions: self.positions,
            receptive_field: area,
            usage_entropy: total / (items.len() as f64).ln(),
            zero_queries: self.zero as f64 / queries,
            items,
        })
    }
}

/// Cosines of all pairs of rows.
fn between(items: &HostTensor) -> Vec<Vec<f64>> {
    let features = items.shape.last().copied().unwrap_or(1).max(1);
    let rows: Vec<&[f32]> = items.values.chunks_exact(features).collect();
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        let products = a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b));
        products.sum()
    };
    let cosine = |a: &[f32], b: &[f32]| dot(a, b) / (dot(a, a) * dot(b, b)).sqrt().max(1e-12);
    rows.iter()
        .map(|a| rows.iter().map(|b| cosine(a, b)).collect())
        .collect()
}

fn as_text<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&BASE64_STANDARD.encode(bytes))
}

fn from_text<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(from)?;
    BASE64_STANDARD.decode(text).map_err(D::Error::custom)
}
