"""LeNet, Fashion-MNIST and the training loop in PyTorch, for the scripts in this directory."""

import gzip
import os
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

DATA = Path(os.environ["LENET_DATA_DIR"]) / "fashion-mnist"
BATCH = 128
LAST = torch.channels_last
DEVICE = torch.device("cuda" if "--cuda" in sys.argv else "cpu")
torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count())))
torch.manual_seed(0)


def idx(name, header):
    with gzip.open(DATA / f"{name}-ubyte.gz") as file:
        return np.frombuffer(file.read(), np.uint8, offset=header)


def load(split):
    images = idx(f"{split}-images-idx3", 16).reshape(-1, 1, 28, 28)
    labels = idx(f"{split}-labels-idx1", 8)
    images, labels = torch.from_numpy(images.copy()).float().div_(255), torch.from_numpy(labels.copy()).long()
    return images.to(DEVICE), labels.to(DEVICE)


def lenet(activation, pooling, channels=(6, 16), kernel=5, padding=(2, 0), hidden=(120, 84)):
    size, inputs, layers = 28, 1, []
    for outputs, pad in zip(channels, padding):
        layers += [nn.Conv2d(inputs, outputs, kernel, padding=pad), activation(), pooling(2, 2)]
        size, inputs = (size + 2 * pad - kernel + 1) // 2, outputs
    layers, inputs = [*layers, nn.Flatten()], inputs * size * size
    for outputs in hidden:
        layers, inputs = [*layers, nn.Linear(inputs, outputs), activation()], outputs
    layers.append(nn.Linear(inputs, 10))
    net = nn.Sequential(*layers)
    for layer in net:
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.xavier_uniform_(layer.weight)
    return net.to(DEVICE, memory_format=LAST)


def train_epoch(net, optimizer, images, labels):
    total = torch.zeros((), device=DEVICE)
    order = torch.randperm(len(images), device=DEVICE)
    for i in range(0, len(images), BATCH):
        j = order[i:i + BATCH]
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(net(images[j].contiguous(memory_format=LAST)), labels[j])
        loss.backward()
        optimizer.step()
        total += loss.detach() * len(j)
    return total.item()


class GraphStep:
    """A training step as a CUDA graph; a batch of another size is trained without."""

    def __init__(self, net, optimizer):
        self.net, self.optimizer = net, optimizer
        self.images = torch.zeros(BATCH, 1, 28, 28, device=DEVICE).contiguous(memory_format=LAST)
        self.labels = torch.zeros(BATCH, dtype=torch.long, device=DEVICE)
        # Capturing needs a few steps before; they must not change the network.
        state = [parameter.detach().clone() for parameter in net.parameters()]
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                self.step(self.images, self.labels)
        torch.cuda.current_stream().wait_stream(stream)
        self.graph = torch.cuda.CUDAGraph()
        optimizer.zero_grad(set_to_none=True)
        with torch.cuda.graph(self.graph):
            self.loss = self.step(self.images, self.labels)
        with torch.no_grad():
            for parameter, value in zip(net.parameters(), state):
                parameter.copy_(value)

    def step(self, images, labels):
        self.optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(self.net(images), labels)
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def __call__(self, images, labels):
        if len(images) != BATCH:
            return self.step(images.contiguous(memory_format=LAST), labels)
        self.images.copy_(images)
        self.labels.copy_(labels)
        self.graph.replay()
        return self.loss.clone()


def train_epoch_with(step, images, labels):
    total = torch.zeros((), device=DEVICE)
    order = torch.randperm(len(images), device=DEVICE)
    for i in range(0, len(images), BATCH):
        j = order[i:i + BATCH]
        total += step(images[j], labels[j]) * len(j)
    return total.item()


@torch.inference_mode()
def evaluate(net, images, labels):
    right = loss = 0
    for i in range(0, len(images), 1000):
        logits = net(images[i:i + 1000].contiguous(memory_format=LAST))
        right += (logits.argmax(1) == labels[i:i + 1000]).sum()
        loss += F.cross_entropy(logits, labels[i:i + 1000], reduction="sum")
    return right.item(), loss.item()
