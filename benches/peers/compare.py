"""Measures this project and PyTorch alternately, and prints the medians and their ratios.

    pip install torch numpy
    LENET_DATA_DIR=... python benches/peers/compare.py [--rounds 3] [--threads 2] [--side NAME=COMMAND]...
    LENET_DATA_DIR=... python benches/peers/compare.py --device wgpu [--peer PATH]

All sides do the same work on Fashion-MNIST, each in a process of its own. They alternate, so that other load on the
machine affects all of them. Further sides are commands that print a part of the same JSON as torch_peer.py; their
epochs are compared as well.

With --device (wgpu, vulkan, metal or cuda), this project runs on a GPU, and so does PyTorch if it has CUDA: eager,
compiled, and with its training step as a CUDA graph. 25 networks are trained as well, side by side here, one after the
other there, but not compiled. --images takes less than the whole training set, for a try on a software driver. --peer is an executable
of the example `peer` that was built elsewhere, for a machine without Rust.
"""

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import time
from pathlib import Path

import build

HERE = Path(__file__).parent
parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--threads", type=int, default=os.cpu_count())
parser.add_argument("--device", choices=["flex", "wgpu", "vulkan", "metal", "cuda"], default="flex")
parser.add_argument("--images", type=int, default=60000, help="images of an epoch")
parser.add_argument("--peer", help="the example `peer`, already built with the feature of the device")
parser.add_argument("--side", action="append", default=[], metavar="NAME=COMMAND")
arguments = parser.parse_args()
if "LENET_DATA_DIR" not in os.environ:
    sys.exit("LENET_DATA_DIR must be the directory that contains fashion-mnist/")

device, on_gpu = arguments.device, arguments.device != "flex"
features = f"cpu,{device}" if on_gpu else "cpu"
peer = arguments.peer or build.examples("peer", features=features)[0]
threads = str(arguments.threads)
environment = os.environ | {"RAYON_NUM_THREADS": threads, "OMP_NUM_THREADS": threads}
images = ["--images", str(arguments.images)]
torch_peer = [sys.executable, str(HERE / "torch_peer.py"), *images]
sides = {"lenet": [peer, "--device", device, *images]}
if not on_gpu:
    sides["PyTorch"] = torch_peer
elif subprocess.run([*torch_peer, "--has-cuda"]).returncode == 0:
    for name, mode in [("eager", "eager"), ("compiled", "compile"), ("CUDA graph", "graph")]:
        sides[f"PyTorch, {name}"] = [*torch_peer, "--cuda", mode]
else:
    print("PyTorch has no CUDA device here: only this project is measured.", file=sys.stderr)
further = {name: shlex.split(command) for name, _, command in (side.partition("=") for side in arguments.side)}
sides |= further
seconds = {side: {} for side in sides}
for round_ in range(arguments.rounds):
    for side, command in sides.items():
        print(f"round {round_ + 1} of {arguments.rounds}: {side}", file=sys.stderr)
        output = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
        for name, values in json.loads(output).items():
            seconds[side].setdefault(name, []).extend(values)
        if side in further:
            continue
        # Starting the process, loading the data and one training step. The system has cached the files by now.
        start = time.perf_counter()
        subprocess.run([*command, "--first-step"], env=environment, check=True)
        seconds[side].setdefault("start to first step", []).append(time.perf_counter() - start)


def shown(value):
    return f"{value:.2f} s" if value >= 1 else f"{value * 1e3:.2f} ms" if value >= 1e-3 else f"{value * 1e6:.0f} µs"


others = [side for side in sides if side != "lenet"]
place = device if on_gpu else f"{threads} threads"
print(f"| {place}, median | lenet | " + " | ".join(f"{side} | ratio" for side in others) + " |")
print("|---|---|" + "---|---|" * len(others))
for name, ours in seconds["lenet"].items():
    ours = statistics.median(ours)
    cells = [name, shown(ours)]
    for side in others:
        found = seconds[side].get(name)
        cells += [shown(statistics.median(found)), f"{ours / statistics.median(found):.2f}"] if found else ["", ""]
    print("| " + " | ".join(cells) + " |")
