//! Small folders made in the layouts of data sets.

use camino::{Utf8Path, Utf8PathBuf};
use msn_data::{Color, DataSet, LoadOptions, LoadedVideo, OpenOptions, Size};

/// Options to load tiny videos with.
pub const SMALL: LoadOptions = LoadOptions::new(Size::new(8, 8), Color::Grey);

/// A temporary folder to build a data set in.
pub struct Tiny {
    _folder: tempfile::TempDir,
    pub root: Utf8PathBuf,
}

impl Tiny {
    /// An empty folder of this name.
    pub fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(folder.path()).unwrap().join(name);
        std::fs::create_dir(&root).unwrap();
        Self {
            _folder: folder,
            root,
        }
    }

    /// Writes a file, with the folders above it.
    pub fn write(&self, path: &str, bytes: impl AsRef<[u8]>) -> &Self {
        let path = self.root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
        self
    }

    /// Writes a folder of grey frames, numbered from `first`, as `.jpg`, `.png`, ...
    pub fn frames(&self, folder: &str, first: usize, count: usize, kind: &str) -> &Self {
        let folder = self.root.join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        for index in first..first + count {
            let shade = u8::try_from(index % 250).unwrap();
            let picture = image::GrayImage::from_pixel(12, 10, image::Luma([shade]));
            picture
                .save(folder.join(format!("{index:03}.{kind}")))
                .unwrap();
        }
        self
    }

    /// Writes a folder of masks, white where `anomalous`.
    pub fn masks(&self, folder: &str, first: usize, anomalous: &[bool], kind: &str) -> &Self {
        let folder = self.root.join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        for (index, anomalous) in anomalous.iter().enumerate() {
            let mut picture = image::GrayImage::new(12, 10);
            if *anomalous {
                picture.put_pixel(3, 2, image::Luma([255]));
            }
            picture
                .save(folder.join(format!("{:03}.{kind}", first + index)))
                .unwrap();
        }
        self
    }

    /// Writes one label for each frame as `.npy`.
    pub fn npy(&self, path: &str, values: &[u8]) -> &Self {
        let values: Vec<i64> = values.iter().map(|&v| i64::from(v)).collect();
        self.write(path, npy(&[values.len()], &values))
    }

    /// Copies a file of labels made with SciPy or NumPy.
    pub fn copy(&self, file: &str, path: &str) -> &Self {
        self.write(path, std::fs::read(sample(file)).unwrap())
    }

    /// Opens the folder as a data set.
    pub fn open(&self) -> Result<DataSet, msn_data::DataError> {
        DataSet::open(&self.root, &OpenOptions::default())
    }

    /// Opens the folder with labels from a path in it.
    pub fn open_with(&self, labels: &str) -> Result<DataSet, msn_data::DataError> {
        let options = OpenOptions {
            labels: Some(self.root.join(labels)),
            ..OpenOptions::default()
        };
        DataSet::open(&self.root, &options)
    }
}

/// A file of labels made with SciPy or NumPy.
pub fn sample(file: &str) -> Utf8PathBuf {
    Utf8PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it/files")
        .join(file)
}

/// The bytes of an `.npy`.
pub fn npy<T: npyz::AutoSerialize + Copy>(shape: &[usize], values: &[T]) -> Vec<u8> {
    use npyz::WriterBuilder;
    let shape: Vec<u64> = shape.iter().map(|&n| n.try_into().unwrap()).collect();
    let mut bytes = Vec::new();
    let mut writer = npyz::WriteOptions::new()
        .default_dtype()
        .shape(&shape)
        .writer(&mut bytes)
        .begin_nd()
        .unwrap();
    writer.extend(values.iter().copied()).unwrap();
    writer.finish().unwrap();
    bytes
}

/// Labels of every test video as 0 and 1, by decoding the videos.
pub fn resolved(set: &DataSet) -> Vec<Vec<u8>> {
    set.test
        .iter()
        .map(|video| {
            let loaded = LoadedVideo::load(video, &SMALL).unwrap();
            let labels = video.labels.as_ref().unwrap().resolve(&loaded).unwrap();
            labels.anomalous.iter().map(|&a| u8::from(a)).collect()
        })
        .collect()
}

/// A video that was never decoded: black frames, in unbroken runs.
pub fn blank(name: &str, frames: usize, runs: Vec<std::ops::Range<usize>>) -> LoadedVideo {
    let lost = frames - runs.iter().map(ExactSizeIterator::len).sum::<usize>();
    let pixels = vec![0; frames * 64];
    let mut video = LoadedVideo::from_pixels(name, SMALL.size, SMALL.color, &pixels).unwrap();
    (video.runs, video.lost) = (runs, lost);
    video
}
