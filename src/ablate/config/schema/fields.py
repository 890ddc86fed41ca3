"""Types that the schema's values are made of, each with the range it allows."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

CLOSED = ConfigDict(extra="forbid")

Switch = Annotated[bool, Field(strict=True)]
PositiveInt = Annotated[int, Field(gt=0, strict=True)]
NonNegativeInt = Annotated[int, Field(ge=0, strict=True)]
# Generators of random numbers take seeds of 32 bits.
Seed = Annotated[int, Field(ge=0, lt=2**32, strict=True)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)]
NonNegativeFloat = Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)]
Fraction = Annotated[float, Field(ge=0, le=1, strict=True)]
OpenFraction = Annotated[float, Field(gt=0, lt=1, strict=True)]
Template = Annotated[str, Field(pattern=r"\{\}")]

LossName = Literal["clip", "lm"]
Scoring = Literal["letters", "answers", "generate"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
