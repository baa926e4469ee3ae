"""Settings of the load, from the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Literal

import msgspec
from msgspec import Meta


@dataclass(frozen=True, kw_only=True)
class LoadSettings:
    """Amount and kind of the load, and the file of its truth."""

    load_rate: Annotated[float, Meta(gt=0, le=1e6)] = 1000.0
    """Payments a second."""

    load_seconds: Annotated[float, Meta(gt=0)] = 30.0
    """Duration of a load with a shape."""

    load_shape: Literal["none", "steady", "ramp", "spike"] = "none"
    """All at once; from a tenth up; a fifth with a spike; or, with none, as many users as locust is told."""

    load_seed: int | None = None
    """The same seed makes the same payments; without one the clock gives it."""

    load_share: Annotated[float, Meta(ge=0, le=1)] = 0.03
    """Share of payments that belong to patterns."""

    load_anywhere: bool = False
    """Allow loading a service on another machine."""

    truth: str = ".local/truth.ndjson"
    """File with what should be found: a line for each pattern that was sent."""


def read_settings(environment: Mapping[str, str] = os.environ) -> LoadSettings:
    """Settings from the environment; an empty one counts as not set. Raises SystemExit that names what is wrong."""
    values = {field.name: environment.get(field.name.upper(), "") for field in fields(LoadSettings)}
    try:
        return msgspec.convert({name: value for name, value in values.items() if value}, LoadSettings, strict=False)
    except msgspec.ValidationError as error:
        raise SystemExit(f"load: {error}") from None
