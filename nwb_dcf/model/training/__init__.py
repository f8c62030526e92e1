"""Training of the model: windows on the device, the objective, the loop."""

from ...config.progress import Progress
from .batches import FrameTable
from .context_heads import ContextHeads
from .loop import TrainingResult, train_model
from .loss_curve import LossCurve

__all__ = ["ContextHeads", "FrameTable", "LossCurve", "Progress", "TrainingResult", "train_model"]
