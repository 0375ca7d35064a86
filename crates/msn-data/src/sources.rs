//! Videos named on a command line: files, folders, globs, or a list of them.

use camino::{Utf8Path, Utf8PathBuf};
use globset::{GlobBuilder, GlobMatcher};
use msn_video::{FileIdentity, is_frame_file};

use crate::folder::list;
use crate::walk::{Found, PicturesInRoot, each_once, walk};
use crate::{DataError, PassedOver, Video, natural_order};

/// Folders nested deeper are taken for a loop of links by a pattern.
const DEEPEST: usize = 16;

/// The videos that arguments name, and what lies in their folders and is not used.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sources {
    /// The videos.
    pub videos: Vec<Video>,
    /// What was found in folders and is not used.
    pub passed_over: Vec<PassedOver>,
}

/// The videos that arguments name.
///
/// Each argument is a video file, a folder of frames (one video), a folder with videos in it at
/// any depth, or a glob (`cam*/2024-*.mp4`, `**` for any depth) of such, or of all pictures of a
/// folder. The order is that of
/// the arguments, natural within each; a real file counts once, however often it is named and by
/// whatever links. A video's name
/// is the name of its file or folder, with as many folders before it as make it unique.
///
/// # Errors
/// [`DataError::Source`] for an argument that fits nothing, [`DataError::Io`] for folders that
/// can't be listed.
pub fn sources(arguments: &[String]) -> Result<Vec<Video>, DataError> {
    Ok(find_sources(arguments)?.videos)
}

/// [`sources`] with what lies in their folders and is not used.
///
/// # Errors
/// Those of [`sources`].
pub fn find_sources(arguments: &[String]) -> Result<Sources, DataError> {
    let mut places = Vec::new();
    for argument in arguments {
        let path = Utf8Path::new(argument);
        let matched = if path.exists() {
            vec![path.to_owned()]
        } else if argument.contains(['*', '?', '[', '{']) {
            glob(argument)?
        } else {
            return Err(no_source(argument, "does not exist"));
        };
        let mut place = Found::default();
        for path in matched {
            let path = path
                .strip_prefix("./")
                .map_or(path.clone(), Utf8PathBuf::from);
            videos_of(&path, &mut place)?;
        }
        if place.candidates.is_empty() {
            let mut reason = "names no video: a video file, a folder of frames, or a folder of \
                              those was expected"
                .to_owned();
            if let Some(first) = PassedOver::sentences(&place.passed_over).first() {
                reason = format!("{reason} ({first})");
            }
            return Err(no_source(argument, &reason));
        }
        places.push(place);
    }
    if places.is_empty() {
        return Err(no_source("", "names no video: nothing was given"));
    }
    let (found, passed_over) = each_once(places);
    Ok(Sources {
        videos: named(&found.concat()),
        passed_over,
    })
}

fn no_source(pattern: &str, reason: &str) -> DataError {
    DataError::Source {
        pattern: pattern.to_owned(),
        reason: reason.to_owned(),
    }
}

/// The videos that a path is or holds.
fn videos_of(path: &Utf8Path, place: &mut Found) -> Result<(), DataError> {
    if !path.is_dir() {
        // Not by its ending: a file that is named is meant.
        place.add_file(path, FileIdentity::of(path).ok(), false);
        return Ok(());
    }
    let inside = walk(path, PicturesInRoot::Frames)?;
    place.candidates.extend(inside.candidates);
    place.passed_over.extend(inside.passed_over);
    Ok(())
}

/// The paths that fit a pattern: video files and folders.
fn glob(pattern: &str) -> Result<Vec<Utf8PathBuf>, DataError> {
    let clean = pattern.strip_prefix("./").unwrap_or(pattern);
    let matcher = GlobBuilder::new(clean)
        .literal_separator(true)
        .build()
        .map_err(|e| no_source(pattern, &format!("is no pattern: {}", e.kind())))?
        .compile_matcher();
    // The folders before the first part with a wildcard are where to start.
    let fixed: Utf8PathBuf = Utf8Path::new(clean)
        .components()
        .take_while(|part| !part.as_str().contains(['*', '?', '[', '{']))
        .collect();
    let start = if fixed.as_str().is_empty() {
        Utf8PathBuf::from(".")
    } else {
        fixed
    };
    let mut found = Vec::new();
    if start.is_dir() {
        search(&start, &matcher, &mut found, 0)?;
    }
    found.sort_by(|a, b| natural_order(a.as_str(), b.as_str()));
    if found.is_empty() {
        return Err(no_source(pattern, "fits no file and no folder"));
    }
    Ok(found)
}

fn search(
    path: &Utf8Path,
    matcher: &GlobMatcher,
    found: &mut Vec<Utf8PathBuf>,
    depth: usize,
) -> Result<(), DataError> {
    let listing = list(path, "videos were looked for there")?;
    let fits = |path: &Utf8Path| matcher.is_match(path.strip_prefix("./").unwrap_or(path));
    let pictures: Vec<&Utf8PathBuf> = listing.files.iter().filter(|f| is_frame_file(f)).collect();
    let fitting = pictures.iter().filter(|file| fits(file)).count();
    let pictures = pictures.len();
    for file in listing.files {
        if fits(&file) && is_video(&file) {
            found.push(file);
        }
    }
    // A pattern that fits all pictures of a folder means the folder.
    if pictures > 0 && pictures == fitting {
        found.push(path.to_owned());
    }
    for folder in listing.folders {
        if fits(&folder) {
            found.push(folder);
        } else if depth < DEEPEST {
            search(&folder, matcher, found, depth + 1)?;
        }
    }
    Ok(())
}

/// Whether a file that a pattern fits is a video, by its name or its content.
fn is_video(file: &Utf8Path) -> bool {
    msn_video::is_video_file(file)
        || (!is_frame_file(file)
            && file.is_file()
            && msn_video::Content::of(file).is_ok_and(|c| c == msn_video::Content::Video))
}

/// Names videos by as many parts of their paths as make the names unique.
fn named(sources: &[Utf8PathBuf]) -> Vec<Video> {
    let parts = |path: &Utf8Path, count: usize| -> String {
        let all: Vec<&str> = path.components().map(|c| c.as_str()).collect();
        all[all.len().saturating_sub(count)..].join("/")
    };
    let longest = sources
        .iter()
        .map(|path| path.components().count())
        .max()
        .unwrap_or(1);
    sources
        .iter()
        .map(|source| {
            let alone = |count: &usize| {
                let name = parts(source, *count);
                sources.iter().filter(|s| parts(s, *count) == name).count() == 1
            };
            let count = (1..=longest).find(alone).unwrap_or(longest);
            Video::new(parts(source, count), source)
        })
        .collect()
}
