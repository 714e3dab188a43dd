"""What scikit-learn's tools (clone, pipelines, searches) ask of an estimator, without that package.

See "Developing scikit-learn estimators" in its documentation: parameters are the arguments of `__init__`, kept as they
were given; what is learnt ends in an underscore.
"""

from __future__ import annotations

from inspect import signature
from typing import Any, Self

from opsin.apps.estimator.problems import ParameterError
from opsin.base.errors import UsageError
from opsin.base.optional import require


class Parameters:
    """A class whose parameters are the arguments of its `__init__`."""

    _estimator_type = "classifier"  # what scikit-learn asked for before 1.6

    @classmethod
    def _defaults(cls) -> dict[str, Any]:
        return {name: each.default for name, each in signature(cls).parameters.items()}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters by name; `deep` makes no difference, as none of them is an estimator."""
        return {name: getattr(self, name) for name in self._defaults()}

    def set_params(self, **params: Any) -> Self:
        """Sets parameters by name, all or none; `ParameterError` for one that there is not."""
        known = self._defaults()
        for name in params:
            if name not in known:
                raise ParameterError(
                    f"Invalid parameter '{name}' for {type(self).__name__}; it has {', '.join(sorted(known))}"
                )
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        """As it would be made, with what differs from the defaults."""
        defaults = self._defaults()
        shown = [f"{name}={value!r}" for name, value in self.get_params().items() if _differs(value, defaults[name])]
        return f"{type(self).__name__}({', '.join(shown)})"

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn from 1.6 on asks first; nobody calls it where that is not installed."""
        utils = require("sklearn.utils", UsageError, "scikit-learn is not installed")
        return utils.Tags(
            estimator_type="classifier",
            target_tags=utils.TargetTags(required=True),
            classifier_tags=utils.ClassifierTags(),
            input_tags=utils.InputTags(two_d_array=True, three_d_array=True),
        )


def _differs(value: Any, default: Any) -> bool:
    return value is not default and not (type(value) is type(default) and value == default)
