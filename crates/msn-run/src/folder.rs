//! Run folders: where they are, and what lies where in one.

use std::io::ErrorKind;

use camino::{Utf8Path, Utf8PathBuf};
use msn_eval::Calibration;
use msn_train::{Choose, Settings};

use crate::{
    RunCard, RunError, RunLock,
    files::{write_file, write_json},
};

/// Where the folder of a run is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunLocation {
    /// `v1`, `v2`, ... in this folder: the first that is free. `latest` points at the one that was
    /// completed last, where the system has links.
    Numbered(Utf8PathBuf),
    /// This folder, which must be new or empty.
    At(Utf8PathBuf),
}

/// A run's folder.
///
/// It holds `config.toml`, `run.json`, `metrics.csv` and `epochs.csv`, `tensorboard/`, `strips/`,
/// `checkpoints/`, `weights/`, `calibration.json`, and after the evaluation `scores/`, `curves/`, `alarms.csv`,
/// `alarms.json`, `eval.json`, `memory.json` and `report.html`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFolder {
    path: Utf8PathBuf,
}

impl RunFolder {
    /// The run folder at a path, which holds a run or is about to.
    pub fn open(path: impl Into<Utf8PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Makes the folder of a new run.
    ///
    /// # Errors
    /// [`RunError::Write`], or [`RunError::NotEmpty`] for a folder that holds something.
    pub fn create(location: &RunLocation) -> Result<Self, RunError> {
        match location {
            RunLocation::At(path) => {
                std::fs::create_dir_all(path).map_err(RunError::write(path))?;
                match is_empty(path).map_err(RunError::write(path))? {
                    true => Ok(Self::open(path)),
                    false => Err(RunError::NotEmpty {
                        folder: path.clone(),
                    }),
                }
            }
            RunLocation::Numbered(parent) => {
                std::fs::create_dir_all(parent).map_err(RunError::write(parent))?;
                let mut number = 1;
                loop {
                    let name = format!("v{number}");
                    let path = parent.join(&name);
                    match std::fs::create_dir(&path) {
                        Ok(()) => return Ok(Self { path }),
                        Err(e) if e.kind() == ErrorKind::AlreadyExists => number += 1,
                        Err(source) => return Err(RunError::write(path)(source)),
                    }
                }
            }
        }
    }

    /// The run to go on with: the one at the location, or the newest of a numbered one. `None` where
    /// there is none yet.
    ///
    /// # Errors
    /// [`RunError::NoRun`] for a folder that holds something else.
    pub fn find(location: &RunLocation) -> Result<Option<Self>, RunError> {
        match location {
            RunLocation::At(path) if path.is_dir() => {
                let of_a_run = |name: &str| path.join(name).exists();
                if !is_empty(path).map_err(RunError::read(path))?
                    && !["config.toml", "run.lock"].into_iter().any(of_a_run)
                {
                    return Err(RunError::NoRun {
                        folder: path.clone(),
                    });
                }
                Ok(Some(Self::open(path)))
            }
            RunLocation::At(_) => Ok(None),
            RunLocation::Numbered(parent) => {
                let Ok(entries) = parent.read_dir_utf8() else {
                    return Ok(None);
                };
                let mut newest = None;
                for entry in entries {
                    let path = entry.map_err(RunError::read(parent))?.into_path();
                    newest = newest.max(number(&path).map(|number| (number, path)));
                }
                Ok(newest.map(|(_, path)| Self::open(path)))
            }
        }
    }

    /// [`RunFolder::find`], or [`RunFolder::create`] where there is none.
    ///
    /// # Errors
    /// Those of both.
    pub fn resume(location: &RunLocation) -> Result<Self, RunError> {
        match Self::find(location)? {
            Some(folder) => Ok(folder),
            None => Self::create(location),
        }
    }

    /// The run that was interrupted last among the numbered ones at any depth in a folder; where all
    /// are finished, the one that was begun or resumed last. `None` where there is none.
    ///
    /// # Errors
    /// [`RunError::Read`] for a folder that can't be listed.
    pub fn last_interrupted(folder: &Utf8Path) -> Result<Option<Self>, RunError> {
        if !folder.is_dir() {
            return Ok(None);
        }
        let mut last = None;
        for run in Self::all_in(folder)? {
            let Ok(card) = run.card() else { continue };
            // Runs before numbers were noted are told by their names.
            if !card.numbered && number(&run.path).is_none() {
                continue;
            }
            let changed = |path: Utf8PathBuf| path.metadata().ok()?.modified().ok();
            let begun = changed(run.path.join("config.toml"));
            let saved = changed(run.checkpoints()).max(begun);
            let rank = match card.seconds {
                None => (true, saved),
                Some(_) => (false, begun),
            };
            if last.as_ref().is_none_or(|(best, _)| *best < rank) {
                last = Some((rank, run));
            }
        }
        Ok(last.map(|(_, run)| run))
    }

    /// As it was given or made.
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// Keeps other processes from training in it.
    ///
    /// # Errors
    /// [`RunError::Locked`] where one does, [`RunError::Write`] where the lock can't be made.
    pub fn lock(&self) -> Result<RunLock, RunError> {
        RunLock::take(&self.path)
    }

    /// Whether it has a `run.json`.
    pub fn has_card(&self) -> bool {
        self.card_path().exists()
    }

    /// `run.json`.
    ///
    /// # Errors
    /// Those of [`RunCard::read`].
    pub fn card(&self) -> Result<RunCard, RunError> {
        RunCard::read(&self.card_path())
    }

    /// Writes `run.json`.
    ///
    /// # Errors
    /// [`RunError::Write`].
    pub fn write_card(&self, card: &RunCard) -> Result<(), RunError> {
        write_json(&self.card_path(), card)
    }

    /// `config.toml`. Settings that are newer than the run have their defaults.
    ///
    /// # Errors
    /// [`RunError::Read`] or [`RunError::Config`].
    pub fn settings(&self) -> Result<Settings, RunError> {
        let path = self.path.join("config.toml");
        let text = std::fs::read_to_string(&path).map_err(RunError::read(&path))?;
        Settings::from_toml(&text).map_err(|source| RunError::Config { path, source })
    }

    /// Writes `config.toml`.
    ///
    /// # Errors
    /// [`RunError::Write`].
    pub fn write_settings(&self, settings: &Settings) -> Result<(), RunError> {
        write_file(
            &self.path.join("config.toml"),
            settings.to_toml().as_bytes(),
        )
    }

    /// Whether the run was begun with these settings; `false` where it was not begun yet.
    ///
    /// # Errors
    /// [`RunError::OtherSettings`] for other ones, with the first that differs.
    pub fn was_begun_with(&self, settings: &Settings) -> Result<bool, RunError> {
        let Ok(begun) = std::fs::read_to_string(self.path.join("config.toml")) else {
            return Ok(false);
        };
        let now = settings.to_toml();
        match begun.lines().zip(now.lines()).find(|(a, b)| a != b) {
            None => Ok(true),
            Some((begun, now)) => Err(RunError::OtherSettings {
                folder: self.path.clone(),
                begun: begun.to_owned(),
                now: now.to_owned(),
            }),
        }
    }

    /// The weights file that the run is evaluated with: the last weights, or the best where its
    /// settings choose these.
    ///
    /// # Errors
    /// [`RunError::Unfinished`] where it is not there.
    pub fn weights_file(&self) -> Result<Utf8PathBuf, RunError> {
        let choose = self.settings().map_or(Choose::Last, |s| s.train.choose);
        let name = match choose {
            Choose::Last => "last",
            Choose::Best => "best",
        };
        let file = self.weights(name);
        match file.exists() {
            true => Ok(file),
            false => Err(RunError::Unfinished {
                folder: self.path.clone(),
                file: file.strip_prefix(&self.path).unwrap_or(&file).to_owned(),
            }),
        }
    }

    /// `weights/NAME.safetensors`.
    pub fn weights(&self, name: &str) -> Utf8PathBuf {
        self.path.join(format!("weights/{name}.safetensors"))
    }

    /// `split.toml`: the split that was asked for, where one was.
    pub fn split(&self) -> Utf8PathBuf {
        self.path.join("split.toml")
    }

    /// The folder of its TensorBoard events. That of a numbered run is `tensorboard/vN` beside it:
    /// TensorBoard follows `latest`, and would show what it finds there as another run.
    pub(crate) fn tensorboard(&self, numbered: bool) -> Utf8PathBuf {
        match (self.path.parent(), self.path.file_name()) {
            (Some(parent), Some(name)) if numbered => parent.join("tensorboard").join(name),
            _ => self.path.join("tensorboard"),
        }
    }

    /// Points `latest` at this run; a system without links goes without.
    pub(crate) fn point_latest(&self) {
        if let (Some(parent), Some(name)) = (self.path.parent(), self.path.file_name()) {
            link_latest(parent, name);
        }
    }

    /// The folder of its checkpoints.
    pub fn checkpoints(&self) -> Utf8PathBuf {
        self.path.join("checkpoints")
    }

    /// `calibration.json`.
    pub fn calibration(&self) -> Utf8PathBuf {
        self.path.join(Calibration::RUN_FILE)
    }

    /// `eval.json`.
    pub fn evaluation(&self) -> Utf8PathBuf {
        self.path.join("eval.json")
    }

    fn card_path(&self) -> Utf8PathBuf {
        self.path.join("run.json")
    }
}

/// N of a folder `vN`.
fn number(path: &Utf8Path) -> Option<u64> {
    let digits = path.file_name()?.strip_prefix('v')?;
    let number = digits.parse().ok()?;
    (digits == format!("{number}")).then_some(number)
}

fn is_empty(folder: &Utf8Path) -> std::io::Result<bool> {
    Ok(folder.read_dir_utf8()?.next().is_none())
}

fn link_latest(parent: &Utf8Path, newest: &str) {
    #[cfg(unix)]
    {
        let link = parent.join("latest");
        let fresh = parent.join(format!(".latest-{newest}"));
        if std::os::unix::fs::symlink(newest, &fresh).is_ok()
            && std::fs::rename(&fresh, &link).is_err()
        {
            let _ = std::fs::remove_file(&fresh);
        }
    }
    #[cfg(not(unix))]
    let _ = (parent, newest);
}

#[cfg(test)]
mod tests {
    use super::*;
    use msn_train::Preset;

