"""Trains the 62 networks of the notebook's comparisons here and in PyTorch, and prints both times and their ratio.

    pip install torch numpy
    LENET_DATA_DIR=... python benches/peers/sweeps.py [--epochs 1]

Here, five examples train them, as many at once as there are cores. PyTorch trains them one after the other on all
cores, and then as many at once as there are cores, on one thread each.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import build

HERE = Path(__file__).parent
parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--epochs", default="1")
epochs = parser.parse_args().epochs
if "LENET_DATA_DIR" not in os.environ:
    sys.exit("LENET_DATA_DIR must be the directory that contains fashion-mnist/")
data = str(Path(os.environ["LENET_DATA_DIR"]).resolve())

seeds = {"q2_kernel": 5, "q2_channels": 3, "q2_conv_layers": 3, "q2_fc_layers": 3, "q2_learning_rate": 1}
examples = build.examples(*seeds)
with tempfile.TemporaryDirectory() as out:
    start = time.perf_counter()
    for example, (name, nets) in zip(examples, seeds.items()):
        run = ["--device", "flex", "--epochs", epochs, "--seeds", str(nets), "--data-dir", data, "--out", f"{out}/{name}"]
        subprocess.run([example, *run], check=True, stdout=subprocess.DEVNULL)
    ours = time.perf_counter() - start
torch_sweeps = [sys.executable, HERE / "torch_sweeps.py", epochs]
start = time.perf_counter()
subprocess.run(torch_sweeps, check=True)
one_by_one = time.perf_counter() - start
start = time.perf_counter()
cores = os.cpu_count()
single = os.environ | {"OMP_NUM_THREADS": "1"}
parts = [subprocess.Popen([*torch_sweeps, str(part), str(cores)], env=single) for part in range(cores)]
if any([part.wait() for part in parts]):
    sys.exit("PyTorch failed")
at_once = time.perf_counter() - start
theirs = min(one_by_one, at_once)
print(f"62 networks, {epochs} epoch(s) each: lenet {ours:.0f} s, PyTorch {one_by_one:.0f} s one by one and {at_once:.0f} s "
      f"{cores} at once, {theirs / ours:.2f} × as many per hour")
