"""Converted public checkpoints give the logits of the public code's own equations."""
from functools import partial

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from public_networks import R18, R34, Public, react_resnet, reactnet_a, resnet, vgg_small

from cmim_mm.checkpoint import CheckpointError
from cmim_mm.models.converters import NETWORKS, convert_state, import_checkpoint

R20 = (3, 3, 3)


def cifar20(kind='pad', **kwargs):
    return partial(resnet, classes=10, blocks=R20, width=16, kind=kind, **kwargs)


def cifar18(kind, **kwargs):
    return partial(resnet, classes=10, blocks=R18, width=64, kind=kind, **kwargs)


def imagenet(blocks, kind='strided', **kwargs):
    return partial(resnet, classes=1000, blocks=blocks, width=64, kind=kind, **kwargs)


PLAIN = dict(single=False, act_in_stem=False)
UNREAD = dict(extra=('bn3',))
VGG = partial(vgg_small, classes=10)
#: (method, network, data) -> the public forward pass.
PUBLIC = {
    ('IRNet', 'resnet20', 'cifar10'): cifar20(),
    ('IRNet', 'resnet18', 'cifar10'): cifar18('strided', **PLAIN),
    ('IRNet', 'vgg_small', 'cifar10'): VGG,
    ('IRNet', 'resnet18', 'imagenet'): imagenet(R18, **UNREAD),
    ('IRNet', 'resnet34', 'imagenet'): imagenet(R34, **UNREAD),
    ('RBNN', 'resnet20', 'cifar10'): cifar20(single=False),
    ('RBNN', 'resnet20_bireal', 'cifar10'): cifar20(),
    ('RBNN', 'resnet18', 'cifar10'): cifar18('binary', **PLAIN),
    ('RBNN', 'vgg_small', 'cifar10'): VGG,
    ('RBNN', 'resnet18', 'imagenet'): imagenet(R18, **UNREAD),
    ('RBNN', 'resnet34', 'imagenet'): imagenet(R34, **UNREAD),
    ('ReCU', 'resnet20', 'cifar10'): cifar20('pool_pad'),
    ('ReCU', 'resnet18', 'cifar10'): cifar18('pool_pad', **PLAIN),
    ('ReCU', 'resnet18_binary_shortcut', 'cifar10'): cifar18('binary', **PLAIN),
    ('ReCU', 'vgg_small', 'cifar10'): VGG,
    ('ReCU', 'resnet18', 'imagenet'): imagenet(R18),
    ('ReCU', 'resnet34', 'imagenet'): imagenet(R34),
    ('ReActNet', 'resnet18', 'imagenet'): partial(react_resnet, classes=1000, blocks=R18),
    ('ReActNet', 'resnet34', 'imagenet'): partial(react_resnet, classes=1000, blocks=R34),
    ('ReActNet', 'reactnet_a', 'imagenet'): partial(reactnet_a, classes=1000),
    ('AdaBin', 'resnet20', 'cifar10'): cifar20(),
    ('AdaBin', 'resnet18', 'cifar10'): cifar18('strided'),
    ('AdaBin', 'resnet18', 'imagenet'): imagenet(R18, 'pool', extra=('bn3', 'nonlinear2')),
    ('AdaBin', 'resnet34', 'imagenet'): imagenet(R34, 'pool', extra=('bn3', 'nonlinear2')),
}


#: Those whose logits are compared; between them they have every layout, block, stem, shortcut and method.
COMPARED = [case for case in PUBLIC if case not in {
    ('RBNN', 'resnet20_bireal', 'cifar10'), ('RBNN', 'resnet18', 'imagenet'),
    ('RBNN', 'vgg_small', 'cifar10'), ('ReCU', 'vgg_small', 'cifar10'),
    ('ReCU', 'resnet18_binary_shortcut', 'cifar10'),
    *((method, 'resnet34', 'imagenet') for method in NETWORKS)}]


def public(case, device='cpu'):
    """(state, images, logits) of the public network with random parameters."""
    with torch.device(device):
        size = 64 if case[2] == 'imagenet' else 32 if case[1] == 'vgg_small' else 16
        net, images = Public(case[0]), torch.randn(2, 3, size, size, dtype=torch.float64)
        logits = PUBLIC[case](net, images)
    return net.state, images, logits


def build(case, configs):
    """(names, config, model without memory)."""
    network = NETWORKS[case[0]][case[1:]]
    cfg = Config.fromfile(configs / f'{network.config}.py')
    with DefaultScope.overwrite_default_scope('mmseg'), torch.device('meta'):
        return network, cfg, MODELS.build(cfg.model)


@pytest.fixture
def configs(repository):
    return repository / 'configs/foreign'


def test_every_known_network_is_here_and_has_its_config(configs):
    assert {(method, *key) for method, known in NETWORKS.items() for key in known} == PUBLIC.keys()
    names = {network.config for known in NETWORKS.values() for network in known.values()}
    # CNV has an importer of its own.
    assert names | {'bnn_cnv_cifar10'} == {path.stem for path in configs.glob('*.py')}


