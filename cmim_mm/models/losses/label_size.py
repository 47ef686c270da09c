"""Cross-entropy of logits brought to the labels' size, one image at a time."""
import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


class _UpsampledCrossEntropy(Function):
    """Sum of the cross-entropies, and how many pixels have the largest logit at their label.

    The gradient is made in forward, where the softmax is at hand, and kept at the logits' size.
    """

    @staticmethod
    def forward(ctx, logits, labels, ignore_index, align_corners):
        size = labels.shape[1:]
        dtype = torch.promote_types(logits.dtype, torch.float32)
        total = torch.zeros((), dtype=dtype, device=logits.device)
        correct = torch.zeros((), dtype=torch.int64, device=logits.device)
        # With the classes last, upsampling and its backward are vectorized on a CPU.
        logits_last = logits.contiguous(memory_format=torch.channels_last)
        gradient = torch.empty_like(logits_last, dtype=dtype)
        for i in range(len(logits)):
            small, label = logits_last[i:i + 1].to(dtype), labels[i:i + 1, None].long()
            p = F.interpolate(small, size, mode='bilinear', align_corners=align_corners)
            valid = label != ignore_index
            label = label.masked_fill(~valid, 0)
            largest, own = p.amax(1, keepdim=True), p.gather(1, label)
            correct += ((own == largest) & valid).sum()
            partition = p.sub_(largest).exp_().sum(1, keepdim=True)
            total += (partition.log() + (largest - own)).masked_fill_(~valid, 0).sum()
            if ctx.needs_input_grad[0]:
                p.mul_(valid / partition).scatter_add_(1, label, -valid.to(p.dtype))
                gradient[i:i + 1] = torch.ops.aten.upsample_bilinear2d_backward(
                    p, size, small.shape, align_corners, None, None)
        ctx.save_for_backward(gradient)
        ctx.dtype = logits.dtype
        ctx.mark_non_differentiable(correct)
        return total, correct

    @staticmethod
    @once_differentiable
    def backward(ctx, grad, _):
        gradient, = ctx.saved_tensors
        return (gradient * grad).to(ctx.dtype), None, None, None


def upsampled_cross_entropy(logits: Tensor, labels: Tensor, ignore_index: int,
                            align_corners: bool) -> tuple[Tensor, Tensor]:
    """Cross-entropy of bilinearly upsampled logits, summed over the labelled pixels, in float32.

    Equal to ``F.cross_entropy(resize(logits.float()), labels, reduction='sum')`` to rounding; float64 stays.
    What has the labels' size times the classes (98 MB for 8 x 40 x 240 x 320) exists for one image at a time,
    so its passes stay in the cache; only a gradient of the logits' size is kept.

    Args:
        logits: (N, K, h, w), any floating type.
        labels: (N, H, W), classes or ``ignore_index``.
        ignore_index: Label of pixels that count nothing.
        align_corners: As in ``F.interpolate``.

    Returns:
        The sum, and the number of labelled pixels whose own logit is the largest (or as large); both
        0-dimensional.
    """
    return _UpsampledCrossEntropy.apply(logits, labels, ignore_index, align_corners)
