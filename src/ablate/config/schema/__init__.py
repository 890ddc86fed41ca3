"""Every value a run depends on, typed: what YAML becomes at the config boundary.

No class here has defaults: each value lives once, in `configs/`. Ranges are checked where the
values are read, so code past the boundary can rely on them.
"""

from ablate.config.schema.cluster import (
    BoxCluster,
    ClusterConfig,
    NoCluster,
    SlurmCluster,
    SweepConfig,
)
from ablate.config.schema.data import (
    DataConfig,
    DigitsData,
    FewShotData,
    ImageFolderData,
    InstructionDataConfig,
    LlavaJsonData,
    ShapesData,
    ShapesInstructData,
)
from ablate.config.schema.encoders import EncoderConfig, EncoderPart
from ablate.config.schema.fields import LossName, Precision, Scoring
from ablate.config.schema.method import METHOD_NAMES, MethodConfig, PeftTunerMethod
from ablate.config.schema.methods import (
    AdaloraMethod,
    DoraMethod,
    EwcMethod,
    FrozenMethod,
    FullLanguageMethod,
    FullMethod,
    LayerNormMethod,
    LoraMethod,
    LorsuLMethod,
    LorsuMethod,
    LorsuVariant,
    SpuMethod,
    TargetModules,
)
from ablate.config.schema.run import (
    AblationConfig,
    AxisValue,
    CheckpointConfig,
    EvalConfig,
    ModelConfig,
    RunConfig,
    TrainConfig,
)
from ablate.config.schema.suites import StableConfig, SuiteConfig
from ablate.config.schema.tasks import TaskConfig

__all__ = [
    "METHOD_NAMES",
    "AblationConfig",
    "AdaloraMethod",
    "AxisValue",
    "BoxCluster",
    "CheckpointConfig",
    "ClusterConfig",
    "DataConfig",
    "DigitsData",
    "DoraMethod",
    "EncoderConfig",
    "EncoderPart",
    "EvalConfig",
    "EwcMethod",
    "FewShotData",
    "FrozenMethod",
    "FullLanguageMethod",
    "FullMethod",
    "ImageFolderData",
    "InstructionDataConfig",
    "LayerNormMethod",
    "LlavaJsonData",
    "LoraMethod",
    "LorsuLMethod",
    "LorsuMethod",
    "LorsuVariant",
    "LossName",
    "MethodConfig",
    "ModelConfig",
    "NoCluster",
    "PeftTunerMethod",
    "Precision",
    "RunConfig",
    "Scoring",
    "ShapesData",
    "ShapesInstructData",
    "SlurmCluster",
    "SpuMethod",
    "StableConfig",
    "SuiteConfig",
    "SweepConfig",
    "TargetModules",
    "TaskConfig",
    "TrainConfig",
]
