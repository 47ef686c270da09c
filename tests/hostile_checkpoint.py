"""Checkpoints that would run a program if they were read carelessly; a helper of the tests here."""
import os

import torch


class Payload:
    """Creates a file when it is unpickled."""

    def __init__(self, marker, function=os.system):
        self.call = function, (f'touch {marker}' if function is os.system else f'open({str(marker)!r}, "w")',)

    def __reduce__(self):
        return self.call


def program(marker):
    """The same as the text of a config."""
    return f'open({str(marker)!r}, "w").close()\nmodel = dict()'


def write_hostile(path, marker):
    """A checkpoint with a payload in its optimizer's state."""
    torch.save({'meta': {'epoch': 0, 'iter': 1}, 'state_dict': {'layer.bias': torch.ones(1)},
                'optimizer': {'state': {}, 'param_groups': Payload(marker)}}, path)
    return str(path)
