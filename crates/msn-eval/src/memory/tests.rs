use msn_data::{Color, Size, segments};
use msn_model::{NetConfig, PredictError};

use super::*;

/// Two items; a position is like the first by its brightness, like the second by its darkness.
struct Bright(NetConfig);

impl Bright {
    fn new() -> Self {
        Self(NetConfig {
            frames: 2,
            pools: vec![3],
            items: 2,
            width: 1,
            ..NetConfig::default()
        })
    }
}

impl Lookups for Bright {
    fn config(&self) -> &NetConfig {
        &self.0
    }

    fn cosines(&self, clips: Clips) -> Result<Vec<Vec<Cosines>>, PredictError> {
        let (height, width) = (clips.height / 8, clips.width / 8);
        let plane = clips.height * clips.width;
        let clip = |frames: &[f32]| {
            let newest = &frames[plane..];
            let value = |position: usize| {
                let (y, x) = (position / width * 8, position % width * 8);
                newest[y * clips.width + x]
            };
            let values = (0..height * width).flat_map(|p| [value(p), -value(p)]);
            vec![Cosines {
                pool: 3,
                height,
                width,
                items: 2,
                values: values.collect(),
            }]
        };
        Ok(clips.frames.chunks_exact(2 * plane).map(clip).collect())
    }
}

fn tensors() -> Tensors {
    let items = HostTensor {
        shape: vec![2, 8],
        values: [[1.0, 0.0], [0.6, 0.8]]
            .iter()
            .flat_map(|v| v.iter().copied().chain([0.0; 6]))
            .collect(),
    };
    [("pools.3.items".to_owned(), items)].into()
}

/// Frames of 64 by 64 pixels whose cells of 8 by 8 have one value each.
fn video(frames: usize, value: impl Fn(usize, usize, usize) -> u8) -> LoadedVideo {
    let mut pixels = Vec::new();
    for frame in 0..frames {
        for y in 0..64 {
            pixels.extend((0..64).map(|x| value(frame, y / 8, x / 8)));
        }
    }
    LoadedVideo::from_pixels("one", Size::new(64, 64), Color::Grey, &pixels).unwrap()
}

fn of(videos: &[LoadedVideo], clips: usize, patches: usize) -> Result<MemoryCard, EvalError> {
    survey(
        &Bright::new(),
        &tensors(),
        "scene",
        (videos, &segments(videos)),
        1,
        SurveyOptions { clips, patches },
    )
}

#[test]
fn items_show_their_usage_their_cosines_and_where_they_are_found() {
    // Bright in the upper two of eight rows; brightest at one place of frame 5, darkest at another
    // of frame 3.
    let video = video(9, |frame, y, x| match (frame, y, x) {
        (5, 1, 6) => 250,
        (3, 7, 2) => 4,
        (_, 0..=1, _) => 200,
        _ => 60,
    });
    let card = of(&[video], 100, 3).unwrap();
    // Nine frames hold seven clips of two past frames and a target.
    assert_eq!((card.surveyed, card.clips, card.pools.len()), (7, 7, 1));
    let pool = &card.pools[0];
    assert_eq!(
        (pool.positions, pool.receptive_field, pool.features),
        ([8, 8], 68, 8)
    );
    let [bright, dark] = &pool.items[..] else {
        panic!("two items");
    };
    assert_eq!((bright.usage, dark.usage), (0.25, 0.75));
    assert!((bright.cosines[1] - 0.6).abs() < 1e-6 && (bright.cosines[0] - 1.0).abs() < 1e-6);
    assert_eq!(bright.nearest_other(0).unwrap().0, 1);
    assert!((pool.largest_cosine() - 0.6).abs() < 1e-6 && pool.unused() == 0);
    let entropy = -(0.25f64 * 0.25f64.ln() + 0.75 * 0.75f64.ln()) / 2f64.ln();
    assert!((pool.usage_entropy - entropy).abs() < 1e-12 && pool.zero_queries == 0.0);
    let first = &bright.patches[0];
    assert_eq!((first.frame, first.y, first.x), (5, 12, 52));
    let first = &dark.patches[0];
    assert_eq!((first.frame, first.y, first.x), (3, 60, 20));
    // Most similar first.
    let cosines: Vec<f64> = dark.patches.iter().map(|p| p.cosine).collect();
    assert!(cosines.is_sorted_by(|a, b| a >= b), "{cosines:?}");
    // What is shown lies around the place: its middle is dark.
    let shown = image::load_from_memory(&dark.picture).unwrap().to_luma8();
    assert_eq!(shown.dimensions(), (3 * 70 - 2, 68));
    assert_eq!(shown.get_pixel(34, 34).0, [4]);
    // Row 60 of 64: the lower part of the picture lies beyond the frame.
    assert_eq!(shown.get_pixel(34, 67).0, [128]);
}

