#![allow(missing_docs, clippy::print_stdout)]
use msn_video::*;
fn main() {
    for p in std::env::args().skip(1) {
        let t = std::time::Instant::now();
        match open(
            camino::Utf8Path::new(&p),
            &Options {
                size: Some(Size::new(128, 128)),
                color: if std::env::var("RGB").is_ok() {
                    Color::Rgb
                } else {
                    Color::Grey
                },
                threads: 0,
            },
        ) {
            Err(e) => println!("{p}: ERR {e}"),
            Ok(mut r) => {
                let (mut n, mut l, mut first, mut last, mut m) = (0, 0, None, None, 0u64);
                for i in r.by_ref() {
                    match i {
                        Ok(Item::Frame(f)) => {
                            n += 1;
                            first = first.or(f.seconds);
                            last = f.seconds;
                            m += f.picture.pixels.iter().map(|&v| u64::from(v)).sum::<u64>()
                                / (f.picture.pixels.len() as u64);
                        }
                        Ok(Item::Lost(x)) => {
                            l += 1;
                            if l < 4 {
                                println!("   lost {} {}", x.index, x.reason)
                            }
                        }
                        Err(e) => println!("{e}"),
                    }
                }
                println!(
                    "{p}: {n} frames {l} lost, {first:?}..{last:?} mean {} in {:?}\n   {:?}\n   {:?}",
                    m / n.max(1),
                    t.elapsed(),
                    r.info(),
                    r.losses()
                );
            }
        }
    }
}
