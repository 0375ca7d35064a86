//! Finds the videos in folders: each real file once, and all else with the reason why not.

use std::collections::{BTreeMap, VecDeque};

use camino::{Utf8Path, Utf8PathBuf};
use msn_video::{EntryKind, FileIdentity, FrameListing, Media, list_folder, media};

use crate::folder::is_dropping;
use crate::labels::unread;
use crate::passed_over::{PassedOver, Reason};
use crate::{DataError, natural_order};

/// A video that was found.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    /// The video file, or the folder of frames.
    pub source: Utf8PathBuf,
    /// The real files that it is made of.
    pub files: Vec<FileIdentity>,
    /// Whether a link leads to it: what is there by itself comes first.
    pub by_link: bool,
}

/// Videos that were found in one place, and what else there is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    pub candidates: Vec<Candidate>,
    pub passed_over: Vec<PassedOver>,
}

impl Found {
    pub fn pass_over(&mut self, path: impl Into<Utf8PathBuf>, reason: Reason) {
        self.passed_over.push(PassedOver::new(path, reason));
    }

    /// Adds a video file.
    pub fn add_file(&mut self, path: &Utf8Path, identity: Option<FileIdentity>, by_link: bool) {
        self.candidates.push(Candidate {
            source: path.to_owned(),
            files: identity.into_iter().collect(),
            by_link,
        });
    }

    /// Adds a folder of frames, if it has any, and names its pictures that are links to others.
    pub fn add_frames(&mut self, folder: &Utf8Path, listing: FrameListing, by_link: bool) {
        for (link, of) in listing.links {
            self.pass_over(link, Reason::Link { of });
        }
        if listing.frames.is_empty() {
            return;
        }
        let all_links = listing.frames.iter().all(|frame| frame.is_link);
        let files = listing.frames.into_iter();
        self.candidates.push(Candidate {
            source: folder.to_owned(),
            files: files.filter_map(|frame| frame.identity).collect(),
            by_link: by_link || all_links,
        });
    }
}

/// What pictures directly in the folder are that a walk starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PicturesInRoot {
    /// The frames of a video, as everywhere else.
    Frames,
    /// Nothing that a video's name could be made of.
    Loose,
}

/// Every video file and folder of frames in a folder, at any depth, in natural order. A folder is
/// entered once, whatever links lead to it.
pub(crate) fn walk(root: &Utf8Path, pictures: PicturesInRoot) -> Result<Found, DataError> {
    let mut walk = Walk::default();
    walk.enter(root, pictures)?;
    // What is there by itself is found before what links lead to.
    walk.by_link = true;
    while let Some(folder) = walk.linked.pop_front() {
        walk.enter_or_pass_over(&folder);
    }
    let mut found = walk.found;
    let by_path = |a: &Utf8Path, b: &Utf8Path| natural_order(a.as_str(), b.as_str());
    found
        .candidates
        .sort_by(|a, b| by_path(&a.source, &b.source));
    found.passed_over.sort_by(|a, b| by_path(&a.path, &b.path));
    Ok(found)
}

#[derive(Default)]
struct Walk {
    found: Found,
    entered: BTreeMap<FileIdentity, Utf8PathBuf>,
    /// Links to folders that are yet to be entered.
    linked: VecDeque<Utf8PathBuf>,
    by_link: bool,
}

impl Walk {
    fn enter_or_pass_over(&mut self, folder: &Utf8Path) {
        if let Err(error) = self.enter(folder, PicturesInRoot::Frames) {
            let reason = match error {
                DataError::Io { source, .. } => source.to_string(),
                other => other.to_string(),
            };
            self.found.pass_over(folder, Reason::Unlisted(reason));
        }
    }

