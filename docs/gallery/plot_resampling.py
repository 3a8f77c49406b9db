"""
Resampling a table
==================

SMOGN makes rare rows between rare rows and leaves out common ones; the rows that it made are marked.
"""

import matplotlib.pyplot as plt
import numpy as np

from tailwise.sampling import SMOGN

rng = np.random.default_rng(0)
x = rng.exponential(1.0, (500, 1))
y = 5 + 8 * x[:, 0] + rng.normal(0, 3, 500)
sampler = SMOGN(random_state=0)
more_x, more_y = sampler.fit_resample(x, y)
made = sampler.synthetic_

figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3), sharex=True, sharey=True, layout="constrained")
left.scatter(x, y, s=8)
left.set(title=f"{len(y)} rows", xlabel="x", ylabel="target")
right.scatter(more_x[~made], more_y[~made], s=8, label="kept")
right.scatter(more_x[made], more_y[made], s=8, color="crimson", label="made")
right.set(title=f"{len(more_y)} rows", xlabel="x")
right.legend()
plt.show()
