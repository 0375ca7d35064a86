//! `msn metrics`: metrics of any method's scores.

mod labels;
mod measure;
mod scores;
mod text;

use anyhow::{Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};
use msn_data::is_same_video;
use msn_metrics::{
    Bootstrap, ScoredVideo, TableScores,
    fixture::{self, Fixture},
    keep_common_frames, metric_differences,
};
use serde_json::json;

use self::measure::{Compared, METRICS_FORMAT, Method, Output};
pub(crate) use self::scores::read as read_scores;
use crate::{Usage, args::MetricsArgs, command_line::print_json};

/// A method as the command line names it.
struct Named {
    name: String,
    path: Utf8PathBuf,
    column: Option<String>,
    scores: Vec<TableScores>,
}

pub(crate) fn metrics(args: &MetricsArgs) -> Result<()> {
    if args.threshold.is_some_and(|t| !t.is_finite()) {
        return Err(Usage("--threshold wants a finite score".into()).into());
    }
    if args.file.extension() == Some("json") {
        if args.labels.is_some() {
            return Err(Usage(format!(
                "{} holds its own labels: give no label file",
                args.file
            ))
            .into());
        }
        let fixture = fixture::read(args.file.as_std_path())?.fixture;
        if matches!(fixture, Fixture::Regions(_)) {
            return regions(&fixture, args.json);
        }
    }
    let mut methods = named(args)?;
    if let Some(hz) = args.fps {
        for video in methods.iter_mut().flat_map(|method| &mut method.scores) {
            let times = video.frames.iter().zip(&mut video.seconds);
            times.for_each(|(&frame, seconds)| {
                seconds.get_or_insert(frame as f64 / hz);
            });
        }
    }
    let output = measure(args, methods)?;
    match args.json {
        true => print_json(&output)?,
        false => print!("{}", text::text(&output)),
    }
    Ok(())
}

/// Metrics of boxes, which JSON alone can hold.
fn regions(fixture: &Fixture, as_json: bool) -> Result<()> {
    let found = fixture.metrics()?;
    let (rbdc, tbdc) = (&found["rbdc"], &found["tbdc"]);
    if as_json {
        return print_json(&json!({ "format": METRICS_FORMAT, "rbdc": rbdc, "tbdc": tbdc }));
    }
    for (name, value) in [("rbdc", rbdc), ("tbdc", tbdc)] {
        match value.as_f64() {
            Some(value) => println!("{name:<20}{value:.4}"),
            None => println!("{name:<20}undefined"),
        }
    }
    Ok(())
}

/// The scores of all methods: a column each of the first path, then the others.
fn named(args: &MetricsArgs) -> Result<Vec<Named>> {
    let own: Vec<Option<&str>> = match args.column.as_slice() {
        [] => vec![None],
        columns => columns.iter().map(|c| Some(c.as_str())).collect(),
    };
    let several = own.len() > 1;
    let mut methods = Vec::new();
    for column in own {
        methods.push(Named {
            name: match column {
                Some(column) if several => column.to_owned(),
                _ => name_of(&args.file),
            },
            path: args.file.clone(),
            column: column.map(str::to_owned),
            scores: scores::read(&args.file, column)?,
        });
    }
    for text in &args.compare {
        // A path may have `=` in it as well.
        let (name, path) = match text.split_once('=') {
            Some((name, path)) if !Utf8Path::new(text).exists() => (name.to_owned(), path),
            _ => (name_of(text.as_ref()), text.as_str()),
        };
        // The same column where it has one.
        let column = args.column.first().map(String::as_str);
        let read = scores::read(path.as_ref(), column);
        let (column, read) = match read {
            Err(_) if column.is_some() => (None, scores::read(path.as_ref(), None)),
            read => (column, read),
        };
        methods.push(Named {
            name,
            path: path.into(),
            column: column.map(str::to_owned),
            scores: read?,
        });
    }
    for i in 1..methods.len() {
        if methods[..i].iter().any(|m| m.name == methods[i].name) {
            methods[i].name = format!("{} ({})", methods[i].name, i + 1);
        }
    }
    Ok(methods)
}

/// What a method is called: its file, or of a folder called `scores` what holds it.
fn name_of(path: &Utf8Path) -> String {
    let own = path.canonicalize_utf8().unwrap_or_else(|_| path.to_owned());
    let named = match (own.file_name(), own.parent().and_then(Utf8Path::file_name)) {
        (Some("scores"), Some(parent)) if path.is_dir() => Some(parent),
        (Some(name), _) if path.is_dir() => Some(name),
        _ => own.file_stem(),
    };
    named.unwrap_or(path.as_str()).to_owned()
}

