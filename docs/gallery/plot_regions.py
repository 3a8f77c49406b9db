"""
Where a plain model errs
========================

A skewed target, a plain network, and its errors by true value: too high where values are small, too low where they are
large and rare.
"""

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import tailwise

rng = np.random.default_rng(0)
x = rng.normal(size=800)
table = pd.DataFrame({"x": x, "y": 20 * np.exp(0.8 * x + rng.normal(0, 0.4, 800))})

task = tailwise.prepare(table, "y", split="random")
model = tailwise.fit(task, tailwise.Experiment("vanilla", encoder="mlp", recipe=tailwise.Recipe(epochs=10)))
rows, y = task.rows_of("test")
bias = model.predict(rows) - y

edges = np.quantile(y, np.linspace(0, 1, 9))
middles = (edges[:-1] + edges[1:]) / 2
means = [bias[(y >= low) & (y <= high)].mean() for low, high in pairwise(edges)]

figure, axis = plt.subplots(figsize=(6, 3), layout="constrained")
axis.axhline(0, color="grey", linewidth=0.8)
axis.scatter(y, bias, s=8, alpha=0.5)
axis.plot(middles, means, color="crimson")
axis.set(xlabel="true value", ylabel="prediction - true value", title="Errors of a plain network")
plt.show()
