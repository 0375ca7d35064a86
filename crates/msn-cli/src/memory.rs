//! `msn memory show`, and the memory's part of a report.

use anyhow::{Result, anyhow};
use burn::tensor::backend::{AutodiffBackend, Backend};
use camino::Utf8Path;
use msn_data::{DataSet, FrameStore, LoadedVideo, Segment, data_hash, segments};
use msn_eval::{
    MEMORY_FORMAT, MemoryCard, PoolCard, SurveyOptions, memory_page, survey, write_file,
};
use msn_model::{Ask, OnDevice, Tensors};

use crate::{
    Usage,
    args::{MemoryCommand, MemoryShowArgs, PlaceArgs},
    data,
    device::{Device, Job, on},
    figures::columns,
    run::{self, Found, RunCard},
};

/// What a report shows: enough to see what was learned, in a page of a sane size.
const IN_REPORTS: SurveyOptions = SurveyOptions {
    clips: 120,
    patches: 5,
};

/// The memory of a run's weights, for its reports.
const FILE: &str = "memory.json";

pub(crate) fn memory(command: &MemoryCommand) -> Result<()> {
    match command {
        MemoryCommand::Show(args) => show(args),
    }
}

fn show(args: &MemoryShowArgs) -> Result<()> {
    let found = run::find(&args.weights)?;
    let card = found.run.as_deref().and_then(|run| RunCard::read(run).ok());
    let path = match (&args.data, &card) {
        (Some(data), _) => data,
        (None, Some(card)) => &card.data.path,
        (None, None) => {
            return Err(Usage(format!(
                "{} does not say what it was trained on: name the data set folder",
                args.weights
            ))
            .into());
        }
    };
    let set = run::open(path, &args.source, None)?;
    let options = SurveyOptions {
        clips: args.clips.get(),
        patches: args.patches.get(),
    };
    let store = run::frame_store(&args.keep);
    let device = args.device;
    let memory = of_data(&found, card.as_ref(), &set, &store, device, options)?;
    if let Some(file) = &args.html {
        write_file(file, memory_page(&memory, &run::command_line()).as_bytes())?;
        eprintln!("written to {file}");
    }
    if args.json {
        print!("{}", run::json(&memory)?);
    } else {
        print!("{}", table(&memory));
    }
    Ok(())
}

/// The memory of weights, asked about the training part of a data set.
fn of_data(
    found: &Found,
    card: Option<&RunCard>,
    set: &DataSet,
    store: &FrameStore,
    device: Device,
    options: SurveyOptions,
) -> Result<MemoryCard> {
    if set.train.is_empty() {
        return Err(anyhow!(
            "{} has no training videos to ask the memory about",
            set.root
        ));
    }
    let meta = &found.weights.meta;
    eprintln!("reading {} training videos", set.train.len());
    let videos = store.load(&set.train, &run::load_options(meta, set.folder_hz))?;
    data::warn(&videos);
    let trained = card.map(|c| &c.data.hash);
    if let Some(trained) = trained.or(meta.origin.get("data_hash"))
        && *trained != data_hash(&videos)?
    {
        eprintln!(
            "note: {} was trained on other footage than {}",
            found.path, set.root
        );
    }
    let held = card.map_or(&[][..], |c| &c.data.held_out);
    ask(
        found,
        &set.name,
        (&videos, &trained_on(&videos, held)),
        device,
        options,
    )
}

/// What of the videos was not held out; `held` as a run's card names it.
fn trained_on(videos: &[LoadedVideo], held: &[String]) -> Vec<Segment> {
    let all = segments(videos);
    let mut trained = Vec::new();
    for segment in all {
        let name = &videos[segment.video].name;
        if held.contains(name) {
            continue;
        }
        let from = held.iter().find_map(|h| {
            let part = h.strip_prefix(name.as_str())?.strip_prefix(" frames ")?;
            part.split_once(" to ")?.0.parse::<usize>().ok()
        });
        // A held-out part is the last one of its video.
        let end = segment.frames.end.min(from.unwrap_or(usize::MAX));
        if segment.frames.start < end {
            trained.push(Segment {
                frames: segment.frames.start..end,
                ..segment
            });
        }
    }
    trained
}

/// Asks the pools on a device.
fn ask(
    found: &Found,
    data: &str,
    footage: (&[LoadedVideo], &[Segment]),
    device: Device,
    options: SurveyOptions,
) -> Result<MemoryCard> {
    struct Load<'a>(&'a Found);
    impl Job for Load<'_> {
        type Output = Box<dyn Ask>;

        fn run<B: AutodiffBackend>(self, device: &B::Device) -> Result<Box<dyn Ask>> {
            fn load<B: Backend>(found: &Found, device: &B::Device) -> Result<Box<dyn Ask>> {
                let net = found.weights.net::<B>(&found.path, device)?;
                Ok(Box::new(OnDevice {
                    net,
                    device: device.clone(),
                }))
            }
            load::<B::InnerBackend>(self.0, device)
        }
    }
    let network = on(device, Load(found))?;
    let weights = &found.weights;
    let stride = weights.meta.input.stride;
    let card = survey(
        network.as_ref(),
        &weights.tensors,
        data,
        footage,
        stride,
        options,
    );
    Ok(MemoryCard {
        weights: fingerprint(&weights.tensors),
        ..card.map_err(|e| anyhow!("{}: {e}", found.path))?
    })
}

