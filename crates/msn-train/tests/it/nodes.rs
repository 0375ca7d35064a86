//! Nodes of one training, here threads that talk over loopback.

use std::{
    net::TcpListener,
    sync::{Arc, Mutex},
};

use burn::backend::{Autodiff, Flex};
use msn_data::calibration_split;
use msn_model::{Algorithm, Tensors};
use msn_train::{
    BurnEngine, CpuEngine, Engine, Event, Join, Link, Member, Node, NodeError, Orchestrator, Place,
    Progress, Settings, orchestrate, train, train_at,
};

use crate::engines::{distance, settings, videos};

/// Address of an orchestrator that serves until the tests end, and what it tells.
fn orchestrator() -> (String, Arc<Mutex<Vec<Orchestrator>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let told = Arc::new(Mutex::new(Vec::new()));
    let into = told.clone();
    std::thread::spawn(move || {
        let tell = |what| into.lock().unwrap().push(what);
        orchestrate(&listener, &tell)
    });
    (address, told)
}

fn free() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

fn join(orchestrator: &str, nodes: usize, step: usize) -> Join {
    Join {
        nodes,
        orchestrator: orchestrator.to_owned(),
        advertise: free(),
        devices: 1,
        settings: "seed = 0".to_owned(),
        data_hash: "abc".to_owned(),
        step,
    }
}

/// Runs `work` as each of some nodes; what it gives, by number.
fn on_nodes<T: Send>(nodes: usize, work: impl Fn(Node) -> T + Sync) -> Vec<T> {
    let (address, told) = orchestrator();
    let mut all: Vec<(usize, T)> = std::thread::scope(|scope| {
        let start = |_| {
            let join = join(&address, nodes, 0);
            let work = &work;
            scope.spawn(move || {
                let node = Node::join(&join).unwrap();
                (node.number(), work(node))
            })
        };
        let running: Vec<_> = (0..nodes).map(start).collect();
        running.into_iter().map(|t| t.join().unwrap()).collect()
    });
    all.sort_by_key(|(number, _)| *number);
    let told = told.lock().unwrap();
    assert!(matches!(&told[nodes - 1], Orchestrator::Begun(all) if all.len() == nodes));
    assert_eq!(told.last(), Some(&Orchestrator::Ended), "{told:?}");
    all.into_iter().map(|(_, t)| t).collect()
}

#[test]
fn nodes_exchange_exactly_and_sum_alike() {
    let all = on_nodes(3, |node| {
        let number = u64::try_from(node.number()).unwrap();
        let own = [u64::MAX - number, 1 << 63 | number, 0.1f64.to_bits()];
        let got = node.exchange(&own).unwrap();
        let mut sum = [1.0, 1e-30, f32::MIN];
        node.sum(&mut sum).unwrap();
        let bytes = node.broadcast(&[7; 1000][..1000 - node.number()]).unwrap();
        let parts = (node.part(12), node.part(7), node.before(), node.count());
        node.finish();
        (got, sum.map(f32::to_bits), bytes, parts)
    });
    for (i, (got, sum, bytes, parts)) in all.iter().enumerate() {
        let of = |n: u64| vec![u64::MAX - n, 1 << 63 | n, 0.1f64.to_bits()];
        assert_eq!(got, &[of(0), of(1), of(2)]);
        assert_eq!(sum, &all[0].1);
        assert_eq!(bytes, &[7; 1000]);
        assert_eq!(parts, &(Some(4 * i..4 * i + 4), None, i, 3));
    }
}

fn engine(settings: &Settings, kernels: bool, node: Option<Arc<Node>>) -> Box<dyn Engine> {
    let mut burn = BurnEngine::<Autodiff<Flex>>::new(settings, &Default::default()).unwrap();
    let member = node.map(|node| {
        let link: Arc<dyn Link> = node;
        let mut all = Member::<Flex>::group(&[Default::default()], Some(link));
        all.swap_remove(0)
    });
    if kernels {
        let mut cpu = CpuEngine::new(settings, &burn.tensors(), Algorithm::Direct).unwrap();
        if let Some(member) = member {
            cpu.share(Arc::new(member));
        }
        Box::new(cpu)
    } else {
        if let Some(member) = member {
            burn.share(member).unwrap();
        }
        Box::new(burn)
    }
}

