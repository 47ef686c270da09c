"""The model of a Runner without what wraps it."""
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn


def bare_model(runner: Runner) -> nn.Module:
    """The model itself, also where several ranks share it."""
    return runner.model.module if is_model_wrapper(runner.model) else runner.model
