//! The score of a whole video below its frames.

use msn_events::{Event, FrameRange};
use msn_video::Size;

use super::{ALARM, INK, LABEL, PAPER, SOFT, canvas::Canvas, column};
use crate::{VideoScores, report::axis::ticks};

/// Rows above and below the curve.
const EDGE: u32 = 8;
/// Height of the bars that mark events.
const BAR: u32 = 4;
const SPAN: [u8; 3] = [84, 48, 31];
const LINE: [u8; 3] = [121, 181, 255];
const GRID: [u8; 3] = [48, 55, 63];
/// Steps of the scale, at most.
const STEPS: f64 = 3.0;
/// Column at which the threshold's name begins, after those of the scale.
const NAME: u32 = 48;
/// Pixels of a dash and of the gap after it.
const DASH: usize = 6;

/// Spans, threshold, events and scores; the same in every frame but for the place in time.
#[derive(Clone, Debug)]
pub(super) struct Curve {
    still: Canvas,
    frames: usize,
    size: Size,
}

impl Curve {
    pub fn new(video: &VideoScores, events: &[Event], threshold: Option<f64>, size: Size) -> Self {
        let mut canvas = Canvas::new(size, PAPER);
        let at = |frame: usize| column(frame, video.frames, size.width);
        let wide = |start: usize, end: usize| at(end.saturating_sub(1)) + 1 - at(start);
        if let Some(labels) = &video.labels {
            for span in FrameRange::of_labels(&labels.anomalous) {
                let width = wide(span.start, span.end);
                canvas.fill([at(span.start), 0], [width, size.height], SPAN);
            }
        }
        let scores = video.fair.as_deref().unwrap_or_default();
        let (low, high) = scores
            .iter()
            .copied()
            .chain([0.0, 1.0])
            .chain(threshold.map(|t| t * 1.1))
            .fold((0.0f64, 0.0f64), |(l, h), v| (l.min(v), h.max(v)));
        let row = |score: f64| {
            let share = (high - score) / (high - low);
            let down = (share.clamp(0.0, 1.0) * f64::from(size.height - 2 * EDGE)) as u32;
            EDGE + down
        };
        let scale = ticks(low, high, STEPS);
        for tick in &scale {
            let y = row(tick.value);
            canvas.line([0, y], [size.width - 1, y], GRID);
        }
        if let Some(threshold) = threshold {
            let y = row(threshold);
            for x in (0..size.width).step_by(2 * DASH) {
                let end = x.saturating_add(6).min(size.width - 1);
                canvas.line([x, y], [end, y], ALARM);
            }
        }
        let points: Vec<(usize, u32, u32)> = video
            .scores
            .iter()
            .zip(scores)
            .map(|(s, &v)| (s.frame, at(s.frame), row(v)))
            .collect();
        for pair in points.windows(2) {
            let [(a, x1, y1), (b, x2, y2)] = pair else {
                continue;
            };
            if *b == *a + 1 {
                canvas.line([*x1, *y1], [*x2, *y2], LINE);
            }
        }
        for event in events {
            let top = size.height - BAR;
            canvas.fill(
                [at(event.start), top],
                [wide(event.start, event.end), BAR],
                ALARM,
            );
        }
        if let Some(threshold) = threshold {
            let y = row(threshold).saturating_sub(4).max(10);
            let text = format!("alarm above {threshold:.1}");
            canvas.note([NAME, y], &text, SOFT, PAPER);
        }
        for tick in &scale {
            let y = (row(tick.value) + 4).clamp(10, size.height - 2);
            // The font is ASCII.
            let text = tick.text.replace('\u{2212}', "-");
            canvas.note([2, y], &text, SOFT, PAPER);
        }
        if video.labels.is_some() {
            canvas.text([size.width.saturating_sub(72), 12], "labelled", LABEL);
        }
        Self {
            still: canvas,
            frames: video.frames,
            size,
        }
    }

    /// Puts it at row `y`, with a line at a frame.
    pub fn draw(&self, canvas: &mut Canvas, y: u32, frame: usize) {
        canvas.put_canvas(y, &self.still);
        let x = column(frame, self.frames, self.size.width);
        canvas.line([x, y], [x, y + self.size.height - 1], INK);
    }
}
