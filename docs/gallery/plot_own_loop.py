"""
A method in a loop of your own
==============================

``compose`` gives one module whose ``forward`` returns the named terms of the loss; the loop is yours.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch

from tailwise import MLP, Regressor, compose

rng = np.random.default_rng(0)
torch.manual_seed(0)
x = torch.from_numpy(rng.exponential(1.0, (512, 1)).astype("float32"))
y = 5 + 8 * x[:, 0] + 3 * torch.randn(512)

history = {}
for name in ("vanilla", "sqinv+lds", "sqinv+lds+conr"):
    objective = compose(name).build(Regressor(MLP(1), n_features=256), y.numpy())
    optimizer = torch.optim.AdamW(objective.parameters(), lr=1e-3)
    history[name] = []
    for _ in range(30):
        terms = objective(x, y)
        optimizer.zero_grad()
        sum(terms.values()).backward()
        optimizer.step()
        with torch.no_grad():
            rare = y > 30
            history[name].append(float((objective.model(x[rare]) - y[rare]).abs().mean()))
    objective.end_epoch()

figure, axis = plt.subplots(figsize=(6, 3), layout="constrained")
for name, errors in history.items():
    axis.plot(errors, label=name)
axis.set(xlabel="step", ylabel="MAE of rows above 30", title="Training error of rare rows")
axis.legend()
plt.show()
