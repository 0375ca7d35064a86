//! One process of a training in several.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    ops::Range,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use super::{
    BEAT, Member, PATIENCE, SILENCE, Said, Told, VERSION,
    lines::{Heard, Lines, say},
};
use crate::{Link, TrainError};

/// How long a node waits for the orchestrator's word where a connection to another node broke.
const WORD: Duration = Duration::from_secs(5);

/// What a node brings.
#[derive(Clone, Debug)]
pub struct Join {
    /// Nodes of the training, at least 2.
    pub nodes: usize,
    /// Where the orchestrator listens, `HOST:PORT`.
    pub orchestrator: String,
    /// Where the other nodes reach this one, `HOST:PORT`; it listens there.
    pub advertise: String,
    /// Devices of this node, at least 1.
    pub devices: usize,
    /// The settings, which all nodes must share.
    pub settings: String,
    /// Hash of the training frames, which all nodes must share.
    pub data_hash: String,
    /// Steps of the newest checkpoint at hand. The node with most becomes node 0; among equals the
    /// address decides.
    pub step: usize,
}

/// A training in several processes that can't begin.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The own address.
    #[error(
        "can't listen on {address} ({source}): give --advertise an address of this machine with a free port"
    )]
    Listen {
        /// Which one.
        address: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The orchestrator or node 0.
    #[error("can't reach {what} at {address} ({reason}): is it running, and is the address right?")]
    Reach {
        /// Who.
        what: &'static str,
        /// Where.
        address: String,
        /// Why not.
        reason: String,
    },
    /// The orchestrator sends it away.
    #[error("the orchestrator refuses this node: {0}")]
    Refused(String),
    /// It was all right, and no more.
    #[error("{0}")]
    Lost(String),
}

/// This process among the nodes of a training. Dropped without [`Node::finish`], it is lost to the
/// others.
#[derive(Debug)]
pub struct Node {
    number: usize,
    members: Vec<Member>,
    data: Mutex<Data>,
    shared: Arc<Shared>,
    control: TcpStream,
    beating: Mutex<Option<JoinHandle<()>>>,
}

/// Connections for sums.
#[derive(Debug)]
enum Data {
    /// Of node 0: to all others, in their order.
    Hub(Vec<TcpStream>),
    /// Of others: to node 0.
    Spoke(TcpStream),
}

#[derive(Debug, Default)]
struct Shared {
    failure: Mutex<Option<String>>,
    /// Closed with the first failure, so that nothing waits on them.
    sockets: Mutex<Vec<TcpStream>>,
    over: AtomicBool,
}