fn measure(args: &MetricsArgs, mut methods: Vec<Named>) -> Result<Output> {
    let (first, others) = methods.split_at_mut(1);
    for other in others {
        rename(&first[0].scores, &mut other.scores);
    }
    let mut left_out = vec![0; methods.len()];
    if methods.len() > 1 {
        let mut all: Vec<Vec<TableScores>> = methods
            .iter_mut()
            .map(|method| std::mem::take(&mut method.scores))
            .collect();
        // What labels one method brings hold for all.
        let labelled = match &args.labels {
            None => all
                .iter()
                .position(|m| m.iter().all(|v| v.labels.is_some())),
            Some(_) => None,
        };
        // Labels in frames count all that the first method scores.
        let first = match args.labels.as_deref() {
            Some(labels) => Some(labels::join(&all[0], &methods[0].path, Some(labels))?),
            None => None,
        };
        if let Some(joined) = first {
            for (video, joined) in all[0].iter_mut().zip(joined) {
                video.labels = Some(joined.labels);
            }
        }
        left_out = keep_common_frames(&mut all);
        let order: Vec<String> = all[0].iter().map(|video| video.name.clone()).collect();
        if order.is_empty() {
            return Err(anyhow!(
                "{} and the others score no common frame: videos must have the same names, and frames count from 0",
                methods[0].path
            ));
        }
        for method in &mut all {
            method.sort_by_key(|video| order.iter().position(|name| *name == video.name));
        }
        let source = labelled.unwrap_or(0);
        let labels: Vec<_> = all[source]
            .iter()
            .map(|video| video.labels.clone())
            .collect();
        for method in &mut all {
            for (video, labels) in method.iter_mut().zip(&labels) {
                video.labels.clone_from(labels);
            }
        }
        for (method, scores) in methods.iter_mut().zip(all) {
            method.scores = scores;
        }
    }
    let labels = args.labels.as_deref().filter(|_| methods.len() == 1);
    let mut joined = Vec::new();
    for method in methods {
        let videos: Vec<ScoredVideo> = labels::join(&method.scores, &method.path, labels)?;
        joined.push(Method {
            name: method.name,
            standardised: is_standardised(&method.path, method.column.as_deref()),
            scores: method.scores,
            videos,
        });
    }
    let first = joined.remove(0);
    let mut compared = Vec::new();
    for other in joined {
        let bootstrap = Bootstrap::default();
        compared.push(Compared {
            difference: metric_differences(&other.videos, &first.videos, &bootstrap)?,
            method: other.measure(args.threshold)?,
        });
    }
    Ok(Output {
        format: METRICS_FORMAT,
        priors: measure::priors(&first.videos)?,
        first: first.measure(args.threshold)?,
        compared,
        left_out,
    })
}

/// Gives videos that are the same by another spelling the names of the first method.
fn rename(first: &[TableScores], other: &mut [TableScores]) {
    let taken: Vec<String> = other.iter().map(|video| video.name.clone()).collect();
    for video in other {
        if first.iter().any(|v| v.name == video.name) {
            continue;
        }
        let mut same = first.iter().filter(|v| is_same_video(&v.name, &video.name));
        if let (Some(v), None) = (same.next(), same.next())
            && !taken.contains(&v.name)
        {
            video.name.clone_from(&v.name);
        }
    }
}

/// Whether a path's scores are this project's anomaly scores, in robust standard deviations.
fn is_standardised(path: &Utf8Path, column: Option<&str>) -> bool {
    let of_folder = || {
        let mut files = path.read_dir_utf8().ok()?.filter_map(Result::ok);
        files.find_map(|f| Some(f.into_path()).filter(|f| f.extension() == Some("csv")))
    };
    let file = match path.is_dir() {
        true => of_folder(),
        false => Some(path.to_owned()),
    };
    let header = file.and_then(|file| csv::Reader::from_path(file).ok()?.headers().cloned().ok());
    let ours = header.is_some_and(|header| {
        ["legacy", "fair"]
            .iter()
            .all(|name| header.iter().any(|h| h == *name))
    });
    ours && column.is_none_or(|column| column == "fair")
}
