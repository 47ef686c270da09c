"""What README tells people to type is typed here."""
import re
import shlex
from argparse import ArgumentParser
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.registry import MODELS

from cmim_mm.binarize import BinaryConv2d
from cmim_mm.engine import cli
from cmim_mm.models import CMIMHead
from cmim_mm.registry import BINARIZERS

REPOSITORY = Path(__file__).resolve().parents[2]
TEXT = (REPOSITORY / 'README.md').read_text()


def blocks(language):
    return re.findall(rf'```{language}\n(.*?)```', TEXT, re.DOTALL)


def commands():
    lines = '\n'.join(blocks('bash')).replace('\\\n', ' ').splitlines()
    inline = re.findall(r'`(python tools/[^`]+)`', TEXT)
    return [line for line in [*lines, *inline] if line.startswith('python tools/')]


def options():
    """Those behind each --cfg-options, and those of the row that lists alternatives."""
    row = next(line for line in TEXT.splitlines() if line.startswith('| a loss is NaN'))
    texts = [*re.findall(r'--cfg-options ([^`\n|]+)', TEXT.replace('\\\n', ' ')),
             *re.findall(r'`([a-z_.0-9]+=[^`]+)`', row)]
    return [option for text in texts for option in text.split() if re.match(r'[a-z_.0-9]+=', option)]


class Parsed(Exception):
    """Ends a tool that has read its arguments."""


def arguments(module, argv, monkeypatch):
    parse = ArgumentParser.parse_args

    def stop(self, args=None, namespace=None):
        raise Parsed(parse(self, args, namespace))

    with monkeypatch.context() as patch, pytest.raises(Parsed) as parsed:
        patch.setattr(ArgumentParser, 'parse_args', stop)
        module.main(argv)
    return parsed.value.args[0]


@pytest.mark.parametrize('command', commands())
def test_each_command_is_understood_by_its_tool(command, tool, monkeypatch):
    """Its arguments parse, its config loads, and each of its options fits."""
    monkeypatch.chdir(REPOSITORY)
    name, *argv = shlex.split(command, comments=True)[1:]
    args = arguments(tool(name[len('tools/'):]), argv, monkeypatch)
    if Path(getattr(args, 'config', None) or '').suffix == '.py':
        cli.load_config(args)
    for config in getattr(args, 'configs', []):
        Config.fromfile(config.split()[0])


@pytest.fixture
def fast_again():
    yield
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.deterministic = False


def test_the_options_train(tool, rooms_root, tiny_options, tmp_path, fast_again):
    """All at once; the transfer of an encoder and a longer schedule have tests of their own."""
    given = [option for option in options() if 'init_cfg' not in option and '=30000' not in option]
    assert len(given) >= 6 and 'train_cfg.micro_batches=2' in given
    tool('train.py').main([
        str(REPOSITORY / 'configs/nyud_seg_bnn_quick.py'), '--data-root', str(rooms_root),
        '--work-dir', str(tmp_path), *tiny_options, *given])
    assert (tmp_path / 'iter_2.pth').is_file()


def test_the_methods_listed_are_those_there_are():
    row = next(line for line in TEXT.splitlines() if line.startswith('| `model.backbone.binarizer`'))
    listed = re.findall(r'`(\w+)`', row.split('|')[2].partition(';')[0])
    assert {*listed} == {*BINARIZERS.module_dict}


def child(tmp_path, base, snippet):
    path = tmp_path / 'child.py'
    path.write_text((f'_base_ = {str(REPOSITORY / "configs" / base)!r}\n' if base else '') + snippet.replace(
        "'./", f"'{REPOSITORY}/configs/"))
    return Config.fromfile(path)


def snippet(word):
    texts = [*blocks('python'), *re.findall(r'`(visualizer = [^`]+)`', TEXT)]
    return next(text for text in texts if word in text)


def test_a_one_bit_head(tmp_path):
    cfg = child(tmp_path, 'nyud/reactnet_r18-fcn_1xb8-20k_nyud-480x640.py', snippet('conv_cfg'))
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(cfg.model)
    assert any(isinstance(module, BinaryConv2d) for module in model.decode_head.modules())


def test_two_lines_add_cmim(tmp_path):
    cfg = child(tmp_path, None, snippet("'cmim'"))
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(cfg.model)
    assert any(isinstance(module, CMIMHead) for module in model.modules())
    assert any(isinstance(module, BinaryConv2d) for module in model.modules())


def test_tensorboard(tool, rooms_root, tiny_options, tmp_path):
    pytest.importorskip('tensorboard')
    cfg = child(tmp_path, 'nyud_seg_bnn_quick.py', snippet('TensorboardVisBackend'))
    assert cfg.visualizer.type == 'cmim_mm.DenseVisualizer'
    tool('train.py').main([str(tmp_path / 'child.py'), '--data-root', str(rooms_root),
                           '--work-dir', str(tmp_path / 'work'), *tiny_options])
    assert [*(tmp_path / 'work').rglob('events.out.tfevents.*')]


def test_the_interface_in_python(rooms_root, tmp_path, monkeypatch):
    """With weights alone, which is what README advises to keep of a refused checkpoint."""
    cfg = Config.fromfile(REPOSITORY / 'configs/nyud_seg_bnn.py')
    (tmp_path / 'work_dirs/nyud_seg_bnn').mkdir(parents=True)
    with DefaultScope.overwrite_default_scope('mmseg'):
        torch.save({'state_dict': MODELS.build(cfg.model).state_dict()},
                   tmp_path / 'work_dirs/nyud_seg_bnn/iter_20000.pth')
    (tmp_path / 'data').mkdir()
    (tmp_path / 'data/nyud').symlink_to(rooms_root)
    (tmp_path / 'configs').symlink_to(REPOSITORY / 'configs')
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(snippet('inference_model'), names)
    assert names['result'].pred_sem_seg.data.shape == (1, 64, 96)
