//! Arrays of numbers, as other programs write their scores.

use std::io::Write as _;

use camino::Utf8PathBuf;
use msn_data::read_number_arrays;
use npyz::WriterBuilder as _;

fn npy<T: npyz::AutoSerialize + Copy>(shape: &[u64], values: &[T]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = npyz::WriteOptions::new()
        .default_dtype()
        .shape(shape)
        .writer(&mut bytes)
        .begin_nd()
        .unwrap();
    writer.extend(values.iter().copied()).unwrap();
    writer.finish().unwrap();
    bytes
}

fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
    (folder, path)
}

#[test]
fn numbers_of_every_type_keep_their_value() {
    let (_guard, folder) = folder();
    let file = folder.join("scores.npy");
    let wanted = [0.0, -1.0, 2.0];
    for bytes in [
        npy(&[3], &[0.0f64, -1.0, 2.0]),
        npy(&[1, 3], &[0.0f32, -1.0, 2.0]),
        npy(&[3], &[0i8, -1, 2]),
        npy(&[3, 1], &[0i64, -1, 2]),
    ] {
        std::fs::write(&file, bytes).unwrap();
        let arrays = read_number_arrays(&file).unwrap();
        assert_eq!(arrays.len(), 1);
        assert!(arrays[0].is_flat() && arrays[0].name.is_none());
        assert_eq!(arrays[0].values, wanted);
    }
    std::fs::write(&file, npy(&[2], &[f64::NAN, 200.5])).unwrap();
    let values = &read_number_arrays(&file).unwrap()[0].values;
    assert!(values[0].is_nan() && values[1] == 200.5);
    std::fs::write(&file, "frame,score").unwrap();
    let error = read_number_arrays(&file).unwrap_err().to_string();
    assert!(
        error.contains("scores.npy") && error.contains(".npy"),
        "{error}"
    );
}

#[test]
fn an_archive_gives_its_arrays_by_name() {
    let (_guard, folder) = folder();
    let file = folder.join("scores.npz");
    let mut zip = zip::ZipWriter::new(std::fs::File::create(&file).unwrap());
    for (name, values) in [("01", [0.5, 0.25]), ("02", [1.0, 2.0])] {
        let options = zip::write::SimpleFileOptions::default();
        zip.start_file(format!("{name}.npy"), options).unwrap();
        zip.write_all(&npy(&[2], &values)).unwrap();
    }
    zip.finish().unwrap();
    let arrays = read_number_arrays(&file).unwrap();
    let names: Vec<_> = arrays.iter().map(|a| a.name.as_deref().unwrap()).collect();
    assert_eq!(names, ["01", "02"]);
    assert_eq!(arrays[1].values, [1.0, 2.0]);
}

/// A variable of a MAT file: doubles, column after column.
fn variable(name: &str, dims: [u32; 2], values: &[f64]) -> Vec<u8> {
    let element = |kind: u32, data: &[u8]| {
        let mut bytes = kind.to_le_bytes().to_vec();
        bytes.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    };
    let mut matrix = element(6, &[6, 0, 0, 0, 0, 0, 0, 0]);
    let dims: Vec<u8> = dims.iter().flat_map(|d| d.to_le_bytes()).collect();
    matrix.extend(element(5, &dims));
    matrix.extend(element(1, name.as_bytes()));
    let data: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    matrix.extend(element(9, &data));
    element(14, &matrix)
}

#[test]
fn variables_of_matlab_are_read_row_by_row() {
    let (_guard, folder) = folder();
    let file = folder.join("scores.mat");
    let mut bytes = format!("{:<124}", "MATLAB 5.0 MAT-file").into_bytes();
    bytes.extend([0, 1, b'I', b'M']);
    bytes.extend(variable("scores", [1, 3], &[0.5, 0.25, 0.125]));
    bytes.extend(variable("table", [2, 3], &[1.0, 4.0, 2.0, 5.0, 3.0, 6.0]));
    std::fs::write(&file, bytes).unwrap();
    let arrays = read_number_arrays(&file).unwrap();
    assert_eq!(arrays[0].name.as_deref(), Some("scores"));
    assert_eq!(arrays[0].values, [0.5, 0.25, 0.125]);
    assert_eq!(arrays[1].shape, [2, 3]);
    assert_eq!(arrays[1].values, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
}
