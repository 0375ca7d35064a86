//! Fast CPU kernels for channels-last convolutional networks
