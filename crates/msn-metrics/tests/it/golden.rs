use std::path::{Path, PathBuf};

use msn_metrics::fixture;

const TOLERANCE: f64 = 1e-9;

fn compare(path: &Path) {
    let case = fixture::read(path).unwrap();
    let ours = case.fixture.figures().unwrap();
    assert!(
        !case.expect.is_empty(),
        "{}: nothing to compare",
        path.display()
    );
    for (name, golden) in &case.expect {
        let mine = ours
            .get(name)
            .unwrap_or_else(|| panic!("{}: no {name}", path.display()));
        match (golden.as_f64(), mine.as_f64()) {
            (Some(a), Some(b)) => {
                assert!(
                    (a - b).abs() <= TOLERANCE,
                    "{}: {name} {b}, not {a}",
                    path.display()
                );
            }
            _ => assert_eq!(golden, mine, "{}: {name}", path.display()),
        }
    }
}

fn compare_folder(folder: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return false;
    };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "json"));
    paths.sort();
    paths.iter().for_each(|path| compare(path));
    !paths.is_empty()
}

#[test]
fn golden_cases_agree() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures/metrics");
    if !compare_folder(&folder) {
        eprintln!("skipped: no golden cases in {}", folder.display());
    }
}

#[test]
fn own_cases_agree() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    assert!(compare_folder(&folder), "no cases in {}", folder.display());
}
