"""Words that fill in what a shipped data set leaves to the user."""

from pathlib import Path

from omegaconf import OmegaConf

from ablate.config.folder import config_folder


def places(data: str, key: str = "data") -> list[str]:
    """Give every key without a value, of a data set's file or those it starts from, a place that need not be there."""
    missing = sorted(_missing(config_folder() / "data" / f"{data}.yaml"))
    return [f"{key}.{name}=." for name in missing]


def _missing(file: Path) -> set[str]:
    content = OmegaConf.load(file)
    own = {str(k) for k in content if OmegaConf.is_missing(content, str(k))}
    given = {str(k) for k in content} - own
    bases = [entry for entry in content.get("defaults", []) if isinstance(entry, str)]
    inherited = set().union(*(_missing(file.with_stem(n)) for n in bases if n != "_self_"))
    return own | (inherited - given)
