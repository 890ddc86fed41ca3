"""LoRSU as a peft method: importing this package lets peft build, save and load its adapters.

Example:
    config = LorsuConfig.published("lm", r=64, top_k_heads=2, sparsity=0.1)
    gradients = mean_gradients(importance_parameters(tower, config), batches, loss_fn)
    model = get_peft_model(tower, config)
    select(model, gradients)
"""

from peft.mapping import (
    PEFT_TYPE_TO_CONFIG_MAPPING,
    PEFT_TYPE_TO_PREFIX_MAPPING,
    PEFT_TYPE_TO_TUNER_MAPPING,
)

from ablate.methods.lorsu.budget import (
    TowerShape,
    TrainingBytes,
    parameter_groups,
    tower_shape,
    trainable_scalars,
    training_bytes,
)
from ablate.methods.lorsu.config import PEFT_TYPE, LorsuConfig
from ablate.methods.lorsu.entries_linear import EntriesLinear
from ablate.methods.lorsu.importance import importance_parameters, mean_gradients
from ablate.methods.lorsu.layer import LorsuLayer
from ablate.methods.lorsu.model import LorsuModel
from ablate.methods.lorsu.rows_linear import RowsLinear
from ablate.methods.lorsu.selection import select

__all__ = [
    "EntriesLinear",
    "LorsuConfig",
    "LorsuLayer",
    "LorsuModel",
    "RowsLinear",
    "TowerShape",
    "TrainingBytes",
    "importance_parameters",
    "mean_gradients",
    "parameter_groups",
    "select",
    "tower_shape",
    "trainable_scalars",
    "training_bytes",
]

# peft.utils.register_peft_method takes only names of its own enum; the mappings it fills take any
# string, and peft looks methods up nowhere else (peft 0.21.2).
PEFT_TYPE_TO_CONFIG_MAPPING[PEFT_TYPE] = LorsuConfig  # type: ignore[index]
PEFT_TYPE_TO_TUNER_MAPPING[PEFT_TYPE] = LorsuModel  # type: ignore[index]
PEFT_TYPE_TO_PREFIX_MAPPING[PEFT_TYPE] = LorsuModel.prefix  # type: ignore[index]
