"""PyTorch's side of compare.py: seconds of each measurement as one line of JSON; with --first-step only
what comes before training: the data are loaded and one step is made.

Eager mode in channels_last, PyTorch's fastest eager form for this network; images preloaded as float32
tensors; the batch order drawn anew for each epoch.
"""

import gzip
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

DATA = Path(os.environ["LENET_DATA_DIR"]) / "fashion-mnist"
EPOCHS, BATCH = 3, 128
LAST = torch.channels_last


def idx(name, header):
    with gzip.open(DATA / f"{name}-ubyte.gz") as file:
        return np.frombuffer(file.read(), np.uint8, offset=header)


def load(split):
    images = idx(f"{split}-images-idx3", 16).reshape(-1, 1, 28, 28)
    labels = idx(f"{split}-labels-idx1", 8)
    return torch.from_numpy(images.copy()).float().div_(255), torch.from_numpy(labels.copy()).long()


def lenet(activation, pooling, channels=(6, 16), kernel=5, padding=(2, 0)):
    size, inputs, layers = 28, 1, []
    for outputs, pad in zip(channels, padding):
        layers += [nn.Conv2d(inputs, outputs, kernel, padding=pad), activation(), pooling(2, 2)]
        size, inputs = (size + 2 * pad - kernel + 1) // 2, outputs
    layers += [nn.Flatten(), nn.Linear(inputs * size * size, 120), activation(),
               nn.Linear(120, 84), activation(), nn.Linear(84, 10)]
    net = nn.Sequential(*layers)
    for layer in net:
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.xavier_uniform_(layer.weight)
    return net.to(memory_format=LAST)


def epochs(net, images, labels):
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    seconds = []
    for epoch in range(EPOCHS):
        start, total = time.perf_counter(), torch.zeros(())
        order = torch.randperm(len(images))
        for i in range(0, len(images), BATCH):
            j = order[i:i + BATCH]
            optimizer.zero_grad(set_to_none=True)
            loss = F.cross_entropy(net(images[j].contiguous(memory_format=LAST)), labels[j])
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(j)
        total.item()
        if epoch > 0:  # the first one warms up
            seconds.append(time.perf_counter() - start)
    return seconds


@torch.inference_mode()
def evaluate(net, images, labels):
    right = loss = 0
    for i in range(0, len(images), 1000):
        logits = net(images[i:i + 1000].contiguous(memory_format=LAST))
        right += (logits.argmax(1) == labels[i:i + 1000]).sum()
        loss += F.cross_entropy(logits, labels[i:i + 1000], reduction="sum")
    return right.item(), loss.item()


def times(repeats, run):
    seconds = []
    for i in range(repeats + repeats // 10):
        start = time.perf_counter()
        run()
        if i >= repeats // 10:
            seconds.append(time.perf_counter() - start)
    return seconds


torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count())))
torch.manual_seed(0)
images, labels = load("train")
test_images, test_labels = load("t10k")
modern = (nn.ReLU, nn.MaxPool2d)
if "--first-step" in sys.argv:
    EPOCHS = 1
    epochs(lenet(*modern), images[:BATCH], labels[:BATCH])
    sys.exit()
measured = {
    "epoch, modern": epochs(lenet(*modern), images, labels),
    "epoch, classic": epochs(lenet(nn.Sigmoid, nn.AvgPool2d), images, labels),
    "epoch, channels [24, 44]": epochs(lenet(*modern, channels=(24, 44), padding=(2, 2)), images, labels),
    "epoch, kernel 7": epochs(lenet(*modern, kernel=7, padding=(2, 2)), images, labels),
}
net = lenet(*modern).eval()
measured["evaluate 10,000 images"] = times(5, lambda: evaluate(net, test_images, test_labels))
for name, batch, repeats in [("1 image", 1, 2000), ("1,024 images", 1024, 50)]:
    x = test_images[:batch].contiguous(memory_format=LAST)

    @torch.inference_mode()
    def forward():
        return net(x)

    measured[name] = times(repeats, forward)
print(json.dumps(measured))
