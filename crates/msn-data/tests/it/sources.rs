//! Files, folders, globs and lists as sources.

use msn_data::sources;

use crate::tiny::Tiny;

fn tiny() -> Tiny {
    let tiny = Tiny::new("videos");
    tiny.write("a/2.mp4", "")
        .write("a/10.mp4", "")
        .write("b/2.mp4", "")
        .write("a/notes.txt", "")
        .frames("b/clip", 0, 2, "png");
    tiny
}

fn names(tiny: &Tiny, arguments: &[&str]) -> Result<Vec<String>, String> {
    let arguments: Vec<String> = arguments
        .iter()
        .map(|a| tiny.root.join(a).to_string())
        .collect();
    let videos = sources(&arguments).map_err(|e| e.to_string())?;
    Ok(videos.into_iter().map(|video| video.name).collect())
}

#[test]
fn files_folders_and_globs() {
    let tiny = tiny();
    assert_eq!(names(&tiny, &["a/10.mp4"]).unwrap(), ["10.mp4"]);
    assert_eq!(names(&tiny, &["b/clip"]).unwrap(), ["clip"]);
    assert_eq!(names(&tiny, &["a"]).unwrap(), ["2.mp4", "10.mp4"]);
    assert_eq!(names(&tiny, &["a/*.mp4"]).unwrap(), ["2.mp4", "10.mp4"]);
    assert_eq!(names(&tiny, &["**/c*"]).unwrap(), ["clip"]);
    assert_eq!(
        names(&tiny, &["."]).unwrap(),
        ["a/2.mp4", "10.mp4", "b/2.mp4", "clip"]
    );
    // A list in its order, each video once, names as long as they must be.
    assert_eq!(
        names(&tiny, &["b/2.mp4", "a", "a/2.mp4"]).unwrap(),
        ["b/2.mp4", "a/2.mp4", "10.mp4"]
    );
}

#[test]
fn what_fits_nothing_is_named() {
    let tiny = tiny();
    for (argument, part) in [
        ("c.mp4", "does not exist"),
        ("a/*.avi", "fits no file"),
        ("a/[", "is no pattern"),
    ] {
        let error = names(&tiny, &[argument]).unwrap_err();
        assert!(error.contains(part) && error.contains(argument), "{error}");
    }
    std::fs::create_dir(tiny.root.join("void")).unwrap();
    assert!(
        names(&tiny, &["void"])
            .unwrap_err()
            .contains("names no video")
    );
    assert!(sources(&[]).is_err());
}
