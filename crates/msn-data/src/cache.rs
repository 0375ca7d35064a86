//! Resized frames in files, so that they are decoded once.
//!
//! A file holds `msn-frames-2` and a newline, the pixels of all frames, a JSON of all else
//! ([`Head`]), that JSON's length (8 bytes, little-endian) and the Blake3 hash of all of this. Its name is made of what the frames
//! depend on: the source's path, the sizes and times of change of its files, the settings. So a
//! changed source or setting is another file; one that is damaged is written again. Files are
//! written under a temporary name and renamed, so two processes may use one folder, and any file
//! may be deleted at any time.

use std::{
    fs::File,
    io::{BufWriter, Read, Seek, SeekFrom, Write},
    ops::Range,
    sync::{Mutex, PoisonError},
    time::{Duration, UNIX_EPOCH},
};

use atomic_write_file::AtomicWriteFile;
use camino::{Utf8Path, Utf8PathBuf};
use msn_video::Size;
use serde::{Deserialize, Serialize};

use crate::{DataError, LoadOptions, Resampling, Video, video::short};

/// First bytes of a file; a change of what frames hold is another number.
const MAGIC: &[u8] = b"msn-frames-2\n";
/// Bytes of the hash at the end.
const HASH: u64 = 32;
/// Ending of the files.
const ENDING: &str = ".frames";
/// A file that was begun and not touched for so long is nobody's any more.
const ABANDONED: Duration = Duration::from_secs(3600);

/// Everything about a video but its pixels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Head {
    /// Width and height of the source's pictures.
    pub source_size: [u32; 2],
    pub seconds: Vec<Option<f64>>,
    pub runs: Vec<Range<usize>>,
    pub lost: usize,
    pub rate_hz: Option<f64>,
    pub resampled: Option<Resampling>,
    pub warnings: Vec<String>,
}

impl Head {
    pub fn source_size(&self) -> Size {
        Size::new(self.source_size[0], self.source_size[1])
    }
}

/// The file of a video's frames.
///
/// # Errors
/// [`DataError::Io`] where the source's files can't be listed.
pub(crate) fn file_of(
    folder: &Utf8Path,
    video: &Video,
    options: &LoadOptions,
    rate_hz: Option<f64>,
) -> Result<Utf8PathBuf, DataError> {
    let source = &video.source;
    let path = source
        .canonicalize_utf8()
        .map_err(|e| DataError::io(source, "read", e))?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(MAGIC);
    hasher.update(env!("CARGO_PKG_VERSION").as_bytes());
    hasher.update(path.as_str().as_bytes());
    let settings = format!(
        "\n{:?} {:?} {:?} {:?} {:?}\n",
        options.size,
        options.color,
        rate_hz.map(f64::to_bits),
        options
            .folder_hz
            .filter(|_| path.is_dir())
            .map(f64::to_bits),
        options
            .stretch
            .map(|s| [s.low(), s.high()].map(f64::to_bits))
    );
    hasher.update(settings.as_bytes());
    let files = if path.is_dir() {
        msn_video::frame_files(&path)?
    } else {
        vec![path]
    };
    for file in files {
        let failed = |e: std::io::Error| DataError::io(&file, "read", e);
        let data = std::fs::metadata(&file).map_err(failed)?;
        let changed = data.modified().map_err(failed)?;
        let changed = changed.duration_since(UNIX_EPOCH).unwrap_or_default();
        let stamp = format!("{} {} {}\n", file, data.len(), changed.as_nanos());
        hasher.update(stamp.as_bytes());
    }
    Ok(folder.join(format!("{}{ENDING}", short(&hasher))))
}

/// A file of frames that is being written.
pub(crate) struct CacheWriter {
    path: Utf8PathBuf,
    file: BufWriter<AtomicWriteFile>,
    hasher: blake3::Hasher,
}

impl CacheWriter {
    pub fn new(path: &Utf8Path) -> Result<Self, DataError> {
        let folder = path.parent().unwrap_or(Utf8Path::new("."));
        let failed = |e: std::io::Error| DataError::io(folder, "written", e);
        std::fs::create_dir_all(folder).map_err(failed)?;
        sweep(folder);
        let file = AtomicWriteFile::options().read(true).open(path);
        let file = file.map_err(failed)?;
        let mut writer = Self {
            path: path.to_owned(),
            file: BufWriter::new(file),
            hasher: blake3::Hasher::new(),
        };
        writer.put(MAGIC)?;
        Ok(writer)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), DataError> {
        self.hasher.update(bytes);
        let written = self.file.write_all(bytes);
        written.map_err(|e| DataError::io(&self.path, "written", e))
    }