#[test]
fn a_training_on_nodes_is_one_training() {
    let settings = settings(&["batch=6", "epochs=2", "patience=5"]);
    let videos = videos();
    let held = calibration_split(&videos, settings.net.frames, 1, 0);
    let trained = |kernels: bool, node: Option<Arc<Node>>, steps: usize| {
        let mut engine = engine(&settings, kernels, node.clone());
        let mut losses = Vec::new();
        let mut watch = |event: Event<'_>| {
            if let Event::Step(report, ..) = event {
                losses.push(report.numbers.loss);
                if losses.len() == steps {
                    return Err("enough".to_owned());
                }
            }
            Ok(())
        };
        let done = Progress::default();
        let place = Place {
            node: node.as_deref(),
            stop: &|| false,
        };
        let ended = match node {
            None => train(&settings, &videos, &held, engine.as_mut(), done, &mut watch),
            Some(_) => train_at(
                &place,
                &settings,
                &videos,
                &held,
                engine.as_mut(),
                done,
                &mut watch,
            ),
        };
        if let Some(node) = &node {
            node.finish();
        }
        (
            losses,
            engine.state(),
            ended.ok().map(|p| p.best.map(|b| b.held_out)),
        )
    };
    for kernels in [false, true] {
        let one = trained(kernels, None, 1);
        for nodes in [2, 3] {
            let work = |node| trained(kernels, Some(Arc::new(node)), usize::MAX);
            let all = on_nodes(nodes, work);
            let bits = |tensors: &Tensors| -> Vec<u32> {
                let values = tensors.values().flat_map(|t| &t.values);
                values.map(|v| v.to_bits()).collect()
            };
            for (losses, state, best) in &all {
                assert!(losses.len() > 10 && best.is_some());
                assert_eq!((losses, best), (&all[0].0, &all[0].2));
                assert!(bits(&state.tensors) == bits(&all[0].1.tensors));
            }
            // One step is that of one process.
            let work = |node| trained(kernels, Some(Arc::new(node)), 1);
            for (losses, state, _) in on_nodes(nodes, work) {
                assert!((losses[0] - one.0[0]).abs() < 1e-5);
                let kept = |name: &str| name.contains("running_") || name.ends_with("items");
                assert!(distance(&one.1.tensors, &state.tensors, kept) < 1e-4);
            }
        }
    }
}

#[test]
fn who_is_furthest_is_first_and_who_differs_is_sent_away() {
    let (address, told) = orchestrator();
    let begin = |step| {
        let join = join(&address, 2, step);
        let own = join.advertise.clone();
        (own, std::thread::spawn(move || Node::join(&join)))
    };
    let (behind, waits) = begin(3);
    let here = |what: &Orchestrator| matches!(what, Orchestrator::Waiting { here: 1, .. });
    while !told.lock().unwrap().iter().any(here) {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    for (change, why) in [
        (
            (&|j: &mut Join| j.nodes = 3) as &dyn Fn(&mut Join),
            "told of 3 nodes, the others of 2",
        ),
        (
            &|j| j.settings = "seed = 1".into(),
            "`seed = 1`, the others `seed = 0`",
        ),
        (&|j| j.data_hash = "abd".into(), "training frames"),
    ] {
        let mut other = join(&address, 2, 0);
        change(&mut other);
        match Node::join(&other) {
            Err(NodeError::Refused(said)) => assert!(said.contains(why), "{said}"),
            other => panic!("{other:?}"),
        }
    }
    let (ahead, furthest) = begin(7);
    let [a, b] = [waits, furthest].map(|thread| thread.join().unwrap().unwrap());
    assert_eq!((a.number(), b.number()), (1, 0));
    assert_eq!(a.first(), ahead);
    // One goes without a word.
    drop(a);
    let mut ended = Ok(());
    for _ in 0..2 {
        ended = b.sum(&mut [1.0]);
    }
    let said = ended.unwrap_err();
    assert!(
        said.contains(&format!("node 1 ({behind}) is lost")),
        "{said}"
    );
}
