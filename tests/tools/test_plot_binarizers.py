"""tools/analysis_tools/plot_binarizers.py: the curves by hand, the picture."""
import cv2
import pytest
import torch

from cmim_mm.engine.cli import ToolError


@pytest.fixture
def plot_binarizers(tool):
    return tool('analysis_tools/plot_binarizers.py')


def test_curves_by_hand(plot_binarizers):
    weight, activation = plot_binarizers.curves('BiReal', 0.0)
    x = weight.x
    assert x[100] == 0 and len(x) == 201
    alpha = x.abs().mean()
    assert torch.allclose(weight.value, torch.where(x >= 0, alpha, -alpha))
    assert torch.equal(weight.gradient, (x.abs() <= 1).float())
    assert torch.equal(activation.value, torch.where(x >= 0, 1.0, -1.0))
    assert torch.allclose(activation.gradient, (2 - 2 * x.abs()).clamp_min(0))
    assert plot_binarizers.curves('DoReFa', 0.0)[1].value.unique().tolist() == [0, 1]


def test_schedule_sharpens(plot_binarizers):
    peaks = [plot_binarizers.curves('IRNet', p)[1].gradient.max().item() for p in (0.0, 0.5, 1.0)]
    assert peaks == pytest.approx([1, 1, 10], rel=1e-4)
    tails = [plot_binarizers.curves('IRNet', p)[1].gradient[0].item() for p in (0.0, 0.5, 1.0)]
    assert tails[0] > 0.99 > tails[1] > 0.5 and tails[2] < 1e-6


def test_all_nine_are_drawn(plot_binarizers):
    figure = plot_binarizers.plot(plot_binarizers.METHODS)
    rows = [ax.get_ylabel() for ax in figure.axes[::4]]
    assert rows == list(plot_binarizers.METHODS) and len(figure.axes) == 36
    gradients = dict(zip(rows, figure.axes[1::4]))
    # Three lines where the method follows the training, one where it does not, and two through 0.
    numbers = {name: len(ax.lines) - 2 for name, ax in gradients.items()}
    assert numbers == {name: 3 if name in ('IRNet', 'RBNN', 'ReCU', 'AdaBin') else 1 for name in rows}


def test_writes_the_picture(plot_binarizers, tmp_path, capsys):
    plot_binarizers.main(['--out', str(tmp_path / 'new'), '--methods', 'ReActNet', 'AdaBin'])
    assert [p.name for p in (tmp_path / 'new').iterdir()] == ['binarizers.png']
    image = cv2.imread(str(tmp_path / 'new/binarizers.png'))
    assert image.std() > 10
    assert 'binarizers.png' in capsys.readouterr().out
    with pytest.raises(ToolError, match='BNM: .*AdaBin, BNN'):
        plot_binarizers.main(['--methods', 'BNM'])
