"""The classifier, its head and its preprocessor."""
import pytest
import torch
import torch.nn.functional as F
from mmengine.model import BaseModule

from cmim_mm.models import ClsDataPreProcessor, ClsHead, ImageClassifier
from cmim_mm.models.cls_data_preprocessor import crop_and_flip
from cmim_mm.registry import MODELS
from cmim_mm.structures import ClsDataSample


def labelled(*labels):
    return [ClsDataSample(gt_label=torch.tensor([label])) for label in labels]


def test_loss_is_smoothed_cross_entropy():
    torch.manual_seed(0)
    head, feats = ClsHead(4, 6, label_smoothing=0.2, loss_weight=3.0), (None, torch.randn(3, 6, 2, 2))
    log_p = F.log_softmax(head.fc(feats[1].mean((2, 3))), 1)
    q = 0.8 * F.one_hot(torch.tensor([0, 3, 1]), 4) + 0.2 / 4
    losses = head.loss(feats, labelled(0, 3, 1))
    assert losses['loss_cls'].item() == pytest.approx(-3 * (q * log_p).sum(1).mean().item(), rel=1e-5)
    right = (log_p.argmax(1) == torch.tensor([0, 3, 1])).float().mean().item()
    assert losses['acc_top1'].item() == pytest.approx(100 * right)


def test_soft_labels_come_first():
    torch.manual_seed(0)
    head, feats, q = ClsHead(4, 6), torch.randn(2, 6, 1, 1), torch.rand(2, 4).softmax(1)
    soft = [ClsDataSample(gt_score=row, gt_label=torch.tensor([0])) for row in q]
    expected = -(q * F.log_softmax(head(feats), 1)).sum(1).mean()
    assert head.loss(feats, soft)['loss_cls'].item() == pytest.approx(expected.item(), rel=1e-5)


def test_norm_and_feature_map_are_choices():
    head = ClsHead(4, 6, in_index=0, with_norm=True)
    feats = [torch.randn(8, 6, 3, 3), torch.randn(8, 9, 1, 1)]
    expected = head.fc(F.batch_norm(feats[0].mean((2, 3)), None, None, training=True))
    torch.testing.assert_close(head(feats), expected)


def test_predictions_are_probabilities_on_the_samples():
    head, samples = ClsHead(4, 6), labelled(1, 2)
    out = head.predict([torch.randn(2, 6, 2, 2)], samples)
    assert out[0] is samples[0] and out[1].gt_label.item() == 2
    for sample in out:
        assert sample.pred_score.sum().item() == pytest.approx(1, abs=1e-5)
        assert sample.pred_label.tolist() == [sample.pred_score.argmax().item()]


def test_bad_labels_and_channels_are_named():
    head, feats = ClsHead(4, 6), [torch.randn(1, 6, 2, 2)]
    with pytest.raises(ValueError, match='labels do not fit num_classes=4'):
        head.loss(feats, labelled(4))
    with pytest.raises(ValueError, match='labels do not fit num_classes=4'):
        head.loss(feats, [ClsDataSample(gt_score=torch.ones(5))])
    with pytest.raises(KeyError, match='neither gt_label nor gt_score'):
        head.loss(feats, [ClsDataSample()])
    with pytest.raises(ValueError, match='in_channels=6, but feature map -1 has 5 channels'):
        head([torch.randn(1, 5, 2, 2)])
    with pytest.raises(ValueError, match='label_smoothing=1.0'):
        ClsHead(4, 6, label_smoothing=1.0)


def test_pool_size_flattens_a_larger_map():
    head, feature = ClsHead(4, 6, pool_size=2), torch.randn(3, 6, 4, 4)
    torch.testing.assert_close(head(feature), head.fc(F.avg_pool2d(feature, 2).flatten(1)))
    torch.testing.assert_close(head(feature[..., :2, :2]), head.fc(feature[..., :2, :2].flatten(1)))


