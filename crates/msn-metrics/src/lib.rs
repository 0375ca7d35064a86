//! Metrics of video anomaly detection: AUC, AP, EER, RBDC, TBDC, bootstrap over videos. Plain f64
