//! MSN-net: encoder, memory pools at three scales and decoder, its losses, score maps and weights files