impl Shared {
    fn fail(&self, why: String) {
        lock(&self.failure).get_or_insert(why);
        for socket in lock(&self.sockets).iter() {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    fn failure(&self) -> Option<String> {
        lock(&self.failure).clone()
    }
}

impl Node {
    /// Waits until all nodes are there, however long that takes.
    ///
    /// # Errors
    /// [`NodeError`].
    pub fn join(join: &Join) -> Result<Self, NodeError> {
        let listen = |source| NodeError::Listen {
            address: join.advertise.clone(),
            source,
        };
        let listener = TcpListener::bind(&join.advertise).map_err(listen)?;
        let control = connect(&join.orchestrator, "the orchestrator")?;
        let broken = |reason: std::io::Error| NodeError::Reach {
            what: "the orchestrator",
            address: join.orchestrator.clone(),
            reason: reason.to_string(),
        };
        let hello = Said::Join {
            version: VERSION,
            nodes: join.nodes,
            advertise: join.advertise.clone(),
            devices: join.devices,
            settings: join.settings.clone(),
            data_hash: join.data_hash.clone(),
            step: join.step,
        };
        say(&control, &hello).map_err(broken)?;
        let shared = Arc::new(Shared::default());
        let (sender, go) = channel();
        let lines = Lines::new(control.try_clone().map_err(broken)?).map_err(broken)?;
        let writer = control.try_clone().map_err(broken)?;
        let address = join.orchestrator.clone();
        let beating = shared.clone();
        let beating = std::thread::spawn(move || beat(lines, &writer, &beating, &sender, &address));
        let begun = begin(&listener, &go, &shared);
        let (number, members, data) = match begun {
            Ok(begun) => begun,
            Err(error) => {
                shared.over.store(true, Ordering::Release);
                let _ = control.shutdown(Shutdown::Both);
                return Err(error);
            }
        };
        Ok(Self {
            number,
            members,
            data: Mutex::new(data),
            shared,
            control,
            beating: Mutex::new(Some(beating)),
        })
    }

    /// This node's number, from 0; node 0 writes.
    pub fn number(&self) -> usize {
        self.number
    }

    /// How many nodes there are.
    pub fn count(&self) -> usize {
        self.members.len()
    }

    /// Where node 0 is.
    pub fn first(&self) -> &str {
        &self.members[0].advertise
    }

    /// This node's part of a batch; `None` where it can't be split evenly over all devices.
    pub fn part(&self, batch: usize) -> Option<Range<usize>> {
        let devices = Link::devices(self);
        if !batch.is_multiple_of(devices) {
            return None;
        }
        let one = batch / devices;
        let start = self.before() * one;
        Some(start..start + self.members[self.number].devices * one)
    }

    /// What each node gives, node 0 first, exactly.
    ///
    /// # Errors
    /// [`TrainError::Engine`] names the node that is lost.
    pub fn exchange(&self, own: &[u64]) -> Result<Vec<Vec<u64>>, TrainError> {
        // Sixteen bits of each at a time: whole numbers that f32 holds.
        let mut slots = vec![0.0f32; own.len() * 4 * self.count()];
        let mine = &mut slots[own.len() * 4 * self.number..];
        for (i, part) in mine[..own.len() * 4].iter_mut().enumerate() {
            let bits = u16::try_from(own[i / 4] >> (16 * (i % 4)) & 0xffff).unwrap_or_default();
            *part = f32::from(bits);
        }
        self.sum(&mut slots).map_err(TrainError::Engine)?;
        let whole = |parts: &[f32]| {
            // Whole numbers below 2^16.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let one = |(i, v): (usize, &f32)| (*v as u64) << (16 * i);
            parts.iter().enumerate().map(one).sum()
        };
        let node = |all: &[f32]| all.chunks_exact(4).map(whole).collect();
        Ok(slots
            .chunks_exact((own.len() * 4).max(1))
            .map(node)
            .collect())
    }

    /// Gives bytes of node 0 to all; what the others give is not sent.
    ///
    /// # Errors
    /// [`TrainError::Engine`] names the node that is lost.
    pub fn broadcast(&self, own: &[u8]) -> Result<Vec<u8>, TrainError> {
        let lengths = self.exchange(&[u64::try_from(own.len()).unwrap_or(u64::MAX)])?;
        let length = usize::try_from(lengths[0][0]).unwrap_or(usize::MAX);
        let mut data = lock(&self.data);
        match &mut *data {
            Data::Hub(others) => {
                for (i, other) in others.iter_mut().enumerate() {
                    if other.write_all(own).is_err() {
                        return Err(TrainError::Engine(self.broken(i + 1)));
                    }
                }
                Ok(own.to_vec())
            }
            Data::Spoke(first) => {
                let mut bytes = vec![0; length];
                if first.read_exact(&mut bytes).is_err() {
                    return Err(TrainError::Engine(self.broken(0)));
                }
                Ok(bytes)
            }
        }
    }

    /// Says that the training ends here, as all nodes know.
    pub fn finish(&self) {
        self.shared.over.store(true, Ordering::Release);
        let _ = say(&self.control, &Said::Done);
        // A process that ends before it is heard would count as lost.
        if let Some(beating) = lock(&self.beating).take() {
            let _ = beating.join();
        }
    }

    /// Why a connection to a node broke: what the orchestrator says, else what is known here.
    fn broken(&self, node: usize) -> String {
        let began = Instant::now();
        loop {
            if let Some(why) = self.shared.failure() {
                return why;
            }
            if began.elapsed() > WORD {
                let why = lost(node, &self.members[node].advertise);
                self.shared.fail(why.clone());
                return why;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Release);
        let _ = self.control.shutdown(Shutdown::Both);
    }
}

impl Link for Node {
    fn before(&self) -> usize {
        self.members[..self.number].iter().map(|m| m.devices).sum()
    }

    fn devices(&self) -> usize {
        self.members.iter().map(|m| m.devices).sum()
    }

    fn sum(&self, values: &mut [f32]) -> Result<(), String> {
        if let Some(why) = self.shared.failure() {
            return Err(why);
        }
        let mut data = lock(&self.data);
        match &mut *data {
            Data::Hub(others) => {
                let mut part = vec![0.0; values.len()];
                for (i, other) in others.iter_mut().enumerate() {
                    receive(other, &mut part).map_err(|e| self.failed(i + 1, &e))?;
                    for (sum, v) in values.iter_mut().zip(&part) {
                        *sum += v;
                    }
                }
                for (i, other) in others.iter_mut().enumerate() {
                    send(other, values).map_err(|e| self.failed(i + 1, &e))?;
                }
            }
            Data::Spoke(first) => {
                send(first, values).map_err(|e| self.failed(0, &e))?;
                receive(first, values).map_err(|e| self.failed(0, &e))?;
            }
        }
        Ok(())
    }
}

impl Node {
    fn failed(&self, node: usize, error: &std::io::Error) -> String {
        if error.kind() != std::io::ErrorKind::InvalidData {
            return self.broken(node);
        }
        let why = format!(
            "node {node} ({}) is at another place of the training than this one: start all nodes anew with --resume",
            self.members[node].advertise
        );
        self.shared.fail(why.clone());
        why
    }
}

fn send(stream: &mut TcpStream, values: &[f32]) -> std::io::Result<()> {
    let mut bytes = Vec::with_capacity(4 * values.len() + 8);
    bytes.extend(
        u64::try_from(values.len())
            .unwrap_or(u64::MAX)
            .to_le_bytes(),
    );
    bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    stream.write_all(&bytes)
}

fn receive(stream: &mut TcpStream, values: &mut [f32]) -> std::io::Result<()> {
    let mut length = [0; 8];
    stream.read_exact(&mut length)?;
    if u64::from_le_bytes(length) != u64::try_from(values.len()).unwrap_or(u64::MAX) {
        return Err(std::io::ErrorKind::InvalidData.into());
    }
    let mut bytes = vec![0; 4 * values.len()];
    stream.read_exact(&mut bytes)?;
    for (v, bytes) in values.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *v = f32::from_le_bytes(*bytes);
    }
    Ok(())
}

/// The orchestrator's word to begin, and connections to the other nodes.
fn begin(
    listener: &TcpListener,
    go: &Receiver<Told>,
    shared: &Shared,
) -> Result<(usize, Vec<Member>, Data), NodeError> {
    let (session, number, members) = loop {
        match go.recv_timeout(BEAT) {
            Ok(Told::Go {
                session,
                node,
                members,
            }) => break (session, node, members),
            Ok(Told::Refused { why }) => return Err(NodeError::Refused(why)),
            Ok(Told::Lost { .. } | Told::Beat) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {}
        }
        if let Some(why) = shared.failure() {
            return Err(NodeError::Lost(why));
        }
    };
    let lost = |e: std::io::Error| {
        NodeError::Lost(shared.failure().unwrap_or_else(|| {
            format!("the nodes can't connect to each other ({e}): are their addresses right?")
        }))
    };
    let data = if number == 0 {
        Data::Hub(accept(listener, session, members.len(), shared).map_err(lost)?)
    } else {
        let mut first = connect(&members[0].advertise, "node 0")?;
        for word in [session, u64::try_from(number).unwrap_or(u64::MAX)] {
            first.write_all(&word.to_le_bytes()).map_err(lost)?;
        }
        Data::Spoke(first)
    };
    let streams = match &data {
        Data::Hub(others) => others.iter().map(TcpStream::try_clone).collect(),
        Data::Spoke(first) => first.try_clone().map(|s| vec![s]),
    };
    *lock(&shared.sockets) = streams.map_err(lost)?;
    if let Some(why) = shared.failure() {
        return Err(NodeError::Lost(why));
    }
    Ok((number, members, data))
}

/// Connections of all other nodes, in their order.
fn accept(
    listener: &TcpListener,
    session: u64,
    nodes: usize,
    shared: &Shared,
) -> std::io::Result<Vec<TcpStream>> {
    let began = Instant::now();
    listener.set_nonblocking(true)?;
    let mut others: Vec<Option<TcpStream>> = (1..nodes).map(|_| None).collect();
    while others.iter().any(Option::is_none) {
        let mut stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {
                if began.elapsed() > PATIENCE || shared.failure().is_some() {
                    return Err(std::io::ErrorKind::TimedOut.into());
                }
                std::thread::sleep(Duration::from_millis(10));
                continue;
            }
            Err(e) => return Err(e),
        };
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(BEAT))?;
        let mut words = [[0; 8]; 2];
        let [of, node] = &mut words;
        // Whoever says something else is nobody of ours.
        if stream.read_exact(of).is_err() || stream.read_exact(node).is_err() {
            continue;
        }
        let [of, node] = words.map(u64::from_le_bytes);
        stream.set_read_timeout(None)?;
        let place = usize::try_from(node).unwrap_or(usize::MAX).wrapping_sub(1);
        if let (true, Some(slot)) = (of == session, others.get_mut(place)) {
            *slot = Some(stream);
        }
    }
    Ok(others.into_iter().flatten().collect())
}

