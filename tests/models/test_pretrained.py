"""A pretrained encoder loads whole or not at all."""
import pytest
import torch
from mmengine.config import Config

from cmim_mm.checkpoint import CheckpointError
from cmim_mm.models import BinaryResNet, ImageClassifier
from cmim_mm.models.pretrained import check_weights
from cmim_mm.registry import MODELS


def pretrained(path, prefix='backbone.'):
    return dict(type='Pretrained', checkpoint=str(path), prefix=prefix)


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A classifier's checkpoint, all numbers of its encoder drawn at random; returns (path, weights)."""
    torch.manual_seed(0)
    model = ImageClassifier(dict(type='cmim_mm.BinaryResNet', depth=18, binarizer='ReActNet'),
                            dict(type='cmim_mm.ClsHead', num_classes=3))
    for value in model.state_dict().values():
        if value.is_floating_point():
            value.uniform_(0.1, 1.0)
    path = tmp_path_factory.mktemp('classifier') / 'iter_2.pth'
    torch.save(dict(state_dict=model.state_dict(), meta={}), path)
    return path, model.backbone.state_dict()


def test_a_classifiers_encoder_enters_the_segmentor(trained, repository, mmseg_scope):
    path, weights = trained
    cfg = Config.fromfile(repository / 'configs/nyud_seg_bnn.py')
    cfg.merge_from_dict({'model.backbone.init_cfg': pretrained(path)})
    model = MODELS.build(cfg.model)
    model.init_weights()
    loaded = model.backbone.state_dict()
    assert loaded.keys() == weights.keys()
    for key, value in weights.items():
        assert torch.equal(loaded[key], value), key


@pytest.mark.parametrize('other, message', [
    (dict(depth=34), r'\d+ missing: layer1\.4.*and \d+ more'),
    (dict(binarizer='IRNet'), r'left over: .*binarizer\.shift'),
    (dict(binarizer=None), r'missing: layer1\.0\.bn2'),
    (dict(in_channels=1), r'1 of another shape: conv1\.weight \(64, 3, 7, 7\), expected \(64, 1, 7, 7\)'),
    (dict(stem='cifar'), r'1 of another shape: conv1\.weight \(64, 3, 7, 7\), expected \(64, 3, 3, 3\)')])
def test_a_mismatch_is_an_error_that_names_the_keys(trained, other, message):
    backbone = BinaryResNet(init_cfg=pretrained(trained[0]), **{'binarizer': 'ReActNet', **other})
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    with pytest.raises(CheckpointError, match=rf'iter_2\.pth does not fit BinaryResNet: .*{message}'):
        backbone.init_weights()
    assert all(torch.equal(value, before[key]) for key, value in backbone.state_dict().items())


def test_a_wrong_or_missing_prefix_is_explained(trained):
    with pytest.raises(CheckpointError, match=r"begins with prefix='encoder\.'.* backbone, decode_head"):
        BinaryResNet(18, init_cfg=pretrained(trained[0], 'encoder')).init_weights()
    with pytest.raises(CheckpointError, match=r"add prefix='backbone\.'"):
        BinaryResNet(18, init_cfg=dict(type='Pretrained', checkpoint=str(trained[0]))).init_weights()


def test_published_resnet_weights_enter_the_full_precision_twin(tmp_path):
    """They hold a classifier, and old ones no count of batches."""
    path = tmp_path / 'resnet18.pth'
    twin = BinaryResNet(binarizer=None, init_cfg=[
        dict(type='Constant', layer='Conv2d', val=0.5), dict(type='Pretrained', checkpoint=str(path))])
    weights = {key: torch.rand_like(value) for key, value in twin.state_dict().items()
               if not key.endswith('num_batches_tracked')}
    torch.save({**weights, 'fc.weight': torch.ones(2, 512), 'fc.bias': torch.ones(2)}, path)
    twin.init_weights()
    assert all(torch.equal(twin.state_dict()[key], value) for key, value in weights.items())


@pytest.mark.parametrize('left', [('total_ops', 'total_params'), ('hook_counter', )])
def test_what_another_tool_left_is_named_and_goes_by_one_option(left, trained, tmp_path):
    """A buffer at every layer, as tools that count operations leave them."""
    checkpoint = torch.load(trained[0], weights_only=True)
    layers = {key.rpartition('.')[0] for key in checkpoint['state_dict']}
    checkpoint['state_dict'].update({f'{layer}.{name}': torch.zeros(1) for layer in layers for name in left})
    torch.save(checkpoint, tmp_path / 'counted.pth')
    cfg = pretrained(tmp_path / 'counted.pth')
    backbone = BinaryResNet(18, binarizer='ReActNet', init_cfg=dict(cfg))
    with pytest.raises(CheckpointError, match='left over: bn1') as error:
        backbone.init_weights()
    option = str(error.value).partition('go by ')[2].partition(' beside')[0]
    assert option == f'leave_out={[*left]}'
    backbone = BinaryResNet(18, binarizer='ReActNet', init_cfg=dict(cfg, **eval(f'dict({option})')))
    backbone.init_weights()
    assert all(torch.equal(value, backbone.state_dict()[key]) for key, value in trained[1].items())


def test_leaving_out_hides_nothing_that_is_missing(trained):
    cfg = dict(pretrained(trained[0]), leave_out=['shift_in', 'layer1'])
    with pytest.raises(CheckpointError, match=r'missing: layer1\.4'):
        BinaryResNet(34, binarizer='ReActNet', init_cfg=cfg).init_weights()


def test_evaluation_needs_no_auxiliary_head(tmp_path):
    """It only trains; its memories had other names once."""
    model = ImageClassifier(dict(type='cmim_mm.BinaryResNet', depth=20, binarizer='IRNet'),
                            dict(type='cmim_mm.ClsHead', in_channels=64, num_classes=3))
    path = str(tmp_path / 'old.pth')
    torch.save({'state_dict': {**model.state_dict(), 'auxiliary_head.old_name': torch.ones(1)}}, path)
    model.auxiliary_head = torch.nn.Linear(2, 1)
    check_weights(model, path)
    model.neck = torch.nn.Linear(2, 1)
    with pytest.raises(CheckpointError, match='2 missing: neck.bias, neck.weight'):
        check_weights(model, path)
