"""What an operation of torch's does with the tensors that it is given, by its schema."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import torch

_aten = torch.ops.aten
_BY_CONTENT = (_aten.nonzero, _aten.masked_select, _aten._unique2)


@cache
def effect_of(func: Any) -> str:  # noqa: ANN401  # an operation of torch's
    """Say what an operation does.

    Args:
        func: One of `torch.ops`, an overload.

    Returns:
        "element": reads a number; "true": reads a truth value; "by content": makes a tensor whose shape depends on
        numbers; "write": changes what it is given; "view": looks at it in another way; "new": makes a tensor.
    """
    operation = func.overloadpacket
    if operation in (_aten._local_scalar_dense, _aten.item):
        return "element"
    if operation in (_aten.is_nonzero, _aten.equal):
        return "true"
    if operation in _BY_CONTENT:
        return "by content"
    aliases = [a.alias_info for a in func._schema.arguments if a.alias_info is not None]
    if any(alias.is_write for alias in aliases) and torch.Tag.inplace_view not in func.tags:
        return "write"
    return "view" if aliases else "new"


@cache
def _written(func: Any) -> tuple[int, str]:  # noqa: ANN401  # as above
    """Return position and name of the argument that an operation writes to."""
    return next(
        (position, argument.name)
        for position, argument in enumerate(func._schema.arguments)
        if argument.alias_info is not None and argument.alias_info.is_write
    )


def written_to(func: Any, args: tuple[Any, ...], named: Mapping[str, Any]) -> Any:  # noqa: ANN401  # as above
    """Return the argument that an operation writes to, if it returns anything: that is its result."""
    if not func._schema.returns:
        return None
    position, name = _written(func)
    return named[name] if name in named else args[position]
