"""Training of the model: windows on the device, the objective, the loop."""

from ..progress import Progress
from .context import ContextHeads
from .curve import LossCurve
from .loop import Trained, train_model
from .stop import FoundSteps
from .windows import FrameTable

__all__ = ["ContextHeads", "FoundSteps", "FrameTable", "LossCurve", "Progress", "Trained", "train_model"]