    fn temporary() -> (tempfile::TempDir, Utf8PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(dir.path().to_owned()).unwrap();
        (dir, path)
    }

    #[test]
    fn numbered_runs_count_up_and_the_newest_is_resumed() {
        let (_guard, dir) = temporary();
        let location = RunLocation::Numbered(dir.join("scene/tiny"));
        assert_eq!(RunFolder::find(&location).unwrap(), None);
        let made = [1, 2].map(|_| RunFolder::create(&location).unwrap());
        let names = made.each_ref().map(|run| run.path().file_name().unwrap());
        assert_eq!(names, ["v1", "v2"]);
        for name in ["v1000-old", "v", "v03", "tensorboard"] {
            std::fs::create_dir(dir.join("scene/tiny").join(name)).unwrap();
        }
        assert_eq!(RunFolder::resume(&location).unwrap(), made[1]);
        #[cfg(unix)]
        {
            // It points at what is complete.
            let latest = dir.join("scene/tiny/latest");
            assert!(!latest.exists());
            for run in [&made[0], &made[1], &made[0]] {
                run.point_latest();
                assert_eq!(
                    latest.read_link_utf8().ok().as_deref(),
                    run.path().file_name().map(Utf8Path::new)
                );
            }
            assert_eq!(RunFolder::resume(&location).unwrap(), made[1]);
        }
    }

