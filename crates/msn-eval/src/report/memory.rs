//! What the memory has learned, as a section of the report and as a page of its own.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use maud::{Markup, html};

use super::{PAGE_STYLE, axis::number, page, tables::facts};
use crate::{ItemCard, MemoryCard, PoolCard, memory::png};

/// Goes into the page's head.
pub(super) const STYLE: &str = include_str!("memory.css");

/// Items of which cosines are shown as numbers; those of more are a picture.
const AS_NUMBERS: usize = 12;

/// What a memory has learned as one HTML page that needs nothing else; `command` made it.
pub fn memory_page(card: &MemoryCard, command: &str) -> String {
    let title = format!("What the memory has learned of {}", card.data);
    let body = html! {
        h1 { (title) }
        (section(card, usize::MAX))
        h2 { "Command" }
        pre { code { (command) } }
    };
    page(&title, &[PAGE_STYLE, STYLE], &body)
}

/// Every pool with its items, the `most` used ones of each.
pub(super) fn section(card: &MemoryCard, most: usize) -> Markup {
    html! {
        p {
            "A pool holds items: prototypes of the features of normal footage. " b { "Usage" } " is the share of the "
            "places of normal frames that an item is the nearest of. The pictures are the places whose features are "
            "most like it, most similar first: the newest past frame around the place, all that the feature can depend "
            "on; no two are of the same place. " b { "Nearest" } " is the most similar other item of the pool and "
            "their cosine: 1 would be the same item twice."
        }
        p class="from" {
            "Surveyed with " (number(card.surveyed)) " of the " (number(card.clips)) " training clips of " (card.data)
            @if card.surveyed < card.clips { ", spread evenly" } "."
        }
        @for pool in &card.pools { (shown(pool, most)) }
    }
}

fn shown(pool: &PoolCard, most: usize) -> Markup {
    let mut order: Vec<usize> = (0..pool.items.len()).collect();
    if order.len() > most {
        order.sort_by(|&a, &b| pool.items[b].usage.total_cmp(&pool.items[a].usage));
        order.truncate(most);
        order.sort_unstable();
    }
    let largest = pool.items.iter().map(|i| i.usage).fold(0.0, f64::max);
    let [rows, columns] = pool.positions;
    let mut rows = vec![
        (
            "places of a frame",
            format!(
                "{rows} × {columns}, each seeing {0} × {0} pixels",
                pool.receptive_field
            ),
        ),
        (
            "items",
            format!(
                "{} of {} features, {} of them never nearest",
                number(pool.items.len()),
                pool.features,
                number(pool.unused())
            ),
        ),
        (
            "evenness of usage",
            format!("{:.3} (entropy; 1 is even)", pool.usage_entropy),
        ),
        (
            "largest cosine of two items",
            format!("{:.4}", pool.largest_cosine()),
        ),
    ];
    if pool.zero_queries > 0.0 {
        rows.push((
            "places without a feature",
            format!(
                "{} (all zeros; they count for item 0)",
                share(pool.zero_queries)
            ),
        ));
    }
    html! {
        h3 class="pool" { "Pool " (pool.pool) }
        (facts(rows))
        div class="items" {
            @for item in order { (one(item, &pool.items[item], largest)) }
        }
        @if pool.items.len() > most {
            p class="note" { "The " (number(most)) " most used of " (number(pool.items.len())) " items." }
        }
        details {
            summary { "Cosines of the items of pool " (pool.pool) }
            (cosines(pool))
        }
    }
}

fn one(number: usize, item: &ItemCard, largest: f64) -> Markup {
    let bar = if largest > 0.0 {
        100.0 * item.usage / largest
    } else {
        0.0
    };
    html! {
        figure class="item" {
            figcaption {
                b { (number) } " " (share(item.usage))
                @if let Some((other, cosine)) = item.nearest_other(number) {
                    span class="near" { "nearest: " (other) ", " (format!("{cosine:.4}")) }
                }
                div class="bar" { div style={ "width:" (format!("{bar:.1}")) "%" } {} }
            }
            @if !item.picture.is_empty() {
                img class="strip" style={ "max-width:" (72 * item.patches.len()) "px" }
                    src={ "data:image/png;base64," (BASE64_STANDARD.encode(&item.picture)) }
                    alt={ "Places most like item " (number) } title=(places(item));
            }
        }
    }
}