    fn enter(&mut self, folder: &Utf8Path, pictures: PicturesInRoot) -> Result<(), DataError> {
        let failed = |e: std::io::Error| DataError::io(folder, "listed", e);
        let identity = FileIdentity::of(folder).map_err(failed)?;
        if let Some(first) = self.entered.get(&identity) {
            let of = first.clone();
            self.found.pass_over(folder, Reason::Link { of });
            return Ok(());
        }
        let listing = list_folder(folder).map_err(failed)?;
        self.entered.insert(identity, folder.to_owned());
        for path in &listing.not_utf8 {
            self.found.pass_over(path, Reason::NotUtf8);
        }
        let frames = FrameListing::of(&listing);
        let mut has_videos = false;
        let mut has_pictures = false;
        for entry in &listing.entries {
            if is_dropping(entry.name()) {
                continue;
            }
            if entry.name().starts_with('.') || is_of_system(entry.name()) {
                self.found.pass_over(&entry.path, Reason::Hidden);
                continue;
            }
            match entry.kind {
                EntryKind::Folder if entry.is_link => self.linked.push_back(entry.path.clone()),
                EntryKind::Folder => self.enter_or_pass_over(&entry.path),
                EntryKind::Special => self.found.pass_over(&entry.path, Reason::Special),
                EntryKind::Nowhere if msn_video::is_frame_file(&entry.path) => has_pictures = true,
                EntryKind::Nowhere => self.found.pass_over(&entry.path, Reason::Nowhere),
                EntryKind::File => match media(entry) {
                    Some(Media::Video) => {
                        has_videos = true;
                        let by_link = self.by_link || entry.is_link;
                        self.found
                            .add_file(&entry.path, entry.identity.clone(), by_link);
                    }
                    Some(Media::Picture) => has_pictures = true,
                    Some(Media::OtherPicture(kind)) => {
                        self.found
                            .pass_over(&entry.path, Reason::OtherPicture(kind));
                    }
                    Some(Media::Leftover) => self.found.pass_over(&entry.path, Reason::Leftover),
                    None => self.found.pass_over(&entry.path, no_footage(&entry.path)),
                },
            }
        }
        if !has_pictures {
            return Ok(());
        }
        let reason = match (has_videos, pictures) {
            (true, _) => Reason::BesideVideos,
            (_, PicturesInRoot::Loose) => Reason::LoosePicture,
            _ => {
                self.found.add_frames(folder, frames, self.by_link);
                return Ok(());
            }
        };
        let links = frames.links.into_iter().map(|(link, _)| link);
        for path in frames.frames.into_iter().map(|f| f.path).chain(links) {
            self.found.pass_over(path, reason.clone());
        }
        Ok(())
    }
}

/// Why a file is not used that is no footage.
fn no_footage(path: &Utf8Path) -> Reason {
    match unread::event_table(path) {
        Some(advice) => Reason::Labels(advice),
        None => Reason::NoFootage,
    }
}

/// Folders that systems and recorders make beside footage, of thumbnails and of what was deleted.
fn is_of_system(name: &str) -> bool {
    const NAMES: [&str; 6] = [
        "@eaDir",
        "#recycle",
        "$RECYCLE.BIN",
        "lost+found",
        "System Volume Information",
        "@Recycle",
    ];
    NAMES.contains(&name)
}

/// The videos of several places, so that no real file is in two of them: what is there by itself
/// comes before what links lead to, then the first place before the others. In each place the order
/// stays.
pub(crate) fn each_once(places: Vec<Found>) -> (Vec<Vec<Utf8PathBuf>>, Vec<PassedOver>) {
    let mut passed_over = Vec::new();
    let mut all: Vec<(usize, usize, Candidate)> = Vec::new();
    let count = places.len();
    for (place, found) in places.into_iter().enumerate() {
        passed_over.extend(found.passed_over);
        let candidates = found.candidates.into_iter().enumerate();
        all.extend(candidates.map(|(index, candidate)| (place, index, candidate)));
    }
    all.sort_by_key(|(place, index, candidate)| (candidate.by_link, *place, *index));
    let mut owner: BTreeMap<FileIdentity, Utf8PathBuf> = BTreeMap::new();
    let mut used: Vec<Vec<(usize, Utf8PathBuf)>> = vec![Vec::new(); count];
    for (place, index, candidate) in all {
        let taken: Vec<&Utf8PathBuf> = candidate
            .files
            .iter()
            .filter_map(|f| owner.get(f))
            .collect();
        if let Some(&of) = taken.first() {
            // A source that is named twice is no news.
            if *of != candidate.source {
                let (of, shared) = (of.clone(), taken.len());
                let reason = match candidate.source.is_dir() {
                    true => Reason::SamePictures {
                        of,
                        shared,
                        pictures: candidate.files.len(),
                    },
                    false => Reason::SameFile { of },
                };
                passed_over.push(PassedOver::new(candidate.source, reason));
            }
            continue;
        }
        let files = candidate.files.into_iter();
        owner.extend(files.map(|file| (file, candidate.source.clone())));
        used[place].push((index, candidate.source));
    }
    let in_order = |mut sources: Vec<(usize, Utf8PathBuf)>| {
        sources.sort_by_key(|(index, _)| *index);
        sources.into_iter().map(|(_, source)| source).collect()
    };
    (used.into_iter().map(in_order).collect(), passed_over)
}
