//! The report of scored videos: one HTML page that needs nothing else.

mod answer;
pub(crate) mod axis;
mod cards;
mod curve;
mod details;
mod dots;
mod memory;
mod metrics;
mod path;
mod plot;
mod spans;
mod tables;
#[cfg(test)]
mod tests;
mod videos;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use msn_metrics::smooth_gaussian;
use msn_model::Meta;

use self::details::folded;
use crate::{
    AlarmPicture, Calibration, EvalError, Evaluation, MemoryCard, VideoAlarms, VideoScores,
};

pub use self::{
    curve::curve_svg,
    dots::{DotsPanel, dots_svg},
    memory::memory_page,
};

const PAGE_STYLE: &str = include_str!("report/page.css");
/// Items of a pool that the report shows.
const ITEMS: usize = 24;

/// An image in the report.
#[derive(Clone, Debug)]
pub struct ReportImage {
    /// Heading above the image.
    pub title: String,
    /// Caption below it.
    pub caption: String,
    /// PNG.
    pub png: Vec<u8>,
}

/// What a report is made of. Labels are optional, and so is everything that needs them.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// Name of what was scored.
    pub name: &'a str,
    /// The scored videos.
    pub videos: &'a [VideoScores],
    /// Their alarms, one element a video, in the same order.
    pub alarms: &'a [VideoAlarms],
    /// Pictures of the highest alarms.
    pub pictures: &'a [AlarmPicture],
    /// Metrics of the same videos, where they are labelled.
    pub evaluation: Option<&'a Evaluation>,
    /// What the weights say of themselves.
    pub meta: &'a Meta,
    /// What standardised the anomaly scores.
    pub calibration: Option<&'a Calibration>,
    /// Further images, each under its title.
    pub images: &'a [ReportImage],
    /// What the memory has learned.
    pub memory: Option<&'a MemoryCard>,
    /// The command that made it.
    pub command: &'a str,
}

/// The report as one HTML page: no scripts, no other files, for wide and narrow screens, light and
/// dark, and for print.
///
/// It begins with the answer: how many alarms in how much footage. Then come the alarms, the highest
/// first, each with its picture, place and curve; every video's scores over time; metrics where there
/// are labels; and folded what the words mean, images, what the memory has learned, data, weights and
/// the command.
///
/// # Errors
/// [`EvalError::Metrics`] where scores are not finite or the smoothing is out of range.
pub fn report(report: &Report<'_>) -> Result<String, EvalError> {
    let smoothing = report.evaluation.and_then(|e| e.smoothing);
    let legacy = report
        .videos
        .iter()
        .map(|v| smoothed(v, smoothing))
        .collect::<Result<Vec<_>, _>>()?;
    let metrics = report
        .evaluation
        .map(|evaluation| metrics::section(evaluation, report.videos, &legacy))
        .transpose()?;
    let videos = videos::section(report, &legacy)?;
    let answer = answer::headline(report.alarms);
    let styles = [
        include_str!("report/chart.css"),
        PAGE_STYLE,
        include_str!("report/alarms.css"),
        report.memory.map_or("", |_| memory::STYLE),
    ];
    let body = html! {
        h1 { (answer) }
        (answer::lead(report))
        (contents(report))
        (cards::section(report))
        @if !report.videos.is_empty() { (videos) }
        @if let Some(metrics) = metrics { (metrics) }
        (folded("terms", "What the words mean", &details::terms(report.evaluation)))
        @for (i, image) in report.images.iter().enumerate() {
            (folded(&format!("image-{}", i + 1), &image.title, &shown(image)))
        }
        @if let Some(card) = report.memory {
            (folded("memory", "What the memory has learned", &memory::section(card, ITEMS)))
        }
        (folded("data", "Data", &details::data(report.name, report.alarms, report.evaluation)))
        (folded("weights", "Weights", &details::weights(report.meta, report.calibration)))
        (folded("command", "Command", &html! { pre { code { (report.command) } } }))
    };
    Ok(page(&format!("{answer} – {}", report.name), &styles, &body))
}

/// A page that needs nothing else.
fn page(title: &str, styles: &[&str], body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style {
                    (PreEscaped(include_str!("report/colours.css")))
                    @for style in styles { (PreEscaped(style)) }
                }
            }
            body { (body) }
        }
    };
    page.into_string()
}

/// Links to the sections.
fn contents(report: &Report<'_>) -> Markup {
    html! {
        nav aria-label="Contents" {
            @if !report.videos.is_empty() {
                a href="#alarms" { "Alarms" }
                a href="#videos" { "Videos" }
            }
            @if report.evaluation.is_some() { a href="#metrics" { "Metrics" } }
            a href="#terms" { "Words" }
            @for (i, image) in report.images.iter().enumerate() {
                a href={ "#image-" (i + 1) } { (image.title) }
            }
            @if report.memory.is_some() { a href="#memory" { "Memory" } }
            a href="#data" { "Data" }
            a href="#weights" { "Weights" }
            a href="#command" { "Command" }
        }
    }
}

fn shown(image: &ReportImage) -> Markup {
    let data = BASE64_STANDARD.encode(&image.png);
    html! {
        figure {
            div class="scroll" {
                img class="strip wide" src={ "data:image/png;base64," (data) } alt=(image.title);
            }
            figcaption class="note" { (image.caption) }
        }
    }
}

/// The legacy scores that metrics are made of.
fn smoothed(video: &VideoScores, sigma: Option<f64>) -> Result<Vec<f64>, EvalError> {
    match sigma {
        Some(sigma) => Ok(smooth_gaussian(&video.legacy, sigma)?),
        None => Ok(video.legacy.clone()),
    }
}
