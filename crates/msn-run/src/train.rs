//! A whole training: footage, steps, final weights, calibration, evaluation.

use std::{ops::ControlFlow, time::Instant};

use msn_data::{DataSet, FrameStore, SplitManifest};
use msn_eval::{Calibration, Evaluation};
use msn_model::{Input, Meta, StretchSetting, WEIGHTS_FORMAT, Weights};
use msn_train::{Engine, Progress, Settings, TrainError, any_rank, same_footage, same_settings};

use crate::{
    CheckpointSchedule, Devices, EvaluateRequest, Model, Notice, Observer, RUN_FORMAT,
    ReportRequest, RunCard, RunData, RunError, RunFolder, RunLocation, TestSet,
    alarms::note_threshold,
    card::{BURN, versions},
    checkpoints::{CheckpointWriter, restore},
    evaluate,
    files::check_paths,
    footage::TrainingFootage,
    memory,
    recorder::{Follower, Recorder, Statistics, Stop},
    strip::Strip,
    tables::Tables,
    write_report,
};

/// What to train, on what, and where it goes.
#[derive(Debug)]
pub struct TrainRequest<'a> {
    /// Network, training and input.
    pub settings: Settings,
    /// Normal training videos, and test videos to evaluate on.
    pub data: &'a DataSet,
    /// The calibration split; drawn by the seed where there is none.
    pub split: Option<SplitManifest>,
    /// Where decoded frames are stored.
    pub store: FrameStore,
    /// Where the run folder is.
    pub location: RunLocation,
    /// Whether to go on with the run that is there.
    pub resume: bool,
    /// When checkpoints are written.
    pub checkpoints: CheckpointSchedule,
    /// The command, to be noted in `run.json` and `eval.json`.
    pub command: String,
}

impl<'a> TrainRequest<'a> {
    /// A new run with a split drawn by the seed, frames in memory and a checkpoint every five minutes.
    pub fn new(settings: Settings, data: &'a DataSet, location: RunLocation) -> Self {
        Self {
            settings,
            data,
            split: None,
            store: FrameStore::default(),
            location,
            resume: false,
            checkpoints: CheckpointSchedule::default(),
            command: String::new(),
        }
    }
}

/// How a training ended.
#[derive(Debug)]
pub enum TrainOutcome {
    /// With final weights.
    Finished {
        /// Holds weights, calibration and, where there is one, the evaluation.
        folder: RunFolder,
        /// Its evaluation; `None` where there are no test videos or no labels.
        evaluation: Option<Box<Evaluation>>,
    },
    /// The run to be resumed was finished already.
    AlreadyFinished(RunFolder),
    /// By [`Observer::stop_requested`]; the run is saved, and resuming it goes on.
    Interrupted(RunFolder),
    /// On a rank other than 0, which writes the run folder.
    Followed {
        /// Whether a rank was asked to stop.
        interrupted: bool,
    },
}

