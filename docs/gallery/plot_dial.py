"""
The dial for a finished model
=============================

Predictions of some model, pulled to the middle, and decisions at three balances: nothing is trained again.
"""

import matplotlib.pyplot as plt
import numpy as np

import tailwise

rng = np.random.default_rng(0)
y = rng.exponential(10, 2000)
pred = y.mean() + 0.5 * (y - y.mean()) + rng.normal(0, 2, 2000)
decide = tailwise.dial(y[:1000], pred[:1000])

figure, axes = plt.subplots(1, 3, figsize=(8, 3), sharex=True, sharey=True, layout="constrained")
for axis, balance in zip(axes, (0, 0.5, 1), strict=True):
    axis.scatter(y[1000:], decide(pred[1000:], balance=balance), s=4)
    axis.axline((0, 0), slope=1, color="grey", linewidth=0.8)
    axis.set(title=f"balance {balance}", xlabel="true value")
axes[0].set(ylabel="decision")
plt.show()
