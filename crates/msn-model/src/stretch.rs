//! Which values of deep pictures become black and white, as a setting and in weights files.

use serde::{Deserialize, Serialize};

/// What becomes black and white in pictures of more than 8 bits, as text: `none`, `auto`,
/// `LOW..HIGH`.
///
/// It belongs to a camera, like the network that was trained on it: never to a single video.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum StretchSetting {
    /// The whole range of the pictures' kind.
    #[default]
    None,
    /// What is measured in the training videos. A weights file holds what it came to.
    Auto,
    /// These values of the file.
    Range {
        /// Becomes black; finite.
        low: f64,
        /// Becomes white; finite, above `low`.
        high: f64,
    },
}

/// Text that is no stretch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text} is no stretch: give none, auto, or the values of black and white as 51000..52500")]
pub struct StretchError {
    text: String,
}

impl StretchSetting {
    /// True for [`StretchSetting::None`].
    pub fn is_none(&self) -> bool {
        *self == Self::None
    }

    /// The values of black and white, where they are known.
    pub fn range(self) -> Option<(f64, f64)> {
        match self {
            Self::Range { low, high } => Some((low, high)),
            Self::None | Self::Auto => None,
        }
    }
}

impl std::fmt::Display for StretchSetting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Auto => f.write_str("auto"),
            Self::Range { low, high } => write!(f, "{low}..{high}"),
        }
    }
}

impl std::str::FromStr for StretchSetting {
    type Err = StretchError;

    fn from_str(text: &str) -> Result<Self, StretchError> {
        let range = |text: &str| -> Option<Self> {
            let (low, high) = text.split_once("..")?;
            let number = |text: &str| text.trim().parse::<f64>().ok();
            let (low, high) = (number(low)?, number(high)?);
            let fits = low.is_finite() && high.is_finite() && low < high;
            fits.then_some(Self::Range { low, high })
        };
        match text.trim() {
            "none" => Ok(Self::None),
            "auto" => Ok(Self::Auto),
            other => range(other).ok_or_else(|| StretchError {
                text: text.to_owned(),
            }),
        }
    }
}

impl TryFrom<String> for StretchSetting {
    type Error = StretchError;

    fn try_from(text: String) -> Result<Self, StretchError> {
        text.parse()
    }
}

impl From<StretchSetting> for String {
    fn from(stretch: StretchSetting) -> Self {
        stretch.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        for text in ["none", "auto", "51000..52500", "-40.5..120"] {
            let stretch: StretchSetting = text.parse().unwrap();
            assert_eq!(stretch.to_string(), text);
            let json = serde_json::to_string(&stretch).unwrap();
            assert_eq!(
                serde_json::from_str::<StretchSetting>(&json).unwrap(),
                stretch
            );
        }
        for text in ["", "5", "2..1", "1..1", "nan..1", "0..inf", "a..b"] {
            let error = text.parse::<StretchSetting>().unwrap_err();
            assert!(error.to_string().contains("51000..52500"), "{text}");
        }
    }
}
