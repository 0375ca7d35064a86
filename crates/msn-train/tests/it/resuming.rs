//! Checkpoints: files of the version before, and damaged ones.

use camino::Utf8PathBuf;
use msn_model::TensorFile;
use msn_train::{Best, Checkpoint, CheckpointError, CpuEngine, Engine, Progress};
use serde_json::Value;

use crate::engines::{batches, settings, videos};

fn checkpoint() -> Checkpoint {
    let settings = settings(&[]);
    let burn = msn_train::BurnEngine::<burn::backend::Autodiff<burn::backend::Flex>>::new(
        &settings,
        &Default::default(),
    )
    .unwrap();
    let mut engine =
        CpuEngine::new(&settings, &burn.tensors(), msn_model::Algorithm::Direct).unwrap();
    let clips = batches(&settings, &videos())[0].clone();
    engine.step(clips, 1e-3).unwrap();
    Checkpoint {
        progress: Progress {
            steps: 1,
            elapsed: std::time::Duration::from_secs_f64(0.25),
            planned: Some(7),
            best: Some(Best {
                epoch: 3,
                validation_loss: 0.125,
                tensors: engine.tensors(),
            }),
            average: Some(engine.tensors()),
        },
        state: engine.state(),
        settings,
        data_hash: "abc".into(),
    }
}

fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::from_path_buf(dir.path().to_owned()).unwrap();
    (dir, path)
}

/// Writes a checkpoint's file anew with other metadata.
fn rewrite(path: &Utf8PathBuf, change: impl Fn(&mut Value)) {
    let file = TensorFile::read(path).unwrap();
    let mut meta: Value = serde_json::from_str(&file.metadata["msn"]).unwrap();
    change(&mut meta);
    TensorFile::write(path, &file.tensors, &meta).unwrap();
}

#[test]
fn a_checkpoint_survives_its_file_and_that_of_the_version_before_is_read() {
    let (_guard, dir) = folder();
    let checkpoint = checkpoint();
    let path = checkpoint.write(&dir).unwrap();
    assert_eq!(Checkpoint::read(&path).unwrap(), checkpoint);
    rewrite(&path, |meta| {
        assert_eq!(meta["format"], "msn-checkpoint-3");
        meta["format"] = "msn-checkpoint-2".into();
        let best = meta["best"].as_object_mut().unwrap();
        let loss = best.remove("validation_loss").unwrap();
        best.insert("held_out".into(), loss);
    });
    assert_eq!(Checkpoint::read(&path).unwrap(), checkpoint);
}

#[test]
fn what_is_wrong_with_a_checkpoint_is_told_with_its_file() {
    let (_guard, dir) = folder();
    let checkpoint = checkpoint();
    let read = |change: &dyn Fn(&mut Value)| {
        let path = checkpoint.write(&dir).unwrap();
        rewrite(&path, change);
        let error = Checkpoint::read(&path).unwrap_err();
        assert!(error.to_string().contains(path.as_str()), "{error}");
        error
    };
    assert!(matches!(
        read(&|meta| meta["format"] = "msn-checkpoint-9".into()),
        CheckpointError::Format { found, .. } if found.contains("msn-checkpoint-9")
    ));
    assert!(matches!(
        read(&|meta| meta["hash"] = "0".into()),
        CheckpointError::Damaged { .. }
    ));
    assert!(matches!(
        read(&|meta| meta["steps"] = "many".into()),
        CheckpointError::Metadata { .. }
    ));
}
