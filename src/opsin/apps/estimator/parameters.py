"""The parameters of an estimator, as scikit-learn's tools (clone, pipelines, searches) use them, without that package.

See "Developing scikit-learn estimators" in its documentation: parameters are the arguments of `__init__`, stored as
they were given; fitted attributes end in an underscore.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Container, Mapping
from inspect import Parameter, signature
from textwrap import fill
from typing import Any, Self, TypeVar

from opsin.apps.estimator.errors import ParameterError
from opsin.base.errors import UsageError
from opsin.base.option_fields import OptionFields, declared_options
from opsin.base.optional import require

NOT_PARAMETERS = {"network", "seed", "search", "loss"}
"""Options of training that the estimators take in another form, or not at all."""

ONLY_CLASSES, ONLY_NUMBERS = {"label_smoothing", "class_weights", "tta"}, {"signed", "freeze"}
"""Options of training that make sense for classes, or for numbers only."""

ALL = {name: default for name, default, _ in declared_options(OptionFields) if name not in NOT_PARAMETERS}
DEFAULTS = {name: default for name, default in ALL.items() if name not in ONLY_NUMBERS}
REGRESSOR_DEFAULTS = {name: default for name, default in ALL.items() if name not in ONLY_CLASSES}
"""The options of training that are parameters of a classifier, and of a regressor, with their defaults."""

RENAMED = {"smoothing": "label_smoothing", "mirrored": "tta"}
"""Parameters under the names that they had in Opsin 0.1.0, and their current names."""

Init = TypeVar("Init", bound=Callable[..., None])


def option_parameters(defaults: Mapping[str, Any]) -> Callable[[Init], Init]:
    """Return a decorator of an `__init__` whose `**` parameter stands for options of training with these `defaults`.

    It gets their signature.
    """

    def decorate(init: Init) -> Init:
        declared = signature(init)
        own_parameters = [each for each in declared.parameters.values() if each.kind is not Parameter.VAR_KEYWORD]
        options = [Parameter(name, Parameter.KEYWORD_ONLY, default=default) for name, default in defaults.items()]
        parameters = sorted([*own_parameters[:2], *options, *own_parameters[2:]], key=lambda each: each.kind)
        init.__signature__ = declared.replace(parameters=parameters)  # type: ignore[attr-defined]
        return init

    return decorate


def describe_options(names: Container[str]) -> str:
    """Return a line for each of these options of training, for the docstring of an estimator."""
    described = ((name, option.help) for name, _, option in declared_options(OptionFields) if name in names)
    return "\n".join(
        fill(f"`{name}`: {text}", 116, initial_indent="    ", subsequent_indent="        ") for name, text in described
    )


class Parameters:
    """A class whose parameters are the arguments of its `__init__`."""

    _estimator_type = "classifier"  # scikit-learn before 1.6 reads it

    @classmethod
    def _defaults(cls) -> dict[str, Any]:
        return {name: each.default for name, each in signature(cls).parameters.items()}

    @classmethod
    def _option_defaults(cls) -> dict[str, Any]:
        """Return the options of training that are parameters, with their defaults."""
        return DEFAULTS

    def _set_options(self, options: Mapping[str, Any]) -> None:
        """Store the options of training. Raise `TypeError` for an unknown one, as Python does."""
        parameters, defaults = _with_current_names(options), self._option_defaults()
        for name in parameters:
            if name not in defaults:
                raise TypeError(f"{type(self).__name__}.__init__() got an unexpected keyword argument '{name}'")
        for name, default in defaults.items():
            setattr(self, name, parameters.get(name, default))

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name. `deep` makes no difference, because none of them is an estimator."""
        return {name: getattr(self, name) for name in self._defaults()}

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name, all or none. Raise `ParameterError` for an unknown one."""
        defaults, parameters = self._defaults(), _with_current_names(params)
        for name in parameters:
            if name not in defaults:
                raise ParameterError(
                    f"Invalid parameter '{name}' for {type(self).__name__}; it has {', '.join(sorted(defaults))}"
                )
        for name, value in parameters.items():
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        """Return the constructor call, with the parameters that differ from their defaults."""
        defaults = self._defaults()
        arguments = [
            f"{name}={value!r}" for name, value in self.get_params().items() if _differs(value, defaults[name])
        ]
        return f"{type(self).__name__}({', '.join(arguments)})"

    def __sklearn_tags__(self) -> Any:
        """Return the tags that scikit-learn 1.6 and later ask for. Only scikit-learn calls this."""
        utils = require("sklearn.utils", UsageError, "scikit-learn is not installed")
        is_classifier = self._estimator_type == "classifier"
        return utils.Tags(
            estimator_type=self._estimator_type,
            target_tags=utils.TargetTags(required=True, multi_output=not is_classifier),
            classifier_tags=utils.ClassifierTags() if is_classifier else None,
            regressor_tags=None if is_classifier else utils.RegressorTags(),
            input_tags=utils.InputTags(two_d_array=True, three_d_array=True),
        )


def _with_current_names(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters with their current names, and warn of old ones."""
    for name in RENAMED.keys() & parameters.keys():
        text = f"the parameter {name} is now {RENAMED[name]}; the old name will be removed in the next release"
        warnings.warn(text, DeprecationWarning, stacklevel=4)
    return {RENAMED.get(name, name): value for name, value in parameters.items()}


def _differs(value: Any, default: Any) -> bool:
    return value is not default and not (type(value) is type(default) and value == default)
