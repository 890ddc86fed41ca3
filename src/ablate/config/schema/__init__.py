"""Every value a run depends on, typed: what YAML becomes at the config boundary.

Values live once, in `configs/`. A key that came later than its class has a default, which means "as it was before":
files without it still work, and a run whose keys have their defaults keeps its name. Ranges are checked where the
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
    ChoicesData,
    DataConfig,
    DigitsData,
    FewShotData,
    HubData,
    ImageFolderData,
    InstructionDataConfig,
    LlavaJsonData,
    SessionClasses,
    ShapesData,
    ShapesInstructData,
    YesNoData,
)
from ablate.config.schema.encoders import EncoderConfig, EncoderPart
from ablate.config.schema.fields import (
    ImageAspect,
    LossName,
    Precision,
    Reading,
    Scoring,
    ShotsPer,
)
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
    ProtocolConfig,
    RunConfig,
)
from ablate.config.schema.suites import StableConfig, SuiteConfig
from ablate.config.schema.tasks import TaskConfig
from ablate.config.schema.train import AugmentConfig, TrainConfig

__all__ = [
    "METHOD_NAMES",
    "AblationConfig",
    "AdaloraMethod",
    "AugmentConfig",
    "AxisValue",
    "BoxCluster",
    "CheckpointConfig",
    "ChoicesData",
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
    "HubData",
    "ImageAspect",
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
    "ProtocolConfig",
    "Reading",
    "RunConfig",
    "Scoring",
    "SessionClasses",
    "ShapesData",
    "ShapesInstructData",
    "ShotsPer",
    "SlurmCluster",
    "SpuMethod",
    "StableConfig",
    "SuiteConfig",
    "SweepConfig",
    "TargetModules",
    "TaskConfig",
    "TrainConfig",
    "YesNoData",
]
