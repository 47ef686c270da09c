"""What a grid file may say, and what is wrong with one.

    encoders = dict(
        scratch=dict(),                                         # the task's own backbone, random weights
        recu=dict(backbone=dict(binarizer='ReCU')),             # another one
        twin=dict(backbone=dict(binarizer=None)),               # full precision
        mine=dict(checkpoint='work_dirs/…/iter_1.pth'),         # its weights (prefix='backbone.')
        rooms=dict(pretrain='../nyud_depth_bnn.py'))            # trained first, once, as a run of its own
    tasks = dict(segmentation=dict(config='../nyud_seg_bnn.py'))
    modes = ['finetune', 'frozen', 'linear']
    shares = [10, 25, 100]                                      # of the training images, in percent, nested
    seeds = [0, 1, 2]
    baseline = 'scratch'

Paths of configs count from the grid file's folder. ``options`` (for every downstream run, for a task, a
mode or a pretraining) are keys and values as of ``--cfg-options``; in those of a pretraining
``'{encoder}'`` stands for the checkpoint of another pretrained encoder, which is then trained before it;
one that is only there for that has ``transfer=False``. ``finetune`` of an encoder are options of the runs
that fine-tune it, such as a lower rate. Names that begin with an underscore are the file's own.
"""
import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Optional

from mmengine.config import Config

MODES = ('finetune', 'frozen', 'linear')
CHOICES = ('last', 'best')
_DEFAULTS = dict(modes=['finetune'], shares=[100], seeds=[0], baseline=None, checkpoint='last', held_out=0,
                 painted=3, options={})
_ENCODER = ('backbone', 'checkpoint', 'prefix', 'pretrain', 'data_root', 'options', 'transfer', 'finetune')
_TASK = ('config', 'options')


class GridError(ValueError):
    """A grid that cannot be run; the message names the file, the key and what was expected."""


