"""
Common against rare values
==========================

One trained network, five balances: the error where training rows are many against the error where they are few.
On this table a small balance is best for the rare rows, and at 1 both are worse: more is not always better.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import tailwise

rng = np.random.default_rng(0)
x = rng.normal(size=1500)
table = pd.DataFrame({"x": x, "y": 20 * np.exp(0.7 * x + rng.normal(0, 0.35, 1500))})
task = tailwise.prepare(table, "y", bin_width=5, shots=(40, 12))
model = tailwise.fit(task, tailwise.Experiment("mixture", encoder="mlp", recipe=tailwise.Recipe(epochs=15)))
rows, y = task.rows_of("test")

balances = (0, 0.25, 0.5, 0.75, 1)
errors = [tailwise.region_metrics(y, model.predict(rows, balance=b), task.shots, resamples=0) for b in balances]
many, few = ([error[region].metrics["mae"].value for error in errors] for region in ("many", "few"))

figure, axis = plt.subplots(figsize=(5, 3.5), layout="constrained")
axis.plot(many, few, "o-")
for balance, where in zip(balances, zip(many, few, strict=True), strict=True):
    axis.annotate(f"{balance}", where, xytext=(5, 5), textcoords="offset points")
axis.set(xlabel="MAE where rows are many", ylabel="MAE where rows are few", title="Balance 0 to 1")
plt.show()