/// Trains a network on a data set's normal videos, calibrates its score, and evaluates it on the test
/// videos; all is left in a run folder. Where the engine shares its batches with other ranks, all
/// call this with the same request, and rank 0 alone writes.
///
/// Nothing is written before the footage is read, and ranks and labels are known to fit.
///
/// # Errors
/// [`RunError`]; the run can be resumed where it was saved.
pub fn train(
    request: &TrainRequest<'_>,
    devices: &dyn Devices,
    observer: &mut dyn Observer,
) -> Result<TrainOutcome, RunError> {
    let began = Instant::now();
    let settings = &request.settings;
    let mut engine = devices.engine(settings).map_err(RunError::Device)?;
    let collective = engine.collective();
    // What differs from rank to rank is better known before footage is read, and before there is a
    // run folder. Settings first: what follows from them is then the same on all ranks.
    same_settings(collective.as_ref(), settings)?;
    if let Some(uneven) = TrainError::uneven(settings.train.batch, collective.world_size()) {
        return Err(uneven.into());
    }
    let footage = TrainingFootage::load(request, observer)?;
    let hash = footage.hash()?;
    same_footage(collective.as_ref(), &hash, &footage.split)?;
    if collective.rank() > 0 {
        let finished = any_rank(collective.as_ref(), false);
        let interrupted = !finished && follow(request, &footage, engine.as_mut(), observer)?;
        return Ok(TrainOutcome::Followed { interrupted });
    }
    // Decoded once: labels that do not fit are better known now than after an hour, and what is read
    // for that is what is scored at the end.
    let test = match request.data.test.is_empty() {
        true => None,
        false => Some(TestSet::load(
            request.data,
            &footage.options,
            &request.store,
            observer,
        )?),
    };
    let folder = match request.resume {
        true => RunFolder::resume(&request.location)?,
        false => RunFolder::create(&request.location)?,
    };
    let names = request.data.test.iter().map(|video| video.name.as_str());
    check_paths(folder.path(), names)?;
    let lock = folder.lock()?;
    let mut card = card(request, devices, &footage, &hash);
    if request.resume && folder.was_begun_with(settings)? && folder.has_card() {
        let begun = folder.card()?;
        if (&begun.device, &begun.kernels) != (&card.device, &card.kernels) {
            observer.notice(&Notice::OtherDevice(folder.path().to_owned()));
        }
        card = begun;
    }
    if any_rank(collective.as_ref(), card.seconds.is_some()) {
        lock.release();
        return Ok(TrainOutcome::AlreadyFinished(folder));
    }
    let mut done = Progress::default();
    if request.resume {
        done = restore(engine.as_mut(), &folder, settings, &hash, observer)?;
        if done.steps > 0 {
            card.resumed_at.push(done.steps);
        }
    }
    folder.write_settings(settings)?;
    folder.write_card(&card)?;
    observer.notice(&Notice::CalibrationSplit(
        card.data.calibration_split.clone(),
    ));

    let run = Run {
        request,
        devices,
        footage: &footage,
        folder: &folder,
        card: &card,
    };
    let Some(progress) = run.steps(engine.as_mut(), done, observer)? else {
        return Ok(TrainOutcome::Interrupted(folder));
    };
    let model = run.finish(engine.as_mut(), progress, observer)?;
    let training = (&footage.videos[..], &footage.split.train[..]);
    let memory = memory::of_training(&folder, &model, &request.data.name, training, devices)?;
    drop((engine, footage));
    let evaluation = match test {
        None => {
            observer.notice(&Notice::NothingToEvaluate(request.data.root.clone()));
            note_threshold(&model, observer);
            let nothing = ReportRequest {
                model: &model,
                name: &request.data.name,
                videos: &[],
                alarms: &[],
                evaluation: None,
                images: &[],
                memory: memory.as_ref(),
                command: &request.command,
            };
            write_report(&nothing, folder.path(), observer)?;
            None
        }
        Some(test) => evaluate(
            &EvaluateRequest {
                memory,
                out: Some(folder.path()),
                command: request.command.clone(),
                seed: Some(settings.train.seed),
                ..EvaluateRequest::new(&model, &test)
            },
            devices,
            observer,
        )?,
    };
    card.seconds = Some(began.elapsed().as_secs_f64());
    folder.write_card(&card)?;
    lock.release();
    Ok(TrainOutcome::Finished {
        folder,
        evaluation: evaluation.map(Box::new),
    })
}

/// Does the steps of a rank that writes nothing; whether a rank was asked to stop.
fn follow(
    request: &TrainRequest<'_>,
    footage: &TrainingFootage,
    engine: &mut dyn Engine,
    observer: &mut dyn Observer,
) -> Result<bool, RunError> {
    observer.training_begins();
    let trained = msn_train::train(
        &request.settings,
        &footage.videos,
        &footage.split,
        engine,
        Progress::default(),
        &mut Follower(observer),
    );
    observer.training_ends();
    Ok(trained?.is_break())
}

/// A run whose folder and card are there.
struct Run<'a> {
    request: &'a TrainRequest<'a>,
    devices: &'a dyn Devices,
    footage: &'a TrainingFootage,
    folder: &'a RunFolder,
    card: &'a RunCard,
}

