//! `msn doctor`: what this machine and this build have.

use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::Result;
use burn::tensor::{Tensor, backend::AutodiffBackend};
use bytesize::ByteSize;
use serde::Serialize;
use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};

use crate::{
    args::DoctorArgs,
    command_line::print_versioned,
    device::{Device, Job, on},
    text::columns,
};

#[derive(Debug, Serialize)]
struct Findings {
    /// Versions of what computes.
    versions: std::collections::BTreeMap<String, String>,
    system: String,
    processor: String,
    threads: usize,
    /// Instruction sets that the kernels know and this processor has, the chosen one first.
    instruction_sets: Vec<String>,
    /// Whether the chosen one computes in bf16.
    bf16: bool,
    memory_bytes: u64,
    memory_free_bytes: u64,
    /// FFmpeg's version, where it is built in.
    ffmpeg: Option<String>,
    /// Name and version of the MPI library, where it is built in.
    mpi: Option<String>,
    devices: Vec<Found>,
    cache: Option<String>,
}

#[derive(Debug, Serialize)]
struct Found {
    device: String,
    /// The cargo feature that brings it.
    feature: &'static str,
    compiled_in: bool,
    /// Whether it added two numbers.
    works: bool,
    /// Why not.
    reason: Option<String>,
}

pub(crate) fn doctor(args: &DoctorArgs) -> Result<()> {
    let found = examine(args);
    if args.json {
        print_versioned("msn-doctor-1", &found)?;
    } else {
        print!("{}", text(&found));
    }
    Ok(())
}

fn examine(args: &DoctorArgs) -> Findings {
    let refresh = RefreshKind::nothing()
        .with_cpu(CpuRefreshKind::nothing())
        .with_memory(MemoryRefreshKind::nothing().with_ram());
    let system = System::new_with_specifics(refresh);
    let best = msn_kernels::Isa::detect();
    let mut sets = vec![best.name().to_owned()];
    sets.extend(
        msn_kernels::Isa::available()
            .into_iter()
            .filter(|isa| isa.name() != best.name())
            .map(|isa| isa.name().to_owned()),
    );
    let name = |name: Option<String>| name.unwrap_or_else(|| "unknown".to_owned());
    Findings {
        versions: msn_run::versions(),
        system: format!(
            "{} ({})",
            name(System::long_os_version()),
            std::env::consts::ARCH
        ),
        processor: system
            .cpus()
            .first()
            .map_or("unknown", |cpu| cpu.brand())
            .to_owned(),
        threads: rayon::current_num_threads(),
        instruction_sets: sets,
        bf16: best.has_bf16(),
        memory_bytes: system.total_memory(),
        memory_free_bytes: system.available_memory(),
        ffmpeg: msn_video::ffmpeg_version(),
        mpi: mpi_library(),
        devices: Device::ALL.into_iter().map(try_out).collect(),
        cache: args.store.store().cache().map(|path| path.to_string()),
    }
}

#[cfg(feature = "mpi")]
fn mpi_library() -> Option<String> {
    Some(msn_train::Mpi::library())
}

#[cfg(not(feature = "mpi"))]
fn mpi_library() -> Option<String> {
    None
}

/// Adds two numbers on a device.
struct Sum;

impl Job for Sum {
    type Output = f32;

    fn run<B: AutodiffBackend>(self, device: &B::Device) -> Result<f32> {
        let two = Tensor::<B, 1>::from_floats([1.0, 2.0], device).sum();
        Ok(two.into_data().iter::<f32>().sum())
    }
}

fn try_out(device: Device) -> Found {
    let mut found = Found {
        device: device.to_string(),
        feature: device.feature(),
        compiled_in: device.compiled_in(),
        works: false,
        reason: None,
    };
    if !found.compiled_in {
        found.reason = Some(format!("build with `--features {}`", found.feature));
        return found;
    }
    // A driver that is not there is a panic in some backends: no bug of this program's.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let sum = catch_unwind(AssertUnwindSafe(|| on(device, Sum)));
    std::panic::set_hook(hook);
    match sum {
        Ok(Ok(3.0)) => found.works = true,
        Ok(Ok(sum)) => found.reason = Some(format!("1 + 2 is {sum} there")),
        Ok(Err(error)) => found.reason = Some(error.to_string()),
        Err(panic) => {
            let message = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied());
            let first = message.and_then(|text| text.lines().next());
            found.reason = Some(first.unwrap_or("it can't be started").to_owned());
        }
    }
    found
}

fn text(found: &Findings) -> String {
    let bytes = |n: u64| ByteSize::b(n).to_string();
    let version = |key: &str| found.versions.get(key).map_or("unknown", String::as_str);
    let mut rows = vec![
        vec![
            "msn".to_owned(),
            format!("{}, Burn {}", version("msn"), version("burn")),
        ],
        vec!["system".to_owned(), found.system.clone()],
        vec![
            "processor".to_owned(),
            format!("{}, {} threads in use", found.processor, found.threads),
        ],
        vec![
            "kernels".to_owned(),
            format!(
                "{} (of {}){}",
                found.instruction_sets[0],
                found.instruction_sets.join(", "),
                if found.bf16 { ", bf16" } else { "" }
            ),
        ],
        vec![
            "memory".to_owned(),
            format!(
                "{}, {} free",
                bytes(found.memory_bytes),
                bytes(found.memory_free_bytes)
            ),
        ],
        vec![
            "ffmpeg".to_owned(),
            found.ffmpeg.clone().unwrap_or_else(|| {
                "not built in: frame folders only; build with `--features ffmpeg`".to_owned()
            }),
        ],
        vec![
            "mpi".to_owned(),
            found.mpi.clone().unwrap_or_else(|| {
                "not built in: training in one process only; build with `--features mpi`".to_owned()
            }),
        ],
        vec![
            "cache".to_owned(),
            found.cache.clone().unwrap_or_else(|| "none".to_owned()),
        ],
    ];
    for device in &found.devices {
        let state = match (&device.reason, device.compiled_in) {
            (None, _) => "works".to_owned(),
            (Some(reason), true) => format!("does not work: {reason}"),
            (Some(reason), false) => format!("not compiled in: {reason}"),
        };
        rows.push(vec![format!("--device {}", device.device), state]);
    }
    columns(&rows)
}
