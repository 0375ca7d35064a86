//! Data sets for video anomaly detection: layouts, labels, clips, hold-out, a synthetic scene
