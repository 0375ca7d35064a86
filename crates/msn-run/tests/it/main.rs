//! Pipelines as a program calls them.
#![allow(missing_docs)]

use std::cell::Cell;

use burn::backend::{Autodiff, Flex};
use camino::{Utf8Path, Utf8PathBuf};
use msn_data::{DataSet, FrameStore, OpenOptions};
use msn_run::{
    BurnDevice, EvaluateRequest, Model, Notice, Observer, Quiet, RunError, RunLocation,
    ScoreRequest, TestSet, TrainOutcome, TrainRequest, evaluate, score, score_to_file, train,
};
use msn_synth::{ClipFormat, Size, SynthOptions};
use msn_train::{Preset, Settings, StepReport};

type Device = BurnDevice<Autodiff<Flex>>;

fn device() -> Device {
    Device::new("flex", Default::default())
}

/// A folder with a short scene as folders of frames.
fn scene() -> (tempfile::TempDir, Utf8PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::from_path_buf(dir.path().canonicalize().unwrap()).unwrap();
    let options = SynthOptions {
        train_clips: 4,
        test_clips: 2,
        seconds: 10.0,
        size: Size::new(64, 48),
        output: ClipFormat::Frames,
        ..SynthOptions::default()
    };
    msn_synth::write(&path.join("scene"), &options, &mut |_, _| ()).unwrap();
    (dir, path)
}

fn open(dir: &Utf8Path) -> DataSet {
    DataSet::open(&dir.join("scene"), &OpenOptions::default()).unwrap()
}

fn settings() -> Settings {
    let mut settings = Settings::preset(Preset::Tiny);
    for setting in ["size=32", "width=2", "crop=0", "epochs=1", "batch=32"] {
        settings.set(setting).unwrap();
    }
    settings
}

fn at(dir: &Utf8Path, name: &str) -> RunLocation {
    RunLocation::At(dir.join(name))
}

/// Deletes the test videos' frames when the first step begins.
struct Deletes(Utf8PathBuf);

