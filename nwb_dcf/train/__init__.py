"""Training of the model: windows on the device, the objective, the loop."""

from ..progress import Progress
from .context import ContextHeads
from .curve import LossCurve
from .loop import Trained, train_model
from .windows import FrameTable

__all__ = ["ContextHeads", "FrameTable", "LossCurve", "Progress", "Trained", "train_model"]