#[test]
fn no_two_patches_are_of_the_same_place() {
    let video = video(6, |frame, y, x| {
        u8::try_from(100 + frame + y * 8 + x).unwrap()
    });
    let card = of(&[video], 100, 9).unwrap();
    for item in &card.pools[0].items {
        // Half an area is 34 pixels: five positions of 8.
        for (i, a) in item.patches.iter().enumerate() {
            for b in &item.patches[..i] {
                let apart = a.y.abs_diff(b.y).max(a.x.abs_diff(b.x));
                assert!(apart >= 40, "{a:?} and {b:?}");
            }
        }
        assert!(item.patches.len() >= 3, "{}", item.patches.len());
    }
}

#[test]
fn clips_are_spread_over_the_footage() {
    let video = video(42, |frame, _, _| u8::try_from(frame).unwrap());
    let card = of(std::slice::from_ref(&video), 4, 1).unwrap();
    assert_eq!((card.surveyed, card.clips), (4, 40));
    // The four newest past frames are 6, 16, 26 and 36; the last is the brightest.
    assert_eq!(card.pools[0].items[0].patches[0].frame, 36);
    assert_eq!(card.pools[0].items[1].patches[0].frame, 6);
}

#[test]
fn zero_queries_are_told() {
    // A value of zero lies between two bytes, so the network has to say it.
    struct Silent(Bright);
    impl Lookups for Silent {
        fn config(&self) -> &NetConfig {
            self.0.config()
        }

        fn cosines(&self, clips: Clips) -> Result<Vec<Vec<Cosines>>, PredictError> {
            let mut all = self.0.cosines(clips)?;
            for cosines in all.iter_mut().flatten() {
                cosines.values[..64].fill(0.0);
            }
            Ok(all)
        }
    }
    let videos = [video(4, |_, _, _| 10)];
    let card = survey(
        &Silent(Bright::new()),
        &tensors(),
        "scene",
        (&videos, &segments(&videos)),
        1,
        SurveyOptions {
            clips: 9,
            patches: 2,
        },
    )
    .unwrap();
    let pool = &card.pools[0];
    assert_eq!((pool.zero_queries, pool.items[0].usage), (0.5, 0.5));
}

#[test]
fn what_can_not_be_surveyed_is_an_error() {
    let short = [video(2, |_, _, _| 9)];
    assert!(matches!(
        of(&short, 9, 1),
        Err(EvalError::NothingToSurvey { needed: 3 })
    ));
    let mut none = Bright::new();
    none.0.pools.clear();
    let options = SurveyOptions {
        clips: 9,
        patches: 1,
    };
    let found = survey(&none, &tensors(), "scene", (&short, &[]), 1, options);
    assert!(matches!(found, Err(EvalError::NoPools)));
}

#[test]
fn a_card_survives_json() {
    let card = of(
        &[video(5, |f, y, x| u8::try_from(f + y + x).unwrap())],
        9,
        2,
    )
    .unwrap();
    let text = serde_json::to_string(&card).unwrap();
    let again: MemoryCard = serde_json::from_str(&text).unwrap();
    assert_eq!(again, card);
    assert!(
        serde_json::from_str::<MemoryCard>(&text.replace("\"picture\":\"", "\"picture\":\"~"))
            .is_err()
    );
}