impl Observer for Deletes {
    fn training_begins(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

#[test]
fn test_videos_are_decoded_once() {
    for cached in [false, true] {
        let (_guard, dir) = scene();
        let data = open(&dir);
        let mut request = TrainRequest::new(settings(), &data, at(&dir, "run"));
        if cached {
            request.store = FrameStore::new(0, Some(dir.join("cache")));
        }
        // What was read to check the labels is what is scored: there is nothing else any more.
        let mut deletes = Deletes(dir.join("scene/test"));
        let outcome = train(&request, &device(), &mut deletes).unwrap();
        let TrainOutcome::Finished { folder, evaluation } = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(evaluation.unwrap().data.videos, 2);
        assert!(folder.path().join("report.html").exists());
    }
}

/// Asks to stop after some steps.
#[derive(Default)]
struct Stops {
    after: usize,
    done: usize,
    resumed: Option<usize>,
}

impl Observer for Stops {
    fn step(&mut self, report: &StepReport) {
        self.done = report.step;
    }

    fn notice(&mut self, notice: &Notice) {
        if let Notice::Resumed(step) = notice {
            self.resumed = Some(*step);
        }
    }

    fn stop_requested(&self) -> bool {
        self.done >= self.after
    }
}

#[test]
fn a_stopped_training_is_saved_and_goes_on_bit_for_bit() {
    let (_guard, dir) = scene();
    let data = open(&dir);
    let weights = |name: &str| std::fs::read(dir.join(name).join("weights/last.safetensors"));
    let whole = TrainRequest::new(settings(), &data, at(&dir, "whole"));
    train(&whole, &device(), &mut Quiet).unwrap();

    let mut cut = TrainRequest::new(settings(), &data, at(&dir, "cut"));
    let mut stops = Stops {
        after: 2,
        ..Stops::default()
    };
    let outcome = train(&cut, &device(), &mut stops).unwrap();
    assert!(
        matches!(outcome, TrainOutcome::Interrupted(_)),
        "{outcome:?}"
    );
    assert!(weights("cut").is_err());
    let error = train(&cut, &device(), &mut Quiet).unwrap_err();
    assert!(matches!(error, RunError::NotEmpty { .. }), "{error}");

    cut.resume = true;
    let mut goes_on = Stops {
        after: usize::MAX,
        ..Stops::default()
    };
    train(&cut, &device(), &mut goes_on).unwrap();
    assert_eq!(goes_on.resumed, Some(stops.done));
    assert!(weights("cut").unwrap() == weights("whole").unwrap());
    let again = train(&cut, &device(), &mut Quiet).unwrap();
    assert!(
        matches!(again, TrainOutcome::AlreadyFinished(_)),
        "{again:?}"
    );

    // A run folder of the format before is resumed, listed and evaluated like any other.
    let path = dir.join("cut/run.json");
    let now = std::fs::read_to_string(&path).unwrap();
    let old = now
        .replace("msn-run-2", "msn-run-1")
        .replace("calibration_split", "held_out");
    assert_ne!(now, old);
    std::fs::write(&path, old).unwrap();
    let again = train(&cut, &device(), &mut Quiet).unwrap();
    assert!(
        matches!(again, TrainOutcome::AlreadyFinished(_)),
        "{again:?}"
    );
    let model = Model::open(&dir.join("cut")).unwrap();
    let run = model.run.as_ref().unwrap();
    assert!(run.summary().unwrap().finished);
    assert_eq!(run.card().unwrap().data.calibration_split.len(), 1);
}

/// A process that was killed between the weights and the last calibration leaves one of other
/// weights.
#[test]
fn a_resumed_training_calibrates_anew_whatever_was_left() {
    let (_guard, dir) = scene();
    let data = open(&dir);
    let whole = TrainRequest::new(settings(), &data, at(&dir, "whole"));
    train(&whole, &device(), &mut Quiet).unwrap();
    let calibration = |name: &str| std::fs::read(dir.join(name).join("calibration.json"));
    let expected = calibration("whole").unwrap();
    let foreign = String::from_utf8(expected.clone()).unwrap();
    let foreign = foreign.replace("\"weights\": \"", "\"weights\": \"0");
    assert_ne!(foreign.as_bytes(), expected);
    for (name, left) in [("foreign", foreign.as_str()), ("damaged", "{")] {
        let mut cut = TrainRequest::new(settings(), &data, at(&dir, name));
        let mut stops = Stops {
            after: 2,
            ..Stops::default()
        };
        train(&cut, &device(), &mut stops).unwrap();
        std::fs::write(dir.join(name).join("calibration.json"), left).unwrap();
        cut.resume = true;
        train(&cut, &device(), &mut Quiet).unwrap();
        assert!(calibration(name).unwrap() == expected, "{name}");
    }
}

#[test]
fn other_footage_is_scored_as_the_test_set_is() {
    let (_guard, dir) = scene();
    let data = open(&dir);
    let request = TrainRequest::new(settings(), &data, at(&dir, "run"));
    train(&request, &device(), &mut Quiet).unwrap();
    let model = Model::open(&dir.join("run")).unwrap();
    let names = [dir.join("scene/test/01").to_string()];
    let mut request = ScoreRequest {
        model: &model,
        sources: &msn_data::sources(&names).unwrap(),
        folder_hz: data.folder_hz,
        temporary: &dir,
        collect: false,
    };
    let mut table = Vec::new();
    let summary = score(&request, &mut table, &device(), &mut Quiet).unwrap();
    assert_eq!((summary.scored, summary.failed), (1, 0));
    let file = std::fs::read(dir.join("run/scores/01.csv")).unwrap();
    assert!(table == file);

    let out = dir.join("deep/table.csv");
    score_to_file(&request, &out, &device(), &mut Quiet).unwrap();
    assert!(std::fs::read(&out).unwrap() == file);

    // One that can't be scored is heard of, and costs the others nothing.
    #[derive(Default)]
    struct Failures(Cell<usize>);
    impl Observer for Failures {
        fn source_failed(&mut self, error: &RunError) {
            assert!(error.to_string().contains("short"), "{error}");
            self.0.set(self.0.get() + 1);
        }
    }
    std::fs::create_dir(dir.join("short")).unwrap();
    for frame in ["000.jpg", "001.jpg"] {
        let from = dir.join("scene/test/01").read_dir_utf8().unwrap().next();
        std::fs::copy(from.unwrap().unwrap().path(), dir.join("short").join(frame)).unwrap();
    }
    let names = [dir.join("short").to_string(), names[0].clone()];
    let sources = msn_data::sources(&names).unwrap();
    request.sources = &sources;
    let mut failures = Failures::default();
    let mut again = Vec::new();
    let summary = score(&request, &mut again, &device(), &mut failures).unwrap();
    assert_eq!((summary.scored, summary.failed), (1, 1));
    assert_eq!(failures.0.get(), 1);
    assert!(again == table);
}

#[test]
fn an_evaluation_stops_between_videos() {
    let (_guard, dir) = scene();
    let data = open(&dir);
    let request = TrainRequest::new(settings(), &data, at(&dir, "run"));
    train(&request, &device(), &mut Quiet).unwrap();
    let model = Model::open(&dir.join("run")).unwrap();
    let load = model.load_options(data.folder_hz);
    let test = TestSet::load(&data, &load, &FrameStore::default(), &mut Quiet).unwrap();
    let request = EvaluateRequest::new(&model, &test);
    let error = evaluate(&request, &device(), &mut Stops::default()).unwrap_err();
    assert!(matches!(error, RunError::Interrupted), "{error}");
    let evaluation = evaluate(&request, &device(), &mut Quiet).unwrap();
    assert!(evaluation.unwrap().fair.is_some());
}
