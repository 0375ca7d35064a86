//! Scoring of data sets with MSN-net, evaluation protocols and reports
