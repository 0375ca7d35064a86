//! Properties of a stream and its frames that decide how they are shown, or are ignored and noted.

use ffmpeg_next::frame;

use crate::Info;
use crate::orientation::Orientation;

/// The orientation of a display matrix.
pub(crate) fn turn(matrix: &[u8], info: &mut Info) -> Orientation {
    Orientation::from_display_matrix(matrix).unwrap_or_else(|| {
        info.note("a rotation that is no multiple of 90 degrees is ignored");
        Orientation::default()
    })
}

/// Notes what of a frame is not carried over to its picture.
pub(crate) fn note_properties(frame: &frame::Video, info: &mut Info) {
    if frame.is_interlaced() {
        info.note("interlaced: both fields are taken as one picture");
    }
    let aspect = frame.aspect_ratio();
    if aspect.numerator() > 0 && aspect.numerator() != aspect.denominator() {
        info.note(format!(
            "sample aspect ratio {}:{} is ignored: pixels are taken as stored",
            aspect.numerator(),
            aspect.denominator()
        ));
    }
    let name = crate::pixel_layout::name(frame.format());
    let alpha = ["yuva", "rgba", "bgra", "argb", "abgr", "gbrap", "ya"];
    if alpha.iter().any(|prefix| name.starts_with(prefix)) {
        info.note("transparency is ignored");
    }
}