@pytest.mark.parametrize('mode', ['reflect', 'constant'])
def test_crops_and_flips_are_those_of_a_padded_image(mode):
    torch.manual_seed(0)
    images = torch.randint(0, 256, (64, 3, 7, 9), dtype=torch.uint8)
    torch.manual_seed(5)
    out = crop_and_flip(images, 2, flip=True, pad_mode=mode)
    torch.manual_seed(5)
    shift, flipped = torch.randint(-2, 3, (2, 64, 1)) + 2, torch.rand(64, 1) < 0.5
    padded = F.pad(images.float(), (2, 2, 2, 2), mode=mode).byte()
    for i in range(64):
        top, left = shift[0, i].item(), shift[1, i].item()
        expected = padded[i, :, top:top + 7, left:left + 9]
        assert torch.equal(out[i], expected.flip(2) if flipped[i] else expected)
    assert 0 < flipped.sum() < 64 and out.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(crop_and_flip(images, 0, flip=False, pad_mode=mode), images)


def test_preprocessor_augments_in_training_only_and_repeats_by_seed():
    processor = ClsDataPreProcessor(mean=[1, 2, 3], std=[2, 4, 8], crop_padding=2, flip=True, bgr_to_rgb=True)
    images = [torch.randint(0, 256, (3, 8, 8), dtype=torch.uint8) for _ in range(4)]
    data = dict(inputs=images, data_samples=labelled(0, 1, 2, 3))
    plain = processor(data)['inputs']
    expected = (images[1].flip(0).float() - torch.tensor([1., 2, 3]).view(3, 1, 1)) / torch.tensor(
        [2., 4, 8]).view(3, 1, 1)
    assert torch.equal(plain[1], expected)
    runs = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        runs.append(processor(data, training=True)['inputs'])
    assert torch.equal(runs[0], runs[1]) and not torch.equal(runs[0], runs[2])
    assert not torch.equal(runs[0], plain) and data['inputs'][0].dtype == torch.uint8
    assert not processor.state_dict()
    with pytest.raises(ValueError, match=r'images of sizes \[\(3, 4, 4\), \(3, 8, 8\)\]'):
        processor(dict(inputs=[images[0], images[0][:, :4, :4]]))


@MODELS.register_module(force=True)
class ToyAuxiliaryHead(BaseModule):

    def loss(self, feats, data_samples, train_cfg):
        return dict(loss_toy=feats[-1].mean() * 0 + len(data_samples))


@pytest.mark.parametrize('auxiliary, prefixes', [
    (None, []), (dict(type='cmim_mm.ToyAuxiliaryHead'), ['aux']),
    ([dict(type='cmim_mm.ToyAuxiliaryHead')] * 2, ['aux_0', 'aux_1'])])
def test_slots_and_modes(mmseg_scope, auxiliary, prefixes):
    model = ImageClassifier(
        backbone=dict(type='cmim_mm.BinaryResNet', depth=18),
        neck=dict(type='FPN', in_channels=[64, 128, 256, 512], out_channels=8, num_outs=4),
        decode_head=dict(type='cmim_mm.ClsHead', num_classes=5, in_channels=8), auxiliary_head=auxiliary,
        data_preprocessor=dict(type='cmim_mm.ClsDataPreProcessor')).eval()
    image = torch.randint(0, 256, (3, 64, 64), dtype=torch.uint8)
    data = dict(inputs=[image, image.flip(2)], data_samples=labelled(1, 4))
    ready = model.data_preprocessor(data)
    losses = model(**ready, mode='loss')
    assert set(losses) == {'loss_cls', 'acc_top1', *(f'{p}.loss_toy' for p in prefixes)}
    total, _ = model.parse_losses(losses)
    assert total.item() == pytest.approx(losses['loss_cls'].item() + 2 * len(prefixes))
    logits = model(ready['inputs'])
    assert logits.shape == (2, 5)
    predicted = model.test_step(data)
    torch.testing.assert_close(predicted[1].pred_score, logits[1].softmax(0))
    assert len(model(ready['inputs'], mode='predict')) == 2
    with pytest.raises(ValueError, match="mode='losses'"):
        model(ready['inputs'], mode='losses')


def test_unknown_padding_is_refused():
    with pytest.raises(ValueError, match="pad_mode='zeros', expected 'reflect' or 'constant'"):
        ClsDataPreProcessor(pad_mode='zeros')
