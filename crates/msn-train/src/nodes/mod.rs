//! Training in several processes, on one machine or on several.
//!
//! An orchestrator ([`orchestrate`]) brings nodes together, numbers them, and tells all where one is
//! lost: each side says every second that it is there. What the nodes compute goes between them:
//! node 0 adds what all others send, in their order, and sends the sum back ([`Node`]).
//!
//! Nothing here knows who it talks to, and nothing is encrypted: it is for networks whose every
//! machine is trusted.
//!
//! burn-collective has sums between processes too; they are not used, since in 0.21.0 the second one
//! never returns: the list of nodes that have arrived is cleared on a copy.

mod lines;
mod node;
mod orchestrate;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use node::{Join, Node, NodeError};
pub use orchestrate::{Orchestrator, orchestrate};

/// Of what both sides say.
const VERSION: u32 = 1;
/// Between two signs of life.
const BEAT: Duration = Duration::from_secs(1);
/// Silence after which the other side is lost.
const SILENCE: Duration = Duration::from_secs(20);
/// How long a connection may take to come about.
const PATIENCE: Duration = Duration::from_secs(30);

/// From a node to the orchestrator.
#[derive(Debug, Serialize, Deserialize)]
enum Said {
    Join {
        version: u32,
        nodes: usize,
        advertise: String,
        devices: usize,
        settings: String,
        data_hash: String,
        step: usize,
    },
    Beat,
    /// The training is over for this node, as agreed with the others.
    Done,
}

/// From the orchestrator to a node.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Told {
    /// All are here.
    Go {
        session: u64,
        node: usize,
        members: Vec<Member>,
    },
    Refused {
        why: String,
    },
    Lost {
        node: usize,
        advertise: String,
    },
    Beat,
}

/// One node of a training.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Member {
    advertise: String,
    devices: usize,
}