    #[test]
    fn a_folder_with_something_else_is_no_place_for_a_run() {
        let (_guard, dir) = temporary();
        std::fs::write(dir.join("letter"), "").unwrap();
        let location = RunLocation::At(dir.clone());
        let error = RunFolder::create(&location).unwrap_err();
        assert!(matches!(error, RunError::NotEmpty { .. }), "{error}");
        let error = RunFolder::resume(&location).unwrap_err();
        assert!(matches!(error, RunError::NoRun { .. }), "{error}");
    }

    #[test]
    fn one_process_trains_in_a_folder() {
        let (_guard, dir) = temporary();
        let run = RunFolder::open(&dir);
        let lock = run.lock().unwrap();
        let error = run.lock().unwrap_err();
        assert!(matches!(error, RunError::Locked { .. }), "{error}");
        lock.release();
        run.lock().unwrap();
    }

    #[test]
    fn settings_choose_the_weights_and_are_held_to() {
        let (_guard, dir) = temporary();
        let run = RunFolder::open(&dir);
        let mut settings = Settings::preset(Preset::Tiny);
        assert!(!run.was_begun_with(&settings).unwrap());
        settings.set("choose=best").unwrap();
        run.write_settings(&settings).unwrap();
        assert!(run.was_begun_with(&settings).unwrap());
        let error = run.weights_file().unwrap_err();
        assert!(
            error.to_string().contains("weights/best.safetensors"),
            "{error}"
        );
        settings.set("batch=4").unwrap();
        let error = run.was_begun_with(&settings).unwrap_err();
        assert!(error.to_string().contains("not `batch = 4`"), "{error}");
    }
}