class Grid:
    """A checked grid file.

    Attributes:
        path: The file.
        encoders: Name -> its dict; ``pretrain`` is a path from here.
        tasks: Name -> dict of ``config`` (a path from here) and ``options``.
        modes: Name -> options.
        shares: Percent of the training images.
        seeds: Of the downstream runs.
        baseline: The encoder that the others are compared with; by default the first.
        checkpoint: 'last', or 'best' on the held-out part.
        held_out: Percent of the training images that no run trains on, for validation.
        painted: Number of test images to paint.
        options: For every downstream run.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise GridError(f'{path}: there is no such grid; see configs/transfer/')
        try:
            content = Config.fromfile(path).to_dict()
        except Exception as error:
            raise GridError(f'{path} cannot be read as a grid: {type(error).__name__}: {error}') from error
        content = {key: value for key, value in content.items() if not key.startswith('_')}
        self._check_keys('', content, ('encoders', 'tasks', *_DEFAULTS))
        for key in ('encoders', 'tasks'):
            if not (isinstance(content.get(key), dict) and content[key]):
                self._fail(key, f'is {content.get(key)!r}, expected a dict of one or more, name=dict(...)')
            for name in content[key]:
                if not re.fullmatch(r'\w[\w.+-]*', str(name)):
                    self._fail(f'{key}.{name}', 'is no name for a folder; expected letters, digits and _.+-')
        content = {**_DEFAULTS, **content}
        self.encoders = {name: self._encoder(name, one) for name, one in content['encoders'].items()}
        self.tasks = {name: self._task(name, one) for name, one in content['tasks'].items()}
        self.modes = self._modes(content['modes'])
        self.shares = self._numbers('shares', content['shares'], 1, 100)
        self.seeds = self._numbers('seeds', content['seeds'], 0, 2**31)
        self.held_out = self._numbers('held_out', [content['held_out']], 0, 50)[0]
        self.painted = self._numbers('painted', [content['painted']], 0, 20)[0]
        self.options = self._dict('options', content['options'])
        self.checkpoint = self._one_of('checkpoint', content['checkpoint'], CHOICES)
        used = [name for name, one in self.encoders.items() if one.get('transfer', True)]
        self.baseline = self._one_of('baseline', content['baseline'] or (used or ['?'])[0], used)
        if self.checkpoint == 'best' and not self.held_out:
            self._fail('checkpoint', "is 'best', which needs a part of train to be best on (never the test "
                       'split): set held_out, e.g. held_out=10 (percent)')

    @property
    def from_scratch(self) -> list[str]:
        """Encoders with random weights."""
        return [name for name, one in self.encoders.items() if not {'checkpoint', 'pretrain'} & one.keys()]

    def _encoder(self, name: str, one: Any) -> dict:
        where = f'encoders.{name}'
        one = self._dict(where, one)
        self._check_keys(f'{where}.', one, _ENCODER)
        sources = [key for key in ('checkpoint', 'pretrain') if one.get(key)]
        if len(sources) > 1:
            self._fail(where, 'has both checkpoint and pretrain; give one')
        pretrain = sources == ['pretrain']
        for key in ('data_root', 'options', 'transfer') if not pretrain else ('backbone', ):
            if key in one:
                advice = 'follows from the pretraining config' if pretrain else 'goes with pretrain=CONFIG'
                self._fail(f'{where}.{key}', f'{advice}; take it out')
        self._dict(f'{where}.backbone', one.get('backbone', {}))
        self._dict(f'{where}.options', one.get('options', {}))
        self._dict(f'{where}.finetune', one.get('finetune', {}))
        if pretrain:
            one['pretrain'] = self._config(f'{where}.pretrain', one['pretrain'])
        elif sources and '://' not in one['checkpoint'] and not Path(one['checkpoint']).is_file():
            self._fail(f'{where}.checkpoint', f'{one["checkpoint"]!r}: there is no such file')
        return one

    def _task(self, name: str, one: Any) -> dict:
        one = self._dict(f'tasks.{name}', one)
        self._check_keys(f'tasks.{name}.', one, _TASK)
        options = self._dict(f'tasks.{name}.options', one.get('options', {}))
        return {'config': self._config(f'tasks.{name}.config', one.get('config')), 'options': options}

    def _modes(self, modes: Any) -> dict[str, dict]:
        if not isinstance(modes, Mapping):
            modes = {name: {} for name in self._list('modes', modes)}
        return {self._one_of('modes', name, MODES): self._dict(f'modes.{name}', options)
                for name, options in modes.items()}

    def _config(self, key: str, path: Any) -> Path:
        if not isinstance(path, str):
            self._fail(key, f"is {path!r}, expected the path of a config, e.g. '../nyud_seg_bnn.py'")
        found = self.path.parent / path
        if not found.is_file():
            self._fail(key, f'{path!r}: there is no such config at {found}')
        return found

    def _numbers(self, key: str, values: Any, low: int, high: int) -> list[int]:
        values = self._list(key, values)
        for value in values:
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                self._fail(key, f'has {value!r}, expected whole numbers from {low} to {high}')
        return values

    def _list(self, key: str, values: Any) -> list:
        if not isinstance(values, (list, tuple)) or not values or len({*map(str, values)}) < len(values):
            self._fail(key, f'is {values!r}, expected a list of one or more different values')
        return list(values)

    def _dict(self, key: str, value: Any) -> dict:
        if not isinstance(value, dict):
            self._fail(key, f'is {value!r}, expected a dict')
        return dict(value)

    def _one_of(self, key: str, value: Any, valid: Iterable) -> Any:
        valid = [*valid]
        if value not in valid:
            self._fail(key, f'is {value!r}, expected {" or ".join(map(repr, valid))}{_close(value, valid)}')
        return value

    def _check_keys(self, where: str, content: Mapping, valid: Iterable[str]) -> None:
        for key in content.keys() - {*valid}:
            self._fail(f'{where}{key}', f'there is no such key{_close(key, valid)}; valid are '
                       f'{", ".join(valid)}')

    def _fail(self, key: str, problem: str) -> None:
        raise GridError(f'{self.path}: {key} {problem}')


def _close(value: Any, valid: Iterable) -> str:
    close: list[Optional[str]] = difflib.get_close_matches(str(value), [str(v) for v in valid], n=1)
    return f"; did you mean '{close[0]}'?" if close else ''
