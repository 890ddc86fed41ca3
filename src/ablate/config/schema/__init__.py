"""Every value a run depends on, typed: what YAML becomes at the config boundary.

No class here has defaults: each value lives once, in `configs/`. Ranges are checked where the
values are read, so code past the boundary can rely on them.
"""

from ablate.config.schema.data import DataConfig, DigitsData, ImageFolderData, ShapesData
from ablate.config.schema.fields import LossName, Precision, Scoring
from ablate.config.schema.methods import (
    AdaloraMethod,
    DoraMethod,
    EwcMethod,
    FrozenMethod,
    FullMethod,
    LayerNormMethod,
    LoraMethod,
    LorsuLMethod,
    LorsuMethod,
    LorsuVariant,
    MethodConfig,
    SpuMethod,
    TargetModules,
)
from ablate.config.schema.run import (
    AblationConfig,
    AxisValue,
    EvalConfig,
    ModelConfig,
    RunConfig,
    TrainConfig,
)

__all__ = [
    "AblationConfig",
    "AdaloraMethod",
    "AxisValue",
    "DataConfig",
    "DigitsData",
    "DoraMethod",
    "EvalConfig",
    "EwcMethod",
    "FrozenMethod",
    "FullMethod",
    "ImageFolderData",
    "LayerNormMethod",
    "LoraMethod",
    "LorsuLMethod",
    "LorsuMethod",
    "LorsuVariant",
    "LossName",
    "MethodConfig",
    "ModelConfig",
    "Precision",
    "RunConfig",
    "Scoring",
    "ShapesData",
    "SpuMethod",
    "TargetModules",
    "TrainConfig",
]
