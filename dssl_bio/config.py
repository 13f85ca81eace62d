"""Configuration: frozen pydantic models read from TOML; an unknown key is answered with those that exist."""

import difflib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from dssl_bio.errors import ConfigError, DsslBioError

MAX_CONFIG_BYTES = 1_000_000


class Config(BaseModel):
    """Base of every configuration: frozen, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


ConfigType = TypeVar("ConfigType", bound=Config)


def read_toml(path: Path, model: type[ConfigType], error: type[DsslBioError] = ConfigError) -> ConfigType:
    """A TOML file as a checked configuration.

    Raises:
        DsslBioError: of the class `error`: no such file, not TOML, or a key or value that does not fit.
    """
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise error(f"{path}: larger than a configuration can be ({MAX_CONFIG_BYTES:,} bytes)")
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as cause:
        raise error(f"no such file: {path}") from cause
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as cause:
        raise error(f"{path} cannot be read as TOML: {cause}") from cause
    return checked(values, model, str(path), error)


def checked(values: dict[str, Any], model: type[ConfigType], where: str,
            error: type[DsslBioError] = ConfigError) -> ConfigType:
    """Values as a configuration; every problem is listed with its place, in one message."""
    try:
        return model.model_validate(values)
    except ValidationError as cause:
        problems = [_problem(item, model) for item in cause.errors()]
        raise error(f"{where}: " + "; ".join(problems)) from cause


def with_overrides(config: ConfigType, settings: Sequence[str]) -> ConfigType:
    """A copy with `key=value` settings applied; nested keys are dotted, values are TOML or bare text.

    Raises:
        ConfigError: a setting without "=", a key that does not exist, or a value that does not fit.
    """
    values = config.model_dump(by_alias=True)
    for setting in settings:
        key, separator, text = setting.partition("=")
        if not separator:
            raise ConfigError(f"--set expects key=value, got {setting!r}")
        *parents, last = key.strip().split(".")
        place = values
        for parent in parents:
            if not isinstance(place.get(parent), dict):
                raise ConfigError(f"--set {setting}: no section {parent!r}")
            place = place[parent]
        place[last] = _literal(text.strip())
    return checked(values, type(config), "--set", ConfigError)


def _literal(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _problem(item: Any, model: type[BaseModel]) -> str:
    place = ".".join(str(part) for part in item["loc"])
    if item["type"] != "extra_forbidden":
        return f"{place}: {item['msg']} (got {item['input']!r})" if place else str(item["msg"])
    known = _keys_at(model, item["loc"][:-1])
    near = difflib.get_close_matches(str(item["loc"][-1]), known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"unknown key {place!r}{hint} Known keys: {', '.join(known)}"


def _keys_at(model: type[BaseModel], place: tuple[int | str, ...]) -> list[str]:
    """Names of the fields, as users write them, of the model nested at a place of a validation error."""
    current: Any = model
    for part in place:
        if isinstance(current, type) and issubclass(current, BaseModel) and part in current.model_fields:
            current = _model_within(current.model_fields[str(part)].annotation)
    if not (isinstance(current, type) and issubclass(current, BaseModel)):
        return []
    return sorted(field.alias or name for name, field in current.model_fields.items())


def _model_within(annotation: Any) -> Any:
    """The configuration class inside an annotation such as dict[str, X] or X | None."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _model_within(inner)
        if isinstance(found, type) and issubclass(found, BaseModel):
            return found
    return None
