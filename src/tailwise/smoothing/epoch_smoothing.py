"""Base of smoothers that start after some epochs."""

from torch import Tensor

from tailwise.labels.tensors import FullPrecision


class EpochSmoothing(FullPrecision):
    """Base of smoothers that count epochs in a buffer ``epoch`` and smooth from ``start_smooth`` on.

    Whether they smooth is kept as a Python value as well, because reading the buffer would wait for the device.
    """

    epoch: Tensor
    start_smooth: int
    _active = False

    def _count_epoch(self) -> None:
        self.epoch = self.epoch + 1
        self._active = int(self.epoch) >= self.start_smooth

    def _load_from_state_dict(self, *args: object, **kwargs: object) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._active = int(self.epoch) >= self.start_smooth
