"""What a type checker needs of `typing`, without the ten milliseconds its import costs."""

__all__ = ["TYPE_CHECKING", "Generic", "V"]

TYPE_CHECKING = False
"""True to every type checker, whoever assigns this name."""

if TYPE_CHECKING:
    from typing import Generic, TypeVar

    V = TypeVar("V")
else:
    V = None

    class Generic:
        """Stands in for `typing.Generic`: a class that may be subscripted."""

        def __class_getitem__(cls, _item):  # noqa: ANN001, ANN204 - unseen by type checkers
            return cls
