//! Training of MSN-net: loop, schedule, optimiser, logs
