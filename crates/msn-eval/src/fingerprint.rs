//! Which network a file was made with.

use msn_model::Tensors;

/// Blake3 over names and values of tensors: the first 16 hexadecimal digits.
pub fn fingerprint(tensors: &Tensors) -> String {
    let mut hasher = blake3::Hasher::new();
    for (name, tensor) in tensors {
        hasher.update(name.as_bytes());
        for value in &tensor.values {
            hasher.update(&value.to_le_bytes());
        }
    }
    let mut text = hasher.finalize().to_hex().to_string();
    text.truncate(16);
    text
}