@pytest.mark.parametrize('case', PUBLIC, ids='-'.join)
def test_every_key_and_shape_has_its_place(case, configs):
    state, _, _ = public(case, 'meta')
    network, cfg, model = build(case, configs)
    converted, left_out = convert_state(state, model, network, 'x')
    assert converted.keys() == model.state_dict().keys()
    assert all(value.shape == converted[key].shape for key, value in model.state_dict().items())
    assert all(key.endswith('.tau') or key.startswith(('bn3.', 'nonlinear2.')) for key in left_out)
    assert bool(left_out) == (case[0] == 'ReCU' or case[2] == 'imagenet' and case[0] != 'ReActNet')
    preprocessor = cfg.model.data_preprocessor
    assert preprocessor.mean == (123.675, 116.28, 103.53) and preprocessor.std == (58.395, 57.12, 57.375)
    assert preprocessor.get('bgr_to_rgb', False) == (case[2] == 'imagenet')


@pytest.mark.parametrize('case', COMPARED, ids='-'.join)
def test_logits_are_those_of_the_public_equations(case, configs):
    torch.manual_seed(0)
    state, images, expected = public(case)
    network, _, model = build(case, configs)
    converted, _ = convert_state(state, model, network, 'x')
    assert all(value == 1 for key, value in converted.items() if key.endswith('progress'))
    model.load_state_dict(converted, strict=True, assign=True)
    model.double().eval()
    with torch.no_grad():
        logits = model(images)
    assert (expected[0] - expected[1]).abs().min() > 0
    torch.testing.assert_close(logits, expected, rtol=1e-9, atol=1e-9 * expected.std().item())


@pytest.fixture(scope='module')
def adabin():
    return public(('AdaBin', 'resnet20', 'cifar10'))[0]


def save(state, path):
    torch.save({'state_dict': {f'module.{key}': value for key, value in state.items()}}, path)
    return path


@pytest.mark.parametrize('change, message', [
    (dict(drop='layer1.2.conv2.binary_a.beta_a'), r'1 missing: layer1\.2\.conv2\.binary_a\.beta_a\.'),
    (dict(add='bn3.weight'), r'1 left over: bn3\.weight\.'),
    (dict(drop='bn2.bias', add='bn2.bais'), r'1 missing: bn2\.bias; 1 left over: bn2\.bais\.'),
    (dict(shape='layer2.0.conv1.weight'), r'1 of another shape: layer2\.0\.conv1\.weight \(2,\), expected'),
    (dict(drop='linear.weight'), 'neither linear.weight nor fc.weight'),
    (dict(classes=100), r'has 100 classes; AdaBin resnet20 is known for cifar10 \(10 classes\)')])
def test_what_does_not_fit_is_named(change, message, adabin, configs, tmp_path):
    state = dict(adabin)
    state.pop(change.get('drop'), None)
    if 'add' in change:
        state[change['add']] = torch.ones(64)
    if 'shape' in change:
        state[change['shape']] = torch.ones(2)
    if 'classes' in change:
        state['linear.weight'] = torch.ones(change['classes'], 64)
    with pytest.raises(CheckpointError, match=message):
        import_checkpoint(save(state, tmp_path / 'in.pth'), 'AdaBin', 'resnet20', configs)


def test_other_layouts_of_the_file(adabin, configs, tmp_path):
    def take(content):
        torch.save(content, tmp_path / 'in.pth')
        return import_checkpoint(tmp_path / 'in.pth', 'AdaBin', 'resnet20', configs)

    plain = take(adabin)
    old = take({'state_dict': {k: v for k, v in adabin.items() if 'num_batches' not in k}})
    half = take({'epoch': 3, 'best_prec1': torch.tensor(88.5), 'arch': 'x',
                 'state_dict': {f'module.{k}': v.half() for k, v in adabin.items()}})
    assert plain.record == old.record == {} and half.record == dict(epoch=3, best_prec1=88.5, arch='x')
    assert plain.state.keys() - old.state.keys() == {k for k in plain.state if 'num_batches' in k}
    assert half.state['backbone.conv1.weight'].dtype == torch.float32
    for content, message in (({}, 'no state_dict'), (dict(state_dict=dict(a=1)), 'a are no tensors')):
        with pytest.raises(CheckpointError, match=message):
            take(content)


def test_another_method_is_refused_by_its_keys(adabin, configs, tmp_path):
    path = save(adabin, tmp_path / 'in.pth')
    with pytest.raises(CheckpointError, match='IRNet resnet20 .*left over: .*neg_scale'):
        import_checkpoint(path, 'IRNet', 'resnet20', configs)
    with pytest.raises(ValueError, match="network='vgg_small' is unknown for AdaBin; valid are resnet20,"):
        import_checkpoint(path, 'AdaBin', 'vgg_small', configs)
    with pytest.raises(ValueError, match="method='BNN' is unknown; valid are IRNet"):
        import_checkpoint(path, 'BNN', 'resnet20', configs)


def test_what_another_tool_left_goes_by_one_option(adabin, configs, tmp_path):
    path = save({**adabin, 'total_ops': torch.ones(1), 'layer1.0.conv1.total_ops': torch.ones(1)},
                tmp_path / 'in.pth')
    with pytest.raises(CheckpointError, match=r'2 left over: .*go by --leave-out total_ops\.'):
        import_checkpoint(path, 'AdaBin', 'resnet20', configs)
    imported = import_checkpoint(path, 'AdaBin', 'resnet20', configs, leave_out=['total_ops'])
    assert not any('total_ops' in key for key in imported.state)
