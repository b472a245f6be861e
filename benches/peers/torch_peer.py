"""The PyTorch side of compare.py: the seconds of each measurement as one line of JSON. With --first-step it only
loads the data and trains for one step; --images takes a part of the training set.

PyTorch runs in eager mode with channels_last, its fastest eager configuration for this network. The images are
loaded in advance as float32 tensors, and each epoch shuffles them again. With --cuda they are on the GPU, and the step
is eager, compiled (mode "reduce-overhead") or a CUDA graph. --has-cuda only says whether there is a GPU.
"""

import json
import sys
import time

import torch
from torch import nn
from torch_lenet import BATCH, DEVICE, LAST, GraphStep, evaluate, lenet, load, train_epoch, train_epoch_with

if "--has-cuda" in sys.argv:
    sys.exit(0 if torch.cuda.is_available() else 1)


def option(flag, default):
    return sys.argv[sys.argv.index(flag) + 1] if flag in sys.argv else default


mode = option("--cuda", "eager")


def training(net):
    """Trains a network for an epoch of images and labels."""
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    if mode == "graph":
        step = GraphStep(net, optimizer)
        return lambda images, labels: train_epoch_with(step, images, labels)
    if mode == "compile":
        net = torch.compile(net, mode="reduce-overhead")
    return lambda images, labels: train_epoch(net, optimizer, images, labels)


def epochs(net, images, labels):
    train = training(net)
    return times(2, lambda: train(images, labels))


def side_by_side(images, labels):
    """25 networks, one after the other: what PyTorch offers without rewriting the training. The networks before have
    warmed it up."""
    trainings = [training(lenet(*modern)) for _ in range(25)]
    wait()
    start = time.perf_counter()
    for train in trainings:
        train(images, labels)
    wait()
    return [time.perf_counter() - start]


def wait():
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


def times(repeats, run):
    seconds = []
    warm_up = -(-repeats // 10)
    for i in range(repeats + warm_up):
        start = time.perf_counter()
        run()
        wait()
        if i >= warm_up:
            seconds.append(time.perf_counter() - start)
    return seconds


images, labels = load("train")
images, labels = (part[:int(option("--images", len(images)))] for part in (images, labels))
test_images, test_labels = load("t10k")
modern = (nn.ReLU, nn.MaxPool2d)
if "--first-step" in sys.argv:
    training(lenet(*modern))(images[:BATCH], labels[:BATCH])
    wait()
    sys.exit()
measured = {
    "epoch, modern": epochs(lenet(*modern), images, labels),
    "epoch, classic": epochs(lenet(nn.Sigmoid, nn.AvgPool2d), images, labels),
    "epoch, channels [24, 44]": epochs(lenet(*modern, channels=(24, 44), padding=(2, 2)), images, labels),
    "epoch, kernel 7": epochs(lenet(*modern, kernel=7, padding=(2, 2)), images, labels),
}
# Compiling 25 networks takes minutes.
if DEVICE.type == "cuda" and mode != "compile":
    measured["25 networks, one epoch each"] = side_by_side(images, labels)
net = lenet(*modern).eval()
measured["evaluate 10,000 images"] = times(5, lambda: evaluate(net, test_images, test_labels))
for name, batch, repeats in [("1 image", 1, 2000), ("1,024 images", 1024, 50)]:
    x = test_images[:batch].contiguous(memory_format=LAST)

    @torch.inference_mode()
    def forward():
        return net(x).cpu()

    measured[name] = times(repeats, forward)
print(json.dumps(measured))
