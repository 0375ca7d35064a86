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
    /// `v1`, `v2`, ... in this folder: the first that is free. `latest` points at the newest, where
    /// the system has links.
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
                        Ok(()) => {
                            link_latest(parent, &name);
                            return Ok(Self { path });
                        }
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
                let newest = parent.join("latest").read_link_utf8().ok();
                Ok(newest.map(|name| Self::open(parent.join(name))))
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

fn is_empty(folder: &Utf8Path) -> std::io::Result<bool> {
    Ok(folder.read_dir_utf8()?.next().is_none())
}

/// Points `latest` at the newest run; a system without links goes without.
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
        #[cfg(unix)]
        assert_eq!(RunFolder::resume(&location).unwrap(), made[1]);
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