    pub fn push(&mut self, pixels: &[u8]) -> Result<(), DataError> {
        self.put(pixels)
    }

    /// Completes the file and gives it its name.
    pub fn finish(mut self, head: &Head) -> Result<CachedFrames, DataError> {
        let path = self.path.clone();
        let failed = |e: std::io::Error| DataError::io(&path, "written", e);
        let json = serde_json::to_vec(head).map_err(|e| failed(e.into()))?;
        self.put(&json)?;
        self.put(&length(json.len()).to_le_bytes())?;
        let hash = self.hasher.finalize();
        self.put(hash.as_bytes())?;
        let file = self.file.into_inner().map_err(|e| failed(e.into_error()))?;
        // Whoever removes the file from now on does not take it from this process.
        let reader = file.as_file().try_clone().map_err(failed)?;
        file.commit().map_err(failed)?;
        Ok(CachedFrames {
            path,
            file: Mutex::new(reader),
        })
    }
}

/// Removes what processes that were killed have left; nothing else depends on it.
fn sweep(folder: &Utf8Path) {
    let Ok(entries) = folder.read_dir_utf8() else {
        return;
    };
    for entry in entries.flatten() {
        let changed = entry.metadata().and_then(|data| data.modified());
        let age = changed.ok().and_then(|time| time.elapsed().ok());
        // Temporary names are hidden and hold the final one.
        let name = entry.file_name();
        let is_temporary = name.starts_with('.') && name.contains(ENDING);
        if is_temporary && age.is_some_and(|age| age > ABANDONED) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

fn length(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// A file of frames.
#[derive(Debug)]
pub(crate) struct CachedFrames {
    path: Utf8PathBuf,
    file: Mutex<File>,
}

impl CachedFrames {
    /// Opens and checks a file; `None` where there is none, or none that is whole.
    pub fn open(path: &Utf8Path, frame_bytes: usize) -> Option<(Self, Head)> {
        let mut file = File::open(path).ok()?;
        let head = checked(&mut file, frame_bytes)?;
        let file = Mutex::new(file);
        let path = path.to_owned();
        Some((Self { path, file }, head))
    }

    pub fn frame(&self, index: usize, bytes: usize) -> Result<Vec<u8>, DataError> {
        let mut pixels = vec![0; bytes];
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let start = length(MAGIC.len() + index * bytes);
        let read = file
            .seek(SeekFrom::Start(start))
            .and_then(|_| file.read_exact(&mut pixels));
        match read {
            Ok(()) => Ok(pixels),
            Err(e) => Err(DataError::Gone {
                path: self.path.clone(),
                reason: e.to_string(),
            }),
        }
    }
}

/// The properties in a file, if its hash is right.
fn checked(file: &mut File, frame_bytes: usize) -> Option<Head> {
    let whole = file.metadata().ok()?.len();
    let mut magic = [0; MAGIC.len()];
    file.read_exact(&mut magic).ok()?;
    let hash_start = whole.checked_sub(HASH)?;
    let tail = hash_start.checked_sub(8)?;
    file.seek(SeekFrom::Start(tail)).ok()?;
    let mut size = [0; 8];
    file.read_exact(&mut size).ok()?;
    let json_start = tail.checked_sub(u64::from_le_bytes(size))?;
    let pixels = json_start.checked_sub(length(MAGIC.len()))?;
    if magic != MAGIC {
        return None;
    }
    file.seek(SeekFrom::Start(json_start)).ok()?;
    let mut json = Vec::new();
    Read::by_ref(file)
        .take(tail - json_start)
        .read_to_end(&mut json)
        .ok()?;
    let head: Head = serde_json::from_slice(&json).ok()?;
    if length(head.seconds.len() * frame_bytes) != pixels {
        return None;
    }
    file.rewind().ok()?;
    let mut hasher = blake3::Hasher::new();
    hasher
        .update_reader(Read::by_ref(file).take(hash_start))
        .ok()?;
    let mut hash = [0; blake3::OUT_LEN];
    file.read_exact(&mut hash).ok()?;
    (hasher.finalize() == blake3::Hash::from_bytes(hash)).then_some(head)
}
