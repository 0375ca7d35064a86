use super::*;
use proptest::prelude::*;
use std::io::Write;

/// A writer of small MAT files, in either byte order.
struct Writer {
    big_endian: bool,
}

impl Writer {
    fn word(&self, value: usize) -> [u8; 4] {
        let value = u32::try_from(value).unwrap();
        if self.big_endian {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    }

    fn element(&self, kind: usize, data: &[u8]) -> Vec<u8> {
        let mut bytes = [self.word(kind), self.word(data.len())].concat();
        bytes.extend_from_slice(data);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    }

    fn head(&self, class: usize, dims: &[usize], name: &str) -> Vec<u8> {
        let dims: Vec<u8> = dims.iter().flat_map(|&n| self.word(n)).collect();
        let flags = [self.word(class), self.word(0)].concat();
        [
            self.element(6, &flags),
            self.element(5, &dims),
            self.element(1, name.as_bytes()),
        ]
        .concat()
    }

    /// A matrix of class double, stored as u16.
    fn doubles(&self, name: &str, dims: &[usize], values: &[u16]) -> Vec<u8> {
        let data: Vec<u8> = values
            .iter()
            .flat_map(|v| {
                if self.big_endian {
                    v.to_be_bytes()
                } else {
                    v.to_le_bytes()
                }
            })
            .collect();
        let body = [self.head(6, dims, name), self.element(4, &data)].concat();
        self.element(14, &body)
    }

    fn cell(&self, name: &str, elements: &[Vec<u8>]) -> Vec<u8> {
        let body = [self.head(1, &[1, elements.len()], name), elements.concat()].concat();
        self.element(14, &body)
    }

    fn file(&self, elements: &[Vec<u8>]) -> Vec<u8> {
        let mut file = vec![b' '; 124];
        file[..6].copy_from_slice(b"MATLAB");
        file.extend_from_slice(if self.big_endian {
            b"\x01\x00MI"
        } else {
            b"\x00\x01IM"
        });
        file.extend(elements.concat());
        file
    }
}

fn compressed(element: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(element).unwrap();
    let data = writer.finish().unwrap();
    let size = u32::try_from(data.len()).unwrap();
    [&15u32.to_le_bytes()[..], &size.to_le_bytes(), &data].concat()
}

fn all(file: &[u8], name: &str) -> Result<Vec<Numbers>, MatError> {
    let mut found = Vec::new();
    visit_cell(file, name, &mut |index, numbers| {
        assert_eq!(index, found.len());
        found.push(numbers);
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

fn sample(big_endian: bool) -> (Vec<u8>, Vec<u8>) {
    let w = Writer { big_endian };
    let other = w.doubles("other", &[1, 3], &[7, 8, 9]);
    let elements = [
        w.doubles("", &[2, 1], &[61, 180]),
        w.element(14, &[]),
        w.doubles("", &[2, 2], &[1, 4, 9, 300]),
    ];
    (other, w.cell("gt", &elements))
}

fn check(found: &[Numbers]) {
    assert_eq!(found[0].values, [61.0, 180.0]);
    assert_eq!(found[1].dims, [0, 0]);
    assert_eq!(found[2].dims, [2, 2]);
    assert_eq!(found[2].values, [1.0, 4.0, 9.0, 300.0]);
}

#[test]
fn cells_are_read_in_both_byte_orders() {
    for big_endian in [false, true] {
        let (other, cell) = sample(big_endian);
        let file = Writer { big_endian }.file(&[other, cell]);
        check(&all(&file, "gt").unwrap());
    }
}

#[test]
fn compressed_cells_are_read() {
    let (other, cell) = sample(false);
    let file = Writer { big_endian: false }.file(&[compressed(&other), compressed(&cell)]);
    check(&all(&file, "gt").unwrap());
}

#[test]
fn a_visitor_may_stop() {
    let (_, cell) = sample(false);
    let file = Writer { big_endian: false }.file(&[cell]);
    let mut seen = 0;
    let count = visit_cell(&file[..], "gt", &mut |_, _| {
        seen += 1;
        ControlFlow::Break(())
    });
    assert_eq!((count.unwrap(), seen), (3, 1));
}

#[test]
fn what_is_there_instead_is_said() {
    let w = Writer { big_endian: false };
    let (other, cell) = sample(false);
    let error = all(&w.file(&[other, cell]), "volLabel")
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "it holds `other` (numbers), `gt` (cell); a cell `volLabel` was expected"
    );
    let text = w.element(14, &w.head(4, &[1, 1], ""));
    let error = all(&w.file(&[w.cell("gt", &[text])]), "gt")
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "element 1 of `gt`: text where real numbers were expected"
    );
    let mut hdf = w.file(&[]);
    hdf[..10].copy_from_slice(b"MATLAB 7.3");
    assert!(matches!(all(&hdf, "gt").unwrap_err(), MatError::Hdf5));
    assert!(MatError::Hdf5.to_string().contains("-v7"));
    assert!(matches!(all(b"MATLAB", "gt").unwrap_err(), MatError::Short));
}

proptest! {
    #[test]
    fn cut_files_are_no_panic(cut in 0usize..700, big_endian in any::<bool>()) {
        let (other, cell) = sample(big_endian);
        let mut file = Writer { big_endian }.file(&[other, cell]);
        if cut < file.len() {
            file.truncate(cut);
            prop_assert!(all(&file, "gt").is_err() || cut + 8 > file.len());
        }
    }

    #[test]
    fn mutated_files_are_no_panic(
        changes in proptest::collection::vec((0usize..600, any::<u8>()), 1..5),
        zipped in any::<bool>(),
    ) {
        let (other, cell) = sample(false);
        let elements = if zipped {
            [compressed(&other), compressed(&cell)]
        } else {
            [other, cell]
        };
        let mut file = Writer { big_endian: false }.file(&elements);
        for (at, byte) in changes {
            if let Some(place) = file.get_mut(at) {
                *place = byte;
            }
        }
        let _ = all(&file, "gt");
    }

    #[test]
    fn random_bytes_are_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let (_, cell) = sample(false);
        let _ = all(&bytes, "gt");
        let mut file = Writer { big_endian: false }.file(&[]);
        file.extend_from_slice(&bytes);
        file.extend(cell);
        let _ = all(&file, "gt");
    }
}
