//! What each setting is and what it takes, in a sentence.

use crate::Settings;

/// A setting's key, what it is, and the values it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettingHelp {
    /// As [`Settings::set`] takes it.
    pub key: &'static str,
    /// One sentence.
    pub what: &'static str,
    /// The values that are allowed.
    pub values: &'static str,
}

const fn of(key: &'static str, what: &'static str, values: &'static str) -> SettingHelp {
    SettingHelp { key, what, values }
}

const HELP: [SettingHelp; 38] = [
    of(
        "frames",
        "Past frames that a clip holds, from which the next is predicted.",
        "1 to 1024",
    ),
    of("channels", "Colour of the frames.", "1 (grey) or 3 (RGB)"),
    of(
        "width",
        "Features of the first level; deeper levels have two, four and eight times as many.",
        "1 to 1024",
    ),
    of(
        "pools",
        "Which memory pools there are.",
        "some of 1,2,3, ascending, or none",
    ),
    of("items", "Items of each memory pool.", "2 to 65536"),
    of(
        "skip1",
        "Whether the decoder also gets the features of the first level.",
        "true or false",
    ),
    of(
        "rewrite",
        "What the decoder gets from a level with a pool: what the pool reads, alone or after the query.",
        "replace or concat",
    ),
    of(
        "temperature",
        "Divides the similarities before the softmax that addresses items.",
        "above 0",
    ),
    of(
        "top_k",
        "Read with so many nearest items only; 0 for all.",
        "0 to the number of items",
    ),
    of(
        "detach_read",
        "Stop the gradient at the addressing weights of a read.",
        "true or false",
    ),
    of(
        "write",
        "How gathered queries change an item: by their sum, or by their mean.",
        "sum or mean",
    ),
    of(
        "write_max",
        "Over which queries a write weight is normalised: all, or the item's own.",
        "all or own",
    ),
    of(
        "momentum",
        "Share of the old item that mean writes keep.",
        "0 to below 1",
    ),
    of(
        "size",
        "Height and width to which frames are brought, pixels.",
        "N or HxW, multiples of 8, 8 to 4096",
    ),
    of(
        "stride",
        "Frames from one frame of a clip to the next.",
        "1 or more",
    ),
    of(
        "rate_hz",
        "Frames a second at which footage is taken; 0 for the median of the training videos.",
        "0 to 1000",
    ),
    of(
        "stretch",
        "Values of 16-bit pictures that become black and white: the whole range, measured in the training videos, or given.",
        "none, auto or LOW..HIGH",
    ),
    of("epochs", "Passes over all training clips.", "1 or more"),
    of("batch", "Clips of a step.", "1 or more"),
    of(
        "lr",
        "Learning rate at the start; a cosine takes it to 0.",
        "above 0",
    ),
    of(
        "crop",
        "Side of the random square that is cut from each clip, pixels; 0 for whole frames.",
        "0, or a multiple of 8 up to the frame's size",
    ),
    of(
        "flip",
        "Mirror every other clip left to right.",
        "true or false",
    ),
    of(
        "brightness",
        "Largest change of a clip's brightness, as a share.",
        "0 (none) to below 1",
    ),
    of(
        "hours",
        "Hours that training may take; 0 for no limit.",
        "0 to 10000",
    ),
    of(
        "patience",
        "Epochs without a smaller validation loss after which training ends; 0 for never.",
        "0 or more",
    ),
    of(
        "choose",
        "Which network is used: that of the last step, or of the epoch with the smallest validation loss.",
        "last or best",
    ),
    of(
        "clip_norm",
        "Largest norm of a step's gradients, which are scaled down to it; 0 for no limit.",
        "0 or more",
    ),
    of(
        "accumulate",
        "Batches whose mean gradient makes a step.",
        "1 to 250",
    ),
    of(
        "ema",
        "Share of the old value in a running average of the network that is used in its place.",
        "0 (none) to below 1",
    ),
    of(
        "bf16",
        "Multiply in bf16 in convolutions; for devices that Burn computes on.",
        "true or false",
    ),
    of(
        "checkpointing",
        "Compute what is cheap once more in the backward pass: less memory; for devices that Burn computes on.",
        "true or false",
    ),
    of(
        "start_items",
        "Start the items of pools from real queries of the first batch.",
        "true or false",
    ),
    of(
        "revive",
        "Replace items that no query is nearest to by real queries.",
        "true or false",
    ),
    of(
        "seed",
        "What weights, order, crops and the calibration split are drawn from.",
        "0 or more",
    ),
    of(
        "compactness",
        "Weight of the loss that draws queries to their nearest item.",
        "0 or more",
    ),
    of(
        "separateness",
        "Weight of the loss that keeps a query's two nearest items apart.",
        "0 or more",
    ),
    of(
        "information",
        "Weight of the loss that spreads queries over all items.",
        "0 or more",
    ),
    of(
        "preset",
        "The preset that the settings started from; --preset chooses it.",
        "tiny, cpu or paper",
    ),
];

impl SettingHelp {
    /// All settings.
    pub const ALL: &'static [Self] = &HELP;

    /// That of a key.
    pub fn of(key: &str) -> Option<&'static Self> {
        HELP.iter().find(|help| help.key == key)
    }
}

impl Settings {
    /// [`Settings::to_toml`] with a line above each setting that says what it is and takes.
    pub fn explained(&self) -> String {
        let mut text = String::new();
        let mut section = "";
        for line in self.to_toml().lines() {
            if let Some(name) = line.strip_prefix('[') {
                section = match name {
                    "input]" => "input",
                    _ => "",
                };
            }
            let key = line.split_once(" = ").map(|(key, _)| key);
            let key = match (section, key) {
                ("input", Some("height")) => Some("size"),
                ("input", Some("width")) => None,
                (_, key) => key,
            };
            if let Some(help) = key.and_then(SettingHelp::of) {
                let name = if help.key == "size" {
                    " size=HxW on the command line."
                } else {
                    ""
                };
                text += &format!("# {}{name} Values: {}.\n", help.what, help.values);
            }
            text += line;
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Preset;

    #[test]
    fn every_setting_is_explained_and_nothing_else() {
        let mut keys: Vec<&str> = HELP.iter().map(|help| help.key).collect();
        keys.sort_unstable();
        let mut known = Settings::keys();
        known.push("preset".to_owned());
        known.sort();
        assert_eq!(keys, known);
        for help in &HELP {
            assert!(
                help.what.ends_with('.') && !help.values.is_empty(),
                "{}",
                help.key
            );
        }
    }

    /// Words that are listed as values are taken, and no others.
    #[test]
    fn values_are_those_that_are_taken() {
        for help in HELP.iter().filter(|help| help.key != "preset") {
            let words = help.values.split(" or ").flat_map(|part| part.split(", "));
            for word in words {
                if word.chars().all(|c| c.is_ascii_lowercase()) && !["none", "more"].contains(&word)
                {
                    let mut settings = Settings::preset(Preset::Tiny);
                    settings.set(&format!("{}={word}", help.key)).unwrap();
                }
            }
            let refused = Settings::preset(Preset::Tiny).set(&format!("{}=perhaps", help.key));
            assert!(refused.is_err(), "{}", help.key);
        }
    }

    #[test]
    fn explained_settings_are_settings_still() {
        for preset in Preset::ALL {
            let settings = Settings::preset(preset);
            let text = settings.explained();
            assert_eq!(Settings::from_toml(&text).unwrap(), settings);
            let comments = text.lines().filter(|line| line.starts_with("# ")).count();
            assert_eq!(comments, HELP.len(), "{text}");
        }
    }
}