impl Run<'_> {
    /// Does the training steps; `None` where somebody asked to stop.
    fn steps(
        &self,
        engine: &mut dyn Engine,
        done: Progress,
        observer: &mut dyn Observer,
    ) -> Result<Option<Progress>, RunError> {
        let (settings, footage) = (&self.request.settings, self.footage);
        let tables = Tables::open(self.folder, &settings.net.pools)?;
        let strip = Strip::new(self.folder, settings, &footage.videos, &footage.split)?;
        let hash = &self.card.data.hash;
        let checkpoints =
            CheckpointWriter::new(self.folder, settings, hash, self.request.checkpoints);
        observer.training_begins();
        let mut recorder = Recorder::new(tables, strip, checkpoints, observer);
        let trained = msn_train::train(
            settings,
            &footage.videos,
            &footage.split,
            engine,
            done,
            &mut recorder,
        );
        let (diverged, waiting) = (recorder.diverged.take(), recorder.waiting);
        let flushed = recorder.tables.flush();
        drop(recorder);
        observer.training_ends();
        let progress = match (trained, diverged) {
            (Err(source), Some(state)) => {
                let source = Box::new(source);
                return Err(RunError::Diverged { source, state });
            }
            (trained, _) => match trained? {
                ControlFlow::Continue(progress) => progress,
                ControlFlow::Break(Stop::Requested) => return Ok(None),
                ControlFlow::Break(Stop::Failed(error)) => return Err(*error),
            },
        };
        flushed?;
        if let Some(share) = waiting {
            observer.notice(&Notice::WaitedForClips(share));
        }
        Ok(Some(progress))
    }

    /// Writes the last and the best weights, each with statistics on whole frames and a calibration;
    /// the model that the settings choose.
    fn finish(
        &self,
        engine: &mut dyn Engine,
        progress: Progress,
        observer: &mut dyn Observer,
    ) -> Result<Model, RunError> {
        self.write_weights(engine, "last", None, observer)?;
        if let Some(best) = progress.best {
            let mut state = engine.state();
            state.tensors = best.tensors;
            engine.restore(state)?;
            self.write_weights(engine, "best", Some(best.epoch), observer)?;
        }
        // What an earlier process left belongs to weights that are no more.
        let calibration = self.folder.calibration();
        match std::fs::remove_file(&calibration) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(RunError::write(&calibration)(e));
            }
            _ => {}
        }
        let model = Model::open(self.folder.path())?;
        if let Some(calibration) = &model.calibration {
            calibration.write(&self.folder.calibration(), &model.weights)?;
        }
        Ok(model)
    }

    fn write_weights(
        &self,
        engine: &mut dyn Engine,
        name: &'static str,
        best_epoch: Option<usize>,
        observer: &mut dyn Observer,
    ) -> Result<(), RunError> {
        let (settings, footage) = (&self.request.settings, self.footage);
        let (videos, split) = (&footage.videos, &footage.split);
        let _ = msn_train::finish(settings, videos, split, engine, &mut Statistics(observer))?;
        observer.notice(&Notice::Calibrating(name));
        let mut meta = self.meta();
        if let Some(epoch) = best_epoch {
            let text = format!("epoch {epoch}, best by validation loss");
            meta.origin.insert("weights".into(), text);
        }
        let path = self.folder.weights(name);
        let model = Model {
            weights: Weights {
                meta,
                tensors: engine.tensors(),
            },
            calibration: None,
            path: path.clone(),
            run: None,
        };
        let predictor = self.devices.predictor(&model).map_err(RunError::Device)?;
        let calibration = model
            .scorer(predictor.as_ref())
            .calibrate(videos, &split.calibration)?;
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(RunError::write(parent))?;
        }
        model.weights.write(&path)?;
        Ok(calibration.write(&Calibration::beside(&path), &model.weights)?)
    }

    /// What the weights say of themselves.
    fn meta(&self) -> Meta {
        let (settings, data) = (&self.request.settings, &self.card.data);
        let origin = [
            ("data", data.name.clone()),
            ("data_hash", data.hash.clone()),
            ("preset", settings.preset.to_string()),
            ("seed", settings.train.seed.to_string()),
            ("epochs", settings.train.epochs.to_string()),
            ("msn", env!("CARGO_PKG_VERSION").to_owned()),
            ("burn", BURN.to_owned()),
        ];
        Meta {
            format: WEIGHTS_FORMAT.into(),
            config: settings.net.clone(),
            input: Input {
                rate_hz: self.footage.options.rate_hz.unwrap_or(0.0),
                stretch: match self.footage.options.stretch {
                    Some(stretch) => StretchSetting::Range {
                        low: stretch.low(),
                        high: stretch.high(),
                    },
                    None => StretchSetting::None,
                },
                ..settings.input
            },
            calibration: None,
            origin: origin.map(|(k, v)| (k.to_owned(), v)).into(),
        }
    }
}

fn card(
    request: &TrainRequest<'_>,
    devices: &dyn Devices,
    footage: &TrainingFootage,
    hash: &str,
) -> RunCard {
    let (data, videos) = (request.data, &footage.videos);
    let path = data.root.canonicalize_utf8();
    RunCard {
        format: RUN_FORMAT.into(),
        command: request.command.clone(),
        seed: request.settings.train.seed,
        device: devices.name(),
        kernels: devices.kernels(),
        resumed_at: Vec::new(),
        data: RunData {
            name: data.name.clone(),
            path: path.unwrap_or_else(|_| data.root.clone()),
            hash: hash.to_owned(),
            training_videos: videos.len(),
            training_frames: videos.iter().map(msn_data::LoadedVideo::frames).sum(),
            calibration_split: footage.calibration_split(),
        },
        versions: versions(),
        seconds: None,
    }
}
