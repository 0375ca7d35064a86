"""The same network in PyTorch, ONNX Runtime, OpenVINO and here, in turn, in one run.

    cargo xtask bench --vs-torch [--short] [--threads N]

Each round runs every framework once, in the order A B C D, A B C D, ...; printed are the medians of the
rounds' medians, and the median of the rounds' ratios to PyTorch. Before anything is timed, predictions are
compared with ours. Needs requirements.txt beside this file; says what is missing and ends otherwise.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
POOL_LEVELS = {1: 2, 2: 3, 3: 4}
LOSS = {"compactness": 0.1, "separateness": 0.1, "information": 0.01}


def need(name):
    try:
        return __import__(name)
    except ImportError as error:
        print(f"skipped: {error}; to compare: pip install -r {REQUIREMENTS}")
        sys.exit(0)


class Ours:
    """The bench program as a server: one JSON line in, one out."""

    def __init__(self, program, threads):
        command = [program, "--serve", "--threads", str(threads)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit("error: the bench program ended")
        return json.loads(line)


def build(torch, width, pools):
    """MSN-net with PyTorch's layers; tensors' names are those of our weights files."""
    nn, F = torch.nn, torch.nn.functional

    class Block(nn.Module):
        def __init__(self, cin, cout, last_norm=True):
            super().__init__()
            self.conv1, self.norm1 = nn.Conv2d(cin, cout, 3, padding=1), nn.BatchNorm2d(cout)
            self.conv2 = nn.Conv2d(cout, cout, 3, padding=1)
            self.norm2 = nn.BatchNorm2d(cout) if last_norm else None

        def forward(self, x):
            x = self.conv2(F.relu(self.norm1(self.conv1(x))))
            return x if self.norm2 is None else F.relu(self.norm2(x))

    class Last(Block):
        def __init__(self, cin, cout):
            super().__init__(cin, cout)
            self.conv3 = nn.Conv2d(cout, 1, 3, padding=1)

        def forward(self, x):
            return torch.tanh(self.conv3(super().forward(x)))

    class Up(nn.Module):
        def __init__(self, cin, cout):
            super().__init__()
            self.conv = nn.ConvTranspose2d(cin, cout, 3, stride=2, padding=1, output_padding=1)
            self.norm = nn.BatchNorm2d(cout)

        def forward(self, x):
            return F.relu(self.norm(self.conv(x)))

    class Pool(nn.Module):
        def __init__(self, items, features):
            super().__init__()
            self.register_buffer("items", F.normalize(torch.rand(items, features), dim=1))

        def losses(self, q, s):
            two = s.topk(2, dim=1).indices
            near, second = self.items[two[:, 0]], self.items[two[:, 1]]
            a = s.softmax(1)
            entropy = lambda p: -(p * p.clamp_min(1e-12).log()).sum(-1)
            spread = (entropy(a).mean() - entropy(a.mean(0))) / torch.log(torch.tensor(float(s.shape[1])))
            parts = F.mse_loss(q, near), F.triplet_margin_loss(q, near, second), spread
            return sum(weight * part for weight, part in zip(LOSS.values(), parts))

        def write(self, q, s):
            own = F.one_hot(s.argmax(1), s.shape[1]).to(s.dtype)
            weights = own * (s - s.amax(0)).exp()
            new = F.normalize(self.items + weights.T @ q, dim=1)
            self.items.copy_(torch.where((own.sum(0) > 0)[:, None], new, self.items))

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            w = width
            blocks = {1: Block(4, w), 2: Block(w, 2 * w), 3: Block(2 * w, 4 * w), 4: Block(4 * w, 8 * w, False)}
            self.encoder = nn.ModuleDict({f"level{i}": b for i, b in blocks.items()})
            self.decoder = nn.ModuleDict(
                {
                    "level4": Block(8 * w, 8 * w),
                    "level3": Block(8 * w, 4 * w),
                    "level2": Block(4 * w, 2 * w),
                    "level1": Last(2 * w, w),
                    "up4": Up(8 * w, 4 * w),
                    "up3": Up(4 * w, 2 * w),
                    "up2": Up(2 * w, w),
                }
            )
            self.pools = nn.ModuleDict({str(p): Pool(10, width << p) for p in pools})

        def forward(self, x, asked=None):
            features = {}
            for level in (1, 2, 3, 4):
                x = self.encoder[f"level{level}"](F.max_pool2d(x, 2) if level > 1 else x)
                features[level] = x
            for number, pool in self.pools.items():
                f = features[POOL_LEVELS[int(number)]]
                n, d, h, w = f.shape
                q = F.normalize(f.permute(0, 2, 3, 1).reshape(-1, d), dim=1)
                s = q @ pool.items.T
                features[POOL_LEVELS[int(number)]] = (s.softmax(1) @ pool.items).reshape(n, h, w, d).permute(0, 3, 1, 2)
                if asked is not None:
                    asked.append((pool, q, s))
            x = self.decoder["up4"](self.decoder["level4"](features[4]))
            x = self.decoder["up3"](self.decoder["level3"](torch.cat([features[3], x], 1)))
            x = self.decoder["up2"](self.decoder["level2"](torch.cat([features[2], x], 1)))
            return self.decoder["level1"](torch.cat([features[1], x], 1))

    return Net()


def seconds(times, work):
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return taken


def runners(torch, np, case, ours, threads, folder):
    """Name -> a function of a number of runs that gives their seconds, and what each predicts."""
    from safetensors.torch import load_file

    name, width, side, batch, pools, kind = (case[k] for k in ("name", "width", "side", "batch", "pools", "kind"))
    weights, clips = folder / "weights.safetensors", folder / "clips.safetensors"
    made = dict(name=name, width=width, side=side, batch=batch, kernels="fast", pools=pools)
    ours.ask(do="make", **made, weights=str(weights), clips=str(clips))
    data = load_file(clips)
    x, y = data["frames"], data["target"]
    net = build(torch, width, pools)
    state = load_file(weights)
    missing, unexpected = net.load_state_dict(state, strict=False)
    assert not unexpected and all(m.endswith("num_batches_tracked") for m in missing), (missing, unexpected)
    net = net.to(memory_format=torch.channels_last)
    x = x.to(memory_format=torch.channels_last)

    if kind == "training":
        adam = torch.optim.Adam(net.parameters(), lr=1e-6)

        def step():
            net.train()
            asked = []
            adam.zero_grad(set_to_none=True)
            loss = torch.nn.functional.mse_loss(net(x, asked), y)
            loss = loss + sum(pool.losses(q, s) for pool, q, s in asked)
            loss.backward()
            adam.step()
            with torch.no_grad():
                for pool, q, s in asked:
                    pool.write(q.detach(), s.detach())
            return loss.item()

        theirs, mine = step(), ours.ask(do="train", name=name, times=1)["loss"]
        assert abs(theirs - mine) < 1e-3 * abs(theirs), f"losses {theirs} and {mine}"
        return {
            "PyTorch": lambda n: seconds(n, step),
            "ours, fast": lambda n: ours.ask(do="train", name=name, times=n)["seconds"],
        }

    net.eval()

    def torch_run():
        with torch.inference_mode():
            return net(x)

    expected = torch_run().numpy()

    def ours_in(precision):
        """A runner that checked its predictions; None where the processor has no such products."""
        if not ours.ask(do="precision", name=name, precision=precision)["there"]:
            print(f"skipped: ours in {precision}: this processor has no AVX-512 BF16")
            return None
        ours.ask(do="prediction", name=name, to=str(folder / "prediction"))
        mine = np.fromfile(folder / "prediction", np.float32).reshape(batch, side, side, 1).transpose(0, 3, 1, 2)
        worst = np.abs(mine - expected).max()
        assert worst < (1e-3 if precision == "f32" else 0.3), f"ours in {precision} differs by {worst}"

        def run(n):
            ours.ask(do="precision", name=name, precision=precision)
            ours.ask(do="infer", name=name, times=2)
            return ours.ask(do="infer", name=name, times=n)["seconds"]

        return run

    mine = {f"ours, fast {precision}": ours_in(precision) for precision in ("f32", "bf16")}
    all_runners = {"PyTorch": lambda n: seconds(n, torch_run)}
    onnx_file = folder / "net.onnx"
    try:
        torch.onnx.export(net, (x.contiguous(),), onnx_file, input_names=["x"], output_names=["y"], dynamo=False)
    except Exception as error:  # An exporter that this PyTorch lacks.
        print(f"skipped: ONNX Runtime and OpenVINO: no ONNX file ({str(error).splitlines()[0]})")
        onnx_file = None
    plain = x.contiguous().numpy()
    if onnx_file:
        try:
            import onnxruntime

            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = threads
            session = onnxruntime.InferenceSession(onnx_file, options, providers=["CPUExecutionProvider"])
            run = lambda: session.run(None, {"x": plain})
            assert np.abs(run()[0] - expected).max() < 1e-3
            all_runners["ONNX Runtime"] = lambda n: seconds(n, run)
        except ImportError as error:
            print(f"skipped: {error}")
        try:
            import openvino

            for precision in ("f32", "bf16"):
                hints = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": precision}
                model = openvino.Core().compile_model(str(onnx_file), "CPU", hints)
                request = model.create_infer_request()
                infer = lambda r=request: r.infer({0: plain})
                worst = np.abs(infer()[0] - expected).max()
                assert worst < (1e-3 if precision == "f32" else 0.3), f"OpenVINO {precision} differs by {worst}"
                all_runners[f"OpenVINO {precision}"] = lambda n, run=infer: seconds(n, run)
        except ImportError as error:
            print(f"skipped: {error}")
    return all_runners | {label: run for label, run in mine.items() if run}


def compare(case, all_runners, rounds, budget):
    """Medians of every framework over rounds, and of their ratios to PyTorch."""
    times = {}
    for name, run in all_runners.items():
        run(3)
        times[name] = max(3, int(budget / statistics.median(run(3))))
    medians = {name: [] for name in all_runners}
    for _ in range(rounds):
        for name, run in all_runners.items():
            medians[name].append(statistics.median(run(times[name])))
    rows = []
    for name, of_rounds in medians.items():
        ratios = [a / b for a, b in zip(of_rounds, medians["PyTorch"])]
        row = dict(case=case["title"], framework=name, ms=1e3 * statistics.median(of_rounds))
        rows.append(row | dict(ratio=statistics.median(ratios), low=min(ratios), high=max(ratios)))
        print(f"{case['title']:44} {name:14} {row['ms']:9.2f} ms  {rows[-1]['ratio']:.3f} x PyTorch", flush=True)
    return rows


def main():
    args = argparse.ArgumentParser()
    args.add_argument("program")
    args.add_argument("--out", type=Path, default=Path("target/bench"))
    args.add_argument("--short", action="store_true")
    args.add_argument("--threads", type=int, default=os.cpu_count())
    args.add_argument("--filter", default="")
    a = args.parse_args()
    torch, np = need("torch"), need("numpy")
    need("safetensors")
    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    cases = []
    for label, width in (("cpu", 16), ("width 32", 32)):
        for side in (128, 256):
            for pools in ([1, 2, 3], []):
                without = "" if pools else " without pools"
                cases.append(dict(kind="inference", width=width, side=side, batch=1, pools=pools, label=label + without))
        for side, batch in ((128, 2), (64, 8)):
            cases.append(dict(kind="training", width=width, side=side, batch=batch, pools=[1, 2, 3], label=label))
    for case in cases:
        case["title"] = f"{case['kind']}, {case['label']}, {case['batch']} x {case['side']} px"
        case["name"] = case["title"]
    cases = [c for c in cases if a.filter in c["title"]]
    if a.short:
        cases = [c for c in cases if c["width"] == 16 and c["side"] == 128 and c["pools"]]
    ours = Ours(a.program, a.threads)
    rows = []
    for case in cases:
        with tempfile.TemporaryDirectory() as folder:
            all_runners = runners(torch, np, case, ours, a.threads, Path(folder))
            rows += compare(case, all_runners, 3 if a.short else 9, 0.05 if a.short else 0.4)
    model = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), platform.processor())
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True).stdout.strip()
    versions = {"torch": torch.__version__}
    for module in ("onnxruntime", "openvino"):
        versions[module] = getattr(sys.modules.get(module), "__version__", None)
    about = f"{model}, {a.threads} threads; commit {commit}; " + ", ".join(f"{k} {v}" for k, v in versions.items() if v)
    text = f"{about}.\n\nMedians over rounds; ratio to PyTorch (channels-last, eager): median [lowest, highest round].\n\n"
    text += "| | framework | ms | ratio |\n|---|---|---|---|\n"
    for r in rows:
        text += f"| {r['case']} | {r['framework']} | {r['ms']:.2f} | {r['ratio']:.3f} [{r['low']:.3f}, {r['high']:.3f}] |\n"
    a.out.mkdir(parents=True, exist_ok=True)
    (a.out / "vs_torch.md").write_text(text)
    (a.out / "vs_torch.json").write_text(json.dumps(dict(about=about, versions=versions, rows=rows), indent=1) + "\n")
    print(f"\ntable: {a.out / 'vs_torch.md'}")


main()
