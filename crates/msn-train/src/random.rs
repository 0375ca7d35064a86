//! One seeded generator per purpose.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// What a generator is for; weights and items have their own in msn-model.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    /// Order of clips in an epoch.
    Order,
    /// Place of a clip's crop.
    Crop,
    /// Items started from queries.
    StartItems,
    /// Which frames batch-norm statistics are recomputed on.
    Statistics,
    /// Mirroring and brightness of a clip.
    Augment,
}

/// The generator of a purpose; `index` tells epochs and samples apart.
pub(crate) fn generator(seed: u64, purpose: Purpose, index: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    // Streams 0 and 1 are the network's; each purpose has 2^56 of the rest.
    rng.set_stream(((purpose as u64 + 1) << 56) | (index & ((1 << 56) - 1)));
    rng
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;

    #[test]
    fn generators_of_purposes_differ() {
        let draw = |p, i| generator(3, p, i).random::<u64>();
        assert_ne!(draw(Purpose::Order, 0), draw(Purpose::Crop, 0));
        assert_ne!(draw(Purpose::Order, 0), draw(Purpose::Order, 1));
        assert_eq!(draw(Purpose::Order, 1), draw(Purpose::Order, 1));
    }
}
