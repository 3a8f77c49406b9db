"""
Costs, chances and quantiles
============================

What a distribution for each row is good for: a cautious prediction, and the chance of exceeding a limit.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import tailwise

rng = np.random.default_rng(0)
wind = rng.uniform(0, 5, 1000)
dust = 8 + 40 * np.exp(-wind) * rng.gamma(4, 0.25, 1000)
task = tailwise.prepare(pd.DataFrame({"wind": wind, "dust": dust}), "dust", split="random")
model = tailwise.fit(task, tailwise.Experiment("mixture", encoder="mlp", recipe=tailwise.Recipe(epochs=20)))

new = pd.DataFrame({"wind": np.linspace(0, 5, 60)})
predictive = model.predictive(new)
low, high = predictive.quantile([0.1, 0.9]).T

figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
left.scatter(wind, dust, s=3, color="grey", alpha=0.4)
left.fill_between(new["wind"], low, high, alpha=0.2, label="10 to 90 %")
left.plot(new["wind"], model.predict(new), label="prediction")
left.plot(new["wind"], model.predict(new, under=10, over=1), label="too low costs 10 times")
left.set(xlabel="wind", ylabel="dust")
left.legend()
right.plot(new["wind"], predictive.above(25))
right.set(xlabel="wind", ylabel="chance of more than 25", ylim=(0, 1))
plt.show()
