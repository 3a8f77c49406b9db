"""
Weights of rows
===============

The weight of a row by its label, for five ways to make up for rare labels.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch

from tailwise import LDS, Bins, density_weights
from tailwise.weights.cisir import cisir_weights
from tailwise.weights.denseweight import dense_weights

y = np.random.default_rng(0).gamma(3, 5, 2000).clip(max=45)
bins = Bins.width(y, 3.0)
weights = {
    "sqinv": density_weights(y, bins, power=0.5),
    "sqinv+lds": density_weights(y, bins, power=0.5, density=LDS()),
    "reweight, power 0.8, + lds": density_weights(y, bins, power=0.8, density=LDS()),
    "denseweight": dense_weights(y),
    "cisir": cisir_weights(y),
}

labels = torch.linspace(0, float(y.max()), 300)
figure, (above, below) = plt.subplots(2, 1, figsize=(6, 5), sharex=True, layout="constrained")
above.hist(y, 60)
above.set(ylabel="training rows")
for name, weight in weights.items():
    below.plot(labels, weight(labels), label=name)
below.set(xlabel="target", ylabel="weight", yscale="log")
below.legend()
plt.show()
