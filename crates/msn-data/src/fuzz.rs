//! Doors to the parsers for `cargo fuzz`; no part of the interface.
#![allow(missing_docs)]

use std::ops::ControlFlow;

use crate::labels::{arrays, events, mat, matlab, npy, tracks};
use crate::text::decode;
use crate::{Sheet, SplitManifest};

pub fn npy(bytes: &[u8]) {
    let _ = npy::read(bytes);
}

pub fn npz(bytes: &[u8]) {
    let _ = arrays::npz(bytes);
}

pub fn mat(bytes: &[u8]) {
    let _ = matlab::gt(bytes);
    let _ = mat::visit_cell(bytes, "volLabel", &mut |_, _| ControlFlow::Continue(()));
}

pub fn script(bytes: &[u8]) {
    let _ = matlab::script(&String::from_utf8_lossy(bytes));
}

pub fn tracks(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let _ = tracks::named_boxes(&text, &|stem| stem.parse().ok());
    let _ = tracks::object_spans(&text);
    if let Ok(boxes) = tracks::cornered_boxes(&text) {
        let _ = tracks::spans(&boxes);
    }
}

pub fn events(bytes: &[u8]) {
    if let Ok(text) = decode(bytes) {
        let _ = events::read(&text);
    }
}

pub fn sheet(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let _ = Sheet::parse(&text, "dataset.toml".as_ref());
    let _ = SplitManifest::parse(&text, "split.toml".as_ref());
}
