//! Writes the labels of any data set as an `events.csv` to standard output.
//!
//! ```text
//! cargo run -p msn-data --example events -- data/ped2 > events.csv
//! ```
//!
//! Whatever format a data set's labels are in (arrays, MATLAB cells, masks, boxes), the result
//! is one table of spans that any other program can read.
#![allow(clippy::disallowed_methods, clippy::print_stderr)]

use std::error::Error;

use msn_data::{Color, DataSet, LoadOptions, LoadedVideo, OpenOptions, Size};

fn main() -> Result<(), Box<dyn Error>> {
    let Some(root) = std::env::args().nth(1) else {
        eprintln!("give the folder of a data set, e.g. data/ped2");
        return Ok(());
    };
    let set = DataSet::open(root.as_ref(), &OpenOptions::default())?;
    for warning in &set.warnings {
        eprintln!("{warning}");
    }
    // Labels are fitted to decoded frames; only their times and number matter here.
    let options = LoadOptions::new(Size::new(8, 8), Color::Grey);
    let mut table = csv::Writer::from_writer(std::io::stdout());
    table.write_record(["video", "start_frame", "end_frame", "kind"])?;
    for video in &set.test {
        let Some(labels) = &video.labels else {
            continue;
        };
        let spans = labels.resolve(&LoadedVideo::load(video, &options)?)?.spans;
        for span in spans {
            let (start, end) = (span.start.to_string(), span.end.to_string());
            let kind = span.kind.unwrap_or_default();
            table.write_record([&video.name, &start, &end, &kind])?;
        }
    }
    table.flush()?;
    Ok(())
}