/// Says every second that this node is there, and listens to the orchestrator.
fn beat(mut lines: Lines, writer: &TcpStream, shared: &Shared, go: &Sender<Told>, address: &str) {
    let mut beaten = Instant::now();
    let mut over: Option<Instant> = None;
    loop {
        if shared.over.load(Ordering::Acquire)
            && over.get_or_insert_with(Instant::now).elapsed() > WORD
        {
            return;
        }
        match lines.next::<Told>() {
            Heard::Message(Told::Lost { node, advertise }) => {
                return shared.fail(lost(node, &advertise));
            }
            Heard::Message(Told::Beat) | Heard::Silence => {}
            Heard::Message(told) => {
                let refused = matches!(told, Told::Refused { .. });
                let _ = go.send(told);
                if refused {
                    return;
                }
            }
            Heard::End => {
                if !shared.over.load(Ordering::Acquire) {
                    shared.fail(format!(
                        "the orchestrator ({address}) is lost: start it again, then the nodes with --resume"
                    ));
                }
                return;
            }
        }
        if lines.heard.elapsed() > SILENCE {
            return shared.fail(format!(
                "the orchestrator ({address}) has been silent for {} seconds: start it again, then the nodes with --resume",
                SILENCE.as_secs()
            ));
        }
        if beaten.elapsed() >= BEAT {
            beaten = Instant::now();
            // Whether it is lost, reading tells.
            let _ = say(writer, &Said::Beat);
        }
    }
}

fn lost(node: usize, address: &str) -> String {
    format!("node {node} ({address}) is lost: start all nodes again with --resume")
}

/// Connects, trying again for a while.
fn connect(address: &str, what: &'static str) -> Result<TcpStream, NodeError> {
    let began = Instant::now();
    loop {
        match TcpStream::connect(address).and_then(|s| s.set_nodelay(true).map(|()| s)) {
            Ok(stream) => return Ok(stream),
            Err(e)
                if began.elapsed() > PATIENCE || e.kind() == std::io::ErrorKind::InvalidInput =>
            {
                return Err(NodeError::Reach {
                    what,
                    address: address.to_owned(),
                    reason: e.to_string(),
                });
            }
            Err(_) => std::thread::sleep(Duration::from_millis(200)),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
