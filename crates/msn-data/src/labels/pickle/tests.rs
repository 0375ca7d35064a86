use super::*;
use proptest::prelude::*;

/// What `numpy.save` (2.x, protocol 4) writes for an array of the arrays [0, 1, 1] (u1) and
/// [1, 0] (i8), after the header.
const SAVED: &[u8] = b"\x80\x04\x95\x1f\x01\x00\x00\x00\x00\x00\x00\
    \x8c\x16numpy._core.multiarray\x94\x8c\x0c_reconstruct\x94\x93\x94\x8c\x05numpy\x94\
    \x8c\x07ndarray\x94\x93\x94K\x00\x85\x94C\x01b\x94\x87\x94R\x94(K\x01K\x02\x85\x94h\x03\
    \x8c\x05dtype\x94\x93\x94\x8c\x02O8\x94\x89\x88\x87\x94R\x94(K\x03\x8c\x01|\x94NNN\
    J\xff\xff\xff\xffJ\xff\xff\xff\xffK?t\x94b\x89]\x94(h\x02h\x05K\x00\x85\x94h\x07\x87\x94\
    R\x94(K\x01K\x03\x85\x94h\x0c\x8c\x02u1\x94\x89\x88\x87\x94R\x94(K\x03h\x10NNN\
    J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t\x94b\x89C\x03\x00\x01\x01\x94t\x94bh\x02h\x05\
    K\x00\x85\x94h\x07\x87\x94R\x94(K\x01K\x02\x85\x94h\x0c\x8c\x02i8\x94\x89\x88\x87\x94R\x94\
    (K\x03\x8c\x01<\x94NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t\x94b\x89C\x10\
    \x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x94t\x94bet\x94b.";

#[test]
fn saved_arrays_are_read() {
    let arrays = arrays(SAVED).unwrap();
    assert_eq!(arrays.len(), 2);
    assert_eq!(arrays[0].values, [false, true, true]);
    assert_eq!(arrays[1].values, [true, false]);
    assert!(arrays.iter().all(|a| a.binary && a.is_flat()));
}

#[test]
fn nothing_is_called() {
    let error = arrays(&b"cos\nsystem\n(X\x02\x00\x00\x00lstR."[..])
        .unwrap_err()
        .to_string();
    assert!(error.contains("a call of `system`"), "{error}");
}

#[test]
fn lists_of_numbers_are_read() {
    let arrays = arrays(&b"\x80\x02](](K\x00K\x01e](K\x01ee."[..]).unwrap();
    assert_eq!(arrays[0].values, [false, true]);
    assert_eq!(arrays[1].values, [true]);
}

proptest! {
    #[test]
    fn random_bytes_are_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        let _ = arrays(&bytes[..]);
    }

    #[test]
    fn mutated_files_are_no_panic(
        changes in proptest::collection::vec((0..SAVED.len(), any::<u8>()), 1..4),
    ) {
        let mut bytes = SAVED.to_vec();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        let _ = arrays(&bytes[..]);
    }
}
