//! Video files and frame folders as sized grey or RGB frames with times
