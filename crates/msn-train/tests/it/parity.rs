use burn::backend::{Autodiff, Flex, NdArray};
use burn::tensor::backend::AutodiffBackend;
use camino::Utf8PathBuf;
use msn_model::{Algorithm, Isa, Method, TensorFile};
use msn_train::Verdict;

fn cases() -> Vec<Utf8PathBuf> {
    let folder = Utf8PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/fixtures/parity"
    ));
    let Ok(entries) = folder.read_dir_utf8() else {
        eprintln!("skipped: no golden cases in {folder}");
        return Vec::new();
    };
    let files = entries.map(|e| e.unwrap().into_path());
    let mut all: Vec<_> = files
        .filter(|p| p.extension() == Some("safetensors"))
        .collect();
    all.sort();
    all
}

fn agree<B: AutodiffBackend>(device: &B::Device, method: Option<Method>) {
    let mut failed = Vec::new();
    for path in cases() {
        let file = TensorFile::read(&path).unwrap();
        let rows = msn_train::verify::<B>(&file, device, method).unwrap();
        assert!(rows.len() > 10);
        for row in rows.iter().filter(|r| r.verdict != Verdict::Ok) {
            failed.push(format!("{}: {row:?}", path.file_name().unwrap()));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn golden_cases_agree_on_flex() {
    agree::<Autodiff<Flex>>(&Default::default(), None);
}

#[test]
fn golden_cases_agree_on_ndarray() {
    agree::<Autodiff<NdArray>>(&Default::default(), None);
}

#[test]
fn golden_cases_agree_on_the_kernels() {
    for isa in Isa::available() {
        for algorithm in [Algorithm::Direct, Algorithm::Fastest] {
            let method = Method {
                isa,
                ..Method::new(algorithm)
            };
            agree::<Autodiff<Flex>>(&Default::default(), Some(method));
        }
    }
}
