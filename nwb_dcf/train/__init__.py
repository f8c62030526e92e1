"""Training of the model: windows on the device, the objective, the loop."""

from .loop import LossCurve, Progress, Trained, train_model
from .windows import FrameTable

__all__ = ["FrameTable", "LossCurve", "Progress", "Trained", "train_model"]
