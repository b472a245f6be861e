"""The PyTorch side of compare.py: the seconds of each measurement as one line of JSON. With --first-step it only
loads the data and trains for one step.

PyTorch runs in eager mode with channels_last, its fastest eager configuration for this network. The images are
loaded in advance as float32 tensors, and each epoch shuffles them again.
"""

import json
import sys
import time

import torch
from torch import nn
from torch_lenet import BATCH, LAST, evaluate, lenet, load, train_epoch


def epochs(net, images, labels):
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    return times(2, lambda: train_epoch(net, optimizer, images, labels))


def times(repeats, run):
    seconds = []
    warm_up = -(-repeats // 10)
    for i in range(repeats + warm_up):
        start = time.perf_counter()
        run()
        if i >= warm_up:
            seconds.append(time.perf_counter() - start)
    return seconds


images, labels = load("train")
test_images, test_labels = load("t10k")
modern = (nn.ReLU, nn.MaxPool2d)
if "--first-step" in sys.argv:
    net = lenet(*modern)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    train_epoch(net, optimizer, images[:BATCH], labels[:BATCH])
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
