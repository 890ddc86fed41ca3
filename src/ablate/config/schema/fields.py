"""Types that the schema's values are made of, each with the range it allows."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

CLOSED = ConfigDict(extra="forbid")

Switch = Annotated[bool, Field(strict=True)]
# A seed times 2**32 has to fit an index of 64 bits (ablate.world.conversations); torch takes no longer seed.
_END = 2**31
PositiveInt = Annotated[int, Field(gt=0, lt=_END, strict=True)]
NonNegativeInt = Annotated[int, Field(ge=0, lt=_END, strict=True)]
# More than any layer's width; a pair of factors takes rank * (inputs + outputs) scalars.
Rank = Annotated[int, Field(gt=0, le=2**16, strict=True)]
# 3 KB each, drawn before any model is loaded and held in memory.
Scenes = Annotated[int, Field(gt=0, le=2**20, strict=True)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)]
NonNegativeFloat = Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)]
Fraction = Annotated[float, Field(ge=0, le=1, strict=True)]
PositiveFraction = Annotated[float, Field(gt=0, le=1, strict=True)]
Share = Annotated[float, Field(ge=0, lt=1, strict=True)]
OpenFraction = Annotated[float, Field(gt=0, lt=1, strict=True)]
Template = Annotated[str, Field(pattern=r"\{\}")]
# A text about an image, such as CLIP is trained on, from the question about it and the answer.
Caption = Annotated[str, Field(pattern=r"\{(question|answer)\}")]
OpenQuestion = Annotated[str, Field(pattern=r"\{question\}")]

LossName = Literal["clip", "lm"]
Scoring = Literal["letters", "answers", "generate"]
Attention = Literal["sdpa", "eager", "flash_attention_2"]
Quantization = Literal["4bit", "8bit"]
Reading = Literal["first", "strict", "strict-any-case", "lenient", "brackets"]
ShotsPer = Literal["class", "session"]
ImageAspect = Literal["crop", "pad"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
# What a cell of a table may be compared with.
CellValue = bool | int | float | str
