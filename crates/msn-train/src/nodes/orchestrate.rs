//! Who brings nodes together and tells all where one is lost.

use std::{
    net::{TcpListener, TcpStream},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use super::{
    BEAT, Member, SILENCE, Said, Told, VERSION,
    lines::{Heard, Lines, say},
};

/// What an orchestrator tells of its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Orchestrator {
    /// A node waits for others.
    Waiting {
        /// Where it is.
        node: String,
        /// How many are there now.
        here: usize,
        /// How many will be.
        nodes: usize,
    },
    /// A node was sent away, and why.
    Refused {
        /// Where it is.
        node: String,
        /// A sentence.
        why: String,
    },
    /// All nodes are there, node 0 first.
    Begun(Vec<String>),
    /// A node is lost, and the training with it.
    Lost(String),
    /// A training has ended as it should.
    Ended,
}

/// A node that is here.
struct Present {
    /// Of its connection.
    id: u64,
    member: Member,
    step: usize,
    stream: TcpStream,
    done: bool,
}

#[derive(Default)]
struct State {
    connections: u64,
    /// What all nodes must have in common: their number, settings, data.
    terms: Option<(usize, String, String)>,
    here: Vec<Present>,
    /// Whether all are here.
    begun: bool,
}

/// Serves one training after the other, until the process ends.
///
/// # Errors
/// Those of the listener.
pub fn orchestrate(
    listener: &TcpListener,
    tell: &(dyn Fn(Orchestrator) + Sync),
) -> std::io::Result<()> {
    let state = Mutex::new(State::default());
    std::thread::scope(|scope| {
        for stream in listener.incoming() {
            let (stream, state) = (stream?, &state);
            scope.spawn(move || serve(stream, state, tell));
        }
        Ok(())
    })
}

/// One connection, from its first word to its end.
fn serve(stream: TcpStream, state: &Mutex<State>, tell: &(dyn Fn(Orchestrator) + Sync)) {
    let (Ok(_), Ok(writer)) = (stream.set_nodelay(true), stream.try_clone()) else {
        return;
    };
    // A node that takes nothing any more must not hold up the others.
    let _ = writer.set_write_timeout(Some(SILENCE));
    let Ok(mut lines) = Lines::new(stream) else {
        return;
    };
    let began = Instant::now();
    let join = loop {
        match lines.next::<Said>() {
            Heard::Message(join @ Said::Join { .. }) => break join,
            Heard::Silence if began.elapsed() < SILENCE => {}
            _ => return,
        }
    };
    let Some(id) = admit(&writer, join, state, tell) else {
        return;
    };
    let mut beaten = Instant::now();
    loop {
        match lines.next::<Said>() {
            Heard::Message(Said::Done) => {
                leave(id, true, state, tell);
                let _ = writer.shutdown(std::net::Shutdown::Both);
                return;
            }
            Heard::Message(Said::Beat) | Heard::Silence => {}
            Heard::Message(Said::Join { .. }) | Heard::End => {
                break leave(id, false, state, tell);
            }
        }
        if lines.heard.elapsed() > SILENCE {
            break leave(id, false, state, tell);
        }
        if beaten.elapsed() >= BEAT {
            beaten = Instant::now();
            // Whether it is lost, reading tells.
            let _ = say(&writer, &Told::Beat);
        }
    }
}

/// Takes a node in, and begins where it is the last; its connection's number.
fn admit(
    writer: &TcpStream,
    join: Said,
    state: &Mutex<State>,
    tell: &(dyn Fn(Orchestrator) + Sync),
) -> Option<u64> {
    let Said::Join {
        version,
        nodes,
        advertise,
        devices,
        settings,
        data_hash,
        step,
    } = join
    else {
        return None;
    };
    let mut state = lock(state);
    let terms = (nodes, settings, data_hash);
    let refused = match &state.terms {
        _ if version != VERSION => {
            Some("it is another version of msn than the orchestrator".to_owned())
        }
        _ if state.begun => Some("another training is under way: wait for its end".to_owned()),
        Some(common) => disagreement(common, &terms).or_else(|| {
            let taken = state.here.iter().any(|p| p.member.advertise == advertise);
            taken.then(|| format!("another node advertises {advertise}: give each its own address"))
        }),
        None => None,
    };
    if let Some(why) = refused {
        let _ = say(writer, &Told::Refused { why: why.clone() });
        tell(Orchestrator::Refused {
            node: advertise,
            why,
        });
        return None;
    }
    let stream = writer.try_clone().ok()?;
    state.connections += 1;
    let id = state.connections;
    state.terms = Some(terms);
    state.here.push(Present {
        id,
        member: Member {
            advertise: advertise.clone(),
            devices,
        },
        step,
        stream,
        done: false,
    });
    if state.here.len() < nodes {
        tell(Orchestrator::Waiting {
            node: advertise,
            here: state.here.len(),
            nodes,
        });
        return Some(id);
    }
    // Who is furthest has what to go on from, and writes.
    state
        .here
        .sort_by(|a, b| (b.step, &a.member.advertise).cmp(&(a.step, &b.member.advertise)));
    state.begun = true;
    let members: Vec<Member> = state.here.iter().map(|p| p.member.clone()).collect();
    tell(Orchestrator::Begun(
        members.iter().map(|m| m.advertise.clone()).collect(),
    ));
    for (node, present) in state.here.iter().enumerate() {
        let go = Told::Go {
            session: id,
            node,
            members: members.clone(),
        };
        let _ = say(&present.stream, &go);
    }
    Some(id)
}

/// Why nodes with these terms can't train together.
fn disagreement(
    common: &(usize, String, String),
    terms: &(usize, String, String),
) -> Option<String> {
    if common.0 != terms.0 {
        return Some(format!(
            "it was told of {} nodes, the others of {}: give all the same --nodes",
            terms.0, common.0
        ));
    }
    let lines = common.1.lines().zip(terms.1.lines());
    if let Some((theirs, own)) = lines.into_iter().find(|(a, b)| a != b) {
        return Some(format!(
            "it has `{own}`, the others `{theirs}`: give all the same settings"
        ));
    }
    (common.1 != terms.1 || common.2 != terms.2).then(|| {
        "its training frames are not those of the others: give all the same data".to_owned()
    })
}

/// A node goes, done or lost.
fn leave(id: u64, done: bool, state: &Mutex<State>, tell: &(dyn Fn(Orchestrator) + Sync)) {
    let mut state = lock(state);
    let Some(node) = state.here.iter().position(|p| p.id == id) else {
        return;
    };
    if !state.begun {
        state.here.remove(node);
    } else if done {
        state.here[node].done = true;
        if state.here.iter().all(|p| p.done) {
            tell(Orchestrator::Ended);
            *state = State {
                connections: state.connections,
                ..State::default()
            };
        }
        return;
    } else {
        let advertise = state.here[node].member.advertise.clone();
        tell(Orchestrator::Lost(advertise.clone()));
        for present in &state.here {
            let lost = Told::Lost {
                node,
                advertise: advertise.clone(),
            };
            let _ = say(&present.stream, &lost);
        }
        state.here.clear();
    }
    if state.here.is_empty() {
        *state = State {
            connections: state.connections,
            ..State::default()
        };
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
