//! `msn verify`: golden cases.

use anyhow::Result;
use burn::tensor::backend::AutodiffBackend;
use msn_model::{Kernels, Method, Precision, TensorFile};
use msn_train::{Row, Verdict, verify as compare};
use serde_json::json;

use crate::{
    Failed,
    args::{DeviceArgs, VerifyArgs},
    command_line::print_json,
    device::{Job, on},
};

pub(crate) fn verify(args: &VerifyArgs) -> Result<()> {
    struct Verify<'a>(&'a TensorFile, Option<Method>);
    impl Job for Verify<'_> {
        type Output = Vec<Row>;

        fn run<B: AutodiffBackend>(self, device: &B::Device) -> Result<Vec<Row>> {
            Ok(compare::<B>(self.0, device, self.1)?)
        }
    }
    let file = TensorFile::read(&args.file)?;
    // Burn's own operations, unless the kernels are asked for by name.
    let kernels = args.device.kernels.unwrap_or(Kernels::Plain);
    let chosen = DeviceArgs {
        kernels: Some(kernels),
        ..args.device.clone()
    };
    let rows = on(chosen.device, Verify(&file, chosen.method(Precision::F32)?))?;
    let on = match kernels {
        Kernels::Plain => chosen.device.to_string(),
        kernels => format!("the {kernels} kernels"),
    };
    let failed = rows.iter().filter(|r| !r.passes()).count();
    if args.json {
        let all = json!({
            "format": "msn-verify-1", "file": args.file, "device": chosen.device.to_string(), "kernels": kernels, "pass": failed == 0, "tensors": rows,
        });
        print_json(&all)?;
    } else {
        let widest = rows
            .iter()
            .map(|r| r.tensor.len())
            .max()
            .unwrap_or(0)
            .max(6);
        println!(
            "{:<widest$}  {:>10}  {:>10}  verdict",
            "tensor", "absolute", "relative"
        );
        for r in &rows {
            let verdict = match r.verdict {
                Verdict::Ok => "ok",
                Verdict::Rounding => "ok in f64; f32 rounding takes it out of tolerance",
                Verdict::Out => "OUT OF TOLERANCE",
            };
            println!(
                "{:<widest$}  {:>10.2e}  {:>10.2e}  {verdict}",
                r.tensor, r.absolute, r.relative
            );
        }
        println!(
            "{} of {} tensors agree on {on}",
            rows.len() - failed,
            rows.len(),
        );
    }
    if failed > 0 {
        Err(Failed.into())
    } else {
        Ok(())
    }
}
