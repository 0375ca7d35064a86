//! Training in several processes: what the command line asks for, `msn orchestrate`, and how all
//! begin with what node 0 has.

use std::net::TcpListener;

use anyhow::{Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};
use msn_train::{
    Checkpoint, Engine, Join, Node, Orchestrator, Progress, Settings, orchestrate as serve,
};

use crate::{
    Usage,
    args::{NodesArgs, OrchestrateArgs},
};

const TRUST: &str = "nodes talk to each other without encryption and take anybody's word: give --trust-network where you trust every machine that can reach these addresses";

impl NodesArgs {
    /// Where the orchestrator and this node are; `None` on one node.
    ///
    /// # Errors
    /// [`Usage`] for options that do not go together.
    pub fn addresses(&self) -> Result<Option<(&str, &str)>, Usage> {
        let given = self.orchestrator.is_some() || self.advertise.is_some() || self.trust_network;
        if self.nodes.get() == 1 {
            return match given {
                true => Err(Usage(
                    "--orchestrator, --advertise and --trust-network are for several nodes: give --nodes N".into(),
                )),
                false => Ok(None),
            };
        }
        let (Some(orchestrator), Some(advertise)) = (&self.orchestrator, &self.advertise) else {
            return Err(Usage(
                "several nodes need --orchestrator HOST:PORT, where `msn orchestrate` listens, and --advertise HOST:PORT, where the others reach this one".into(),
            ));
        };
        for (option, address) in [("--orchestrator", orchestrator), ("--advertise", advertise)] {
            let port = address.rsplit_once(':').and_then(|(host, port)| {
                let port: u16 = port.parse().ok()?;
                (!host.is_empty() && port > 0).then_some(port)
            });
            if port.is_none() {
                return Err(Usage(format!(
                    "{option} {address} is no address: give HOST:PORT, such as 10.0.0.5:7701"
                )));
            }
        }
        if !self.trust_network {
            return Err(Usage(TRUST.into()));
        }
        Ok(Some((orchestrator, advertise)))
    }

    /// Waits for the other nodes; `None` on one node.
    pub fn join(
        &self,
        settings: &Settings,
        data_hash: &str,
        devices: usize,
        step: usize,
    ) -> Result<Option<Node>> {
        let Some((orchestrator, advertise)) = self.addresses()? else {
            return Ok(None);
        };
        eprintln!("waiting for {} nodes at {orchestrator}", self.nodes);
        let node = Node::join(&Join {
            nodes: self.nodes.get(),
            orchestrator: orchestrator.to_owned(),
            advertise: advertise.to_owned(),
            devices,
            settings: settings.to_toml(),
            data_hash: data_hash.to_owned(),
            step,
        })?;
        eprintln!(
            "this is node {} of {}; node 0 ({}) writes the run folder",
            node.number(),
            node.count(),
            node.first()
        );
        Ok(Some(node))
    }
}

/// What node 0 tells the others to begin with.
pub(crate) enum Start<'a> {
    /// The first step.
    Fresh,
    /// This checkpoint.
    Checkpoint(&'a Utf8Path),
    /// Nothing: the run is finished.
    Finished,
}

/// Tells the other nodes what to begin with.
pub(crate) fn tell(node: &Node, start: &Start<'_>) -> Result<()> {
    let mut bytes = Vec::new();
    match start {
        Start::Fresh => bytes.push(0),
        Start::Checkpoint(path) => {
            bytes.push(1);
            let file = std::fs::read(path).map_err(|e| anyhow!("can't read {path}: {e}"))?;
            bytes.extend(file);
        }
        Start::Finished => bytes.push(2),
    }
    node.broadcast(&bytes)?;
    Ok(())
}

/// Begins with what node 0 has; `None` where its run is finished.
pub(crate) fn follow(node: &Node, engine: &mut dyn Engine) -> Result<Option<Progress>> {
    let bytes = node.broadcast(&[])?;
    match bytes.split_first() {
        Some((0, _)) => Ok(Some(Progress::default())),
        Some((1, file)) => {
            let path = Utf8PathBuf::from_path_buf(std::env::temp_dir())
                .map_err(|path| anyhow!("{} is no UTF-8", path.display()))?
                .join(format!("msn-node-{}.safetensors", std::process::id()));
            std::fs::write(&path, file).map_err(|e| anyhow!("can't write {path}: {e}"))?;
            let read = Checkpoint::read(&path);
            let _ = std::fs::remove_file(&path);
            let checkpoint = read?;
            engine.restore(checkpoint.state)?;
            eprintln!("going on after step {}", checkpoint.progress.steps);
            Ok(Some(checkpoint.progress))
        }
        Some((2, _)) => Ok(None),
        _ => Err(anyhow!(
            "node 0 is of another version of msn: give all nodes the same"
        )),
    }
}

/// `msn orchestrate`.
pub(crate) fn orchestrate(args: &OrchestrateArgs) -> Result<()> {
    if !args.trust_network {
        return Err(Usage(TRUST.into()).into());
    }
    let listen = &args.listen;
    let listener = TcpListener::bind(listen)
        .map_err(|e| anyhow!("can't listen on {listen} ({e}): give --listen HOST:PORT of this machine, with a free port"))?;
    println!("listening on {}", listener.local_addr()?);
    let tell = |told: Orchestrator| match told {
        Orchestrator::Waiting { node, here, nodes } => {
            eprintln!("{node} is here: {here} of {nodes} nodes");
        }
        Orchestrator::Refused { node, why } => eprintln!("{node} is refused: {why}"),
        Orchestrator::Begun(nodes) => {
            eprintln!("all are here: {} (node 0 first)", nodes.join(", "));
        }
        Orchestrator::Lost(node) => eprintln!("{node} is lost, and the training with it"),
        Orchestrator::Ended => eprintln!("the training is done"),
    };
    Ok(serve(&listener, &tell)?)
}