fn share(of: f64) -> String {
    format!("{:.2}\u{a0}%", 100.0 * of)
}

/// Where the pictures are from, in words.
fn places(item: &ItemCard) -> String {
    let place = |p: &crate::Patch| {
        format!(
            "{} frame {}, row {}, column {}: {:.4}",
            p.video, p.frame, p.y, p.x, p.cosine
        )
    };
    item.patches
        .iter()
        .map(place)
        .collect::<Vec<_>>()
        .join("\n")
}

fn cosines(pool: &PoolCard) -> Markup {
    let count = pool.items.len();
    html! {
        @if count <= AS_NUMBERS {
            div class="scroll" {
                table class="cosines" {
                    thead { tr { th {} @for i in 0..count { th scope="col" { (i) } } } }
                    tbody {
                        @for (i, item) in pool.items.iter().enumerate() {
                            tr {
                                th scope="row" { (i) }
                                @for (j, cosine) in item.cosines.iter().enumerate() {
                                    td style={ "--c:" (format!("{:.2}", cosine.clamp(0.0, 1.0))) } {
                                        @if i == j { "1" } @else { (short(*cosine)) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        } @else if let Some(png) = picture(pool) {
            img class="matrix" src={ "data:image/png;base64," (BASE64_STANDARD.encode(png)) }
                alt={ "Cosines of the items of pool " (pool.pool) };
            p class="note" { "Rows and columns are the items in order. White: cosine 1; black: 0 or less." }
        }
    }
}

/// Three digits without the leading zero.
fn short(cosine: f64) -> String {
    format!("{cosine:.3}").replacen("0.", ".", 1)
}

fn picture(pool: &PoolCard) -> Option<Vec<u8>> {
    let count = pool.items.len();
    let grey = |cosine: &f64| (cosine.clamp(0.0, 1.0) * 255.0).round() as u8;
    let pixels: Vec<u8> = pool
        .items
        .iter()
        .flat_map(|item| item.cosines.iter().map(grey))
        .collect();
    png(&pixels, count, count, 1).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MEMORY_FORMAT, Patch};

    fn card(items: usize) -> MemoryCard {
        let item = |i: usize| ItemCard {
            usage: if i == 1 { 0.75 } else { 0.01 },
            cosines: (0..items)
                .map(|j| if i == j { 1.0 } else { 0.25 })
                .collect(),
            patches: vec![Patch {
                video: "a <b>".into(),
                frame: 7,
                y: 12,
                x: 20,
                cosine: 0.875,
            }],
            picture: b"\x89PNG".to_vec(),
        };
        MemoryCard {
            format: MEMORY_FORMAT.into(),
            data: "plaza & <co>".into(),
            weights: String::new(),
            surveyed: 300,
            clips: 1234,
            pools: vec![PoolCard {
                pool: 2,
                features: 64,
                positions: [32, 32],
                receptive_field: 32,
                usage_entropy: 0.5,
                zero_queries: 0.0,
                items: (0..items).map(item).collect(),
            }],
        }
    }

    #[test]
    fn a_page_shows_every_item_and_needs_nothing_else() {
        let page = memory_page(&card(10), "msn memory show 'a & b'");
        assert_eq!(page.matches("class=\"item\"").count(), 10);
        assert_eq!(page.matches("data:image/png;base64,iVBORw==").count(), 10);
        for part in [
            "75.00\u{a0}%",
            "nearest: 0, 0.2500",
            "300 of the 1,234 training clips",
            "plaza &amp; &lt;co&gt;",
            "a &lt;b&gt; frame 7, row 12, column 20: 0.8750",
            ">.250<",
            "'a &amp; b'",
        ] {
            assert!(page.contains(part), "{part}");
        }
        assert!(!page.contains("<script") && !page.contains("http") && !page.contains("url("));
    }

    #[test]
    fn a_report_shows_the_most_used_of_many_items() {
        let text = section(&card(40), 5).into_string();
        assert_eq!(text.matches("class=\"item\"").count(), 5);
        assert!(text.contains("The 5 most used of 40 items") && text.contains("75.00"));
        // Cosines of that many are a picture.
        assert!(text.contains("class=\"matrix\"") && !text.contains("class=\"cosines\""));
    }
}