/// Blake3 over names and values of tensors: the first 16 hexadecimal digits.
fn fingerprint(tensors: &Tensors) -> String {
    let mut hasher = blake3::Hasher::new();
    for (name, tensor) in tensors {
        hasher.update(name.as_bytes());
        for value in &tensor.values {
            hasher.update(&value.to_le_bytes());
        }
    }
    let mut text = hasher.finalize().to_hex().to_string();
    text.truncate(16);
    text
}

/// Asks the pools of a fresh run's weights about what they were trained on, and keeps the answer
/// in the run folder. `None` without pools.
pub(crate) fn of_training(
    run: &Utf8Path,
    found: &Found,
    data: &str,
    footage: (&[LoadedVideo], &[Segment]),
    place: &PlaceArgs,
) -> Result<Option<MemoryCard>> {
    if found.weights.meta.config.pools.is_empty() {
        return Ok(None);
    }
    let card = ask(found, data, footage, place.device, IN_REPORTS)?;
    write_file(&run.join(FILE), run::json(&card)?.as_bytes())?;
    Ok(Some(card))
}

/// The memory of a run's weights for a report: as the run keeps it, else asked anew. `None`, with a
/// word, where neither can be.
pub(crate) fn of_run(
    run: &Utf8Path,
    found: &Found,
    card: Option<&RunCard>,
    place: &PlaceArgs,
    store: &FrameStore,
) -> Option<MemoryCard> {
    if found.weights.meta.config.pools.is_empty() {
        return None;
    }
    let kept = std::fs::read(run.join(FILE)).ok();
    let kept = kept.and_then(|bytes| serde_json::from_slice::<MemoryCard>(&bytes).ok());
    let ours = |c: &MemoryCard| {
        c.format == MEMORY_FORMAT && c.weights == fingerprint(&found.weights.tensors)
    };
    if let Some(kept) = kept.filter(ours) {
        return Some(kept);
    }
    let card = card?;
    let asked = DataSet::open(&card.data.path, &msn_data::OpenOptions::default())
        .map_err(anyhow::Error::from)
        .and_then(|set| of_data(found, Some(card), &set, store, place.device, IN_REPORTS));
    match asked {
        Ok(card) => Some(card),
        Err(error) => {
            eprintln!("note: the report does not show what the memory has learned: {error}");
            None
        }
    }
}

/// Each pool's items for a terminal.
fn table(card: &MemoryCard) -> String {
    let mut text = format!(
        "{} of {} training clips of {}\n",
        card.asked, card.clips, card.data
    );
    for pool in &card.pools {
        text += &pool_table(pool);
    }
    text
}

fn pool_table(pool: &PoolCard) -> String {
    let [height, width] = pool.positions;
    let mut text = format!(
        "\npool {}: {} items of {} features; {height} x {width} places a frame, each seeing {area} x {area} pixels\n\
         usage entropy {:.3} (1 is even), {} items never nearest, largest cosine of two items {:.4}\n",
        pool.pool,
        pool.items.len(),
        pool.features,
        pool.usage_entropy,
        pool.unused(),
        pool.largest_cosine(),
        area = pool.area,
    );
    if pool.zero_queries > 0.0 {
        text += &format!(
            "{:.2} % of the places have no feature; they count for item 0\n",
            100.0 * pool.zero_queries
        );
    }
    let head = ["item", "usage", "nearest other", "cosines", "most like it"];
    let mut lines = vec![head.map(str::to_owned).to_vec()];
    for (number, item) in pool.items.iter().enumerate() {
        let others = item
            .cosines
            .iter()
            .enumerate()
            .filter(|&(j, _)| j != number);
        let least = others.map(|(_, &c)| c).fold(1.0, f64::min);
        let (other, cosine) = item.nearest_other(number).unwrap_or((number, 1.0));
        let place = item.patches.first().map_or_else(String::new, |p| {
            format!(
                "{} frame {}, row {}, column {} ({:.4})",
                p.video, p.frame, p.y, p.x, p.cosine
            )
        });
        lines.push(vec![
            number.to_string(),
            format!("{:.2} %", 100.0 * item.usage),
            other.to_string(),
            format!("{least:.4} to {cosine:.4}"),
            place,
        ]);
    }
    text + &columns(&lines)
}

#[cfg(test)]
mod tests {
    use msn_data::{Color, Size};

    use super::*;

    #[test]
    fn what_was_held_out_is_not_asked_about() {
        let video = |name: &str, frames| {
            LoadedVideo::from_pixels(name, Size::new(1, 1), Color::Grey, &vec![0; frames]).unwrap()
        };
        let videos = [video("a", 10), video("a b", 20), video("c", 30)];
        let held = ["a", "c frames 25 to 30"].map(str::to_owned);
        let found = trained_on(&videos, &held);
        let found: Vec<_> = found.iter().map(|s| (s.video, s.frames.clone())).collect();
        assert_eq!(found, [(1, 0..20), (2, 0..25)]);
    }
}
