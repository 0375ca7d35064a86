//! Frames in falling order of score, sorted once and read with any weights per video.
//!
//! A bootstrap resample of videos is a vector of multiplicities, so a metric of a resample is one
//! pass over the sorted frames and nothing is sorted again.

/// One frame in falling order of score.
#[derive(Debug, Clone, Copy)]
struct Entry {
    video: usize,
    anomalous: bool,
    /// Last of the frames that share its score.
    closes: bool,
}

/// All frames of some videos in falling order of score.
#[derive(Debug)]
pub(crate) struct Ranking {
    entries: Vec<Entry>,
    scores: Vec<f64>,
    anomalous: Vec<u64>,
    normal: Vec<u64>,
}

/// Anomalous and normal frames with at least some score, and that score.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cut {
    pub(crate) anomalous: u64,
    pub(crate) normal: u64,
    pub(crate) score: f64,
}

/// Metrics of one pass; `None` where a class is missing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct RankMetrics {
    pub(crate) auc: Option<f64>,
    pub(crate) average_precision: Option<f64>,
    pub(crate) equal_error_rate: Option<f64>,
}

impl Ranking {
    /// Ranks finite scores; each item is one video's labels and scores, of one length.
    pub(crate) fn new<'a>(videos: impl IntoIterator<Item = (&'a [bool], &'a [f64])>) -> Self {
        let mut frames = Vec::new();
        let mut anomalous = Vec::new();
        let mut normal = Vec::new();
        for (video, (labels, scores)) in videos.into_iter().enumerate() {
            debug_assert_eq!(labels.len(), scores.len());
            frames.extend(labels.iter().zip(scores).map(|(&l, &s)| (s, video, l)));
            let count = labels.iter().filter(|&&label| label).count();
            anomalous.push(count as u64);
            normal.push((labels.len() - count) as u64);
        }
        // 0.0 and -0.0 end side by side, and are one score where neighbours are compared.
        frames.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        let entries = frames
            .iter()
            .enumerate()
            .map(|(i, &(score, video, anomalous))| Entry {
                video,
                anomalous,
                closes: frames.get(i + 1).is_none_or(|next| next.0 != score),
            })
            .collect();
        let scores = frames.iter().map(|frame| frame.0).collect();
        Self {
            entries,
            scores,
            anomalous,
            normal,
        }
    }

    pub(crate) fn videos(&self) -> usize {
        self.anomalous.len()
    }

    /// Anomalous and normal frames with each video counted `weights[video]` times.
    pub(crate) fn totals(&self, weights: &[u64]) -> (u64, u64) {
        let dot = |counts: &[u64]| counts.iter().zip(weights).map(|(&c, &w)| c * w).sum();
        (dot(&self.anomalous), dot(&self.normal))
    }

    /// Counts at each distinct score, highest first.
    pub(crate) fn cuts(&self) -> Vec<Cut> {
        let (mut anomalous, mut normal) = (0, 0);
        let mut cuts = Vec::new();
        for (entry, &score) in self.entries.iter().zip(&self.scores) {
            if entry.anomalous {
                anomalous += 1;
            } else {
                normal += 1;
            }
            if entry.closes {
                cuts.push(Cut {
                    anomalous,
                    normal,
                    score,
                });
            }
        }
        cuts
    }

    /// AUC, AP and EER with each video counted `weights[video]` times.
    ///
    /// Counts are whole numbers in f64, exact to 2^53, and the loop has no branch on a label:
    /// this is what a bootstrap spends its time on.
    pub(crate) fn metrics(&self, weights: &[u64]) -> RankMetrics {
        let (all_anomalous, all_normal) = self.totals(weights);
        let (p, n) = (all_anomalous as f64, all_normal as f64);
        let weights: Vec<f64> = weights.iter().map(|&weight| weight as f64).collect();
        let (mut hits, mut alarms) = (0.0, 0.0);
        let (mut last_hits, mut last_alarms) = (0.0, 0.0);
        // Twice the Mann-Whitney statistic.
        let mut pairs = 0.0;
        let mut precision_sum = 0.0;
        let mut equal_error = None;
        for entry in &self.entries {
            let weight = weights[entry.video];
            let hit = f64::from(u8::from(entry.anomalous)) * weight;
            hits += hit;
            alarms += weight - hit;
            if !entry.closes {
                continue;
            }
            pairs += (alarms - last_alarms) * (last_hits + hits);
            // Without a frame so far there is no hit either, and 0 / 1 is added.
            precision_sum += (hits - last_hits) * (hits / (hits + alarms).max(1.0));
            // False positives overtake false negatives: fp / n >= (p - tp) / p.
            if equal_error.is_none() && alarms * p >= (p - hits) * n {
                equal_error = Some(crossing((last_hits, last_alarms), (hits, alarms), p, n));
            }
            (last_hits, last_alarms) = (hits, alarms);
        }
        let both = all_anomalous > 0 && all_normal > 0;
        RankMetrics {
            auc: both.then(|| pairs / 2.0 / (p * n)),
            average_precision: (all_anomalous > 0).then(|| precision_sum / p),
            equal_error_rate: equal_error.filter(|_| both),
        }
    }
}

/// False positive rate where the straight line between two ROC points meets fpr = 1 - tpr.
fn crossing(before: (f64, f64), after: (f64, f64), p: f64, n: f64) -> f64 {
    let rates = |(hits, alarms): (f64, f64)| (hits / p, alarms / n);
    let ((tpr0, fpr0), (tpr1, fpr1)) = (rates(before), rates(after));
    let (gap0, gap1) = (fpr0 + tpr0 - 1.0, fpr1 + tpr1 - 1.0);
    let t = if gap1 > gap0 {
        (-gap0 / (gap1 - gap0)).clamp(0.0, 1.0)
    } else {
        0.0
    };
    fpr0 + t * (fpr1 - fpr0)
}
