"""The PyTorch side of sweeps.py: trains the 62 networks of the notebook's comparisons one after the other, or every
PARTS-th of them from number PART on: torch_sweeps.py EPOCHS [PART PARTS]. Each epoch ends with an evaluation on the test
images.
"""

import sys

import torch
from torch import nn
from torch_lenet import evaluate, lenet, load, train_epoch

images, labels = load("train")
test_images, test_labels = load("t10k")
tweakable = {"activation": nn.ReLU, "pooling": nn.MaxPool2d, "padding": (2, 2, 2, 2)}
settings = [({"kernel": kernel}, 0.1, 5) for kernel in range(3, 8)]
settings += [({"channels": channels}, 0.1, 3) for channels in [(3, 8), (6, 16), (12, 22), (24, 44)]]
settings += [({"channels": channels}, 0.1, 3) for channels in [(6, 16), (6, 16, 22), (6, 16, 22, 28)]]
settings += [({"hidden": hidden}, 0.1, 3) for hidden in
             [(84,), (120, 84), (120, 120, 84, 84), (120, 120, 120, 84, 84, 84)]]
settings += [({}, rate, 1) for rate in (0.01, 0.05, 0.1, 0.5)]
epochs, part, parts = map(int, [*sys.argv[1:], 0, 1][:3])
trials = [(setting, rate) for setting, rate, nets in settings for _ in range(nets)]
for setting, rate in trials[part::parts]:
    net = lenet(**tweakable | setting)
    optimizer = torch.optim.SGD(net.parameters(), lr=rate)
    for _ in range(epochs):
        train_epoch(net, optimizer, images, labels)
        evaluate(net, test_images, test_labels)
