"""RBNN, rotated binary neural network (Lin et al. 2020)."""
import math

import torch
from torch import Tensor, nn
from torch.autograd import Function

from ..registry import BINARIZERS
from .base import ActivationForm, OutputScale, WeightForm
from .elementwise import at_least_float32, reused, sign, triangle_slope
from .functions import check_sharpness, ede_schedule
from .standardize import AXES, EPS, degrees, deviation, standardize, statistics, statistics_gradient


def image_mean(x: Tensor) -> Tensor:
    """Mean of each image with at least 32 bits, (N, C, H, W) -> (N, 1, 1, 1)."""
    return at_least_float32(x).mean(AXES, keepdim=True)


def rotate(v: Tensor, r1: Tensor, r2: Tensor) -> Tensor:
    """R1^T X_o R2 of each filter of the standardized weight v; both (O, I/g, kh, kw)."""
    # Half-precision products would flip signs of the binary weight.
    with torch.autocast(v.device.type, enabled=False):
        x = v.reshape(len(v), len(r1), len(r2))
        return (r1.t().to(v.dtype) @ x @ r2.to(v.dtype)).reshape(v.shape)


class _StandardizedTriangle(Function):
    """b(z) with z = (x - mean) / std of each image; db/dz is triangle_slope with k = 1."""

    @staticmethod
    def forward(ctx, x, t):
        mean = image_mean(x)
        ctx.save_for_backward(x, mean, t)
        return sign(x, mean)

    @staticmethod
    def backward(ctx, grad):
        x, mean, t = ctx.saved_tensors
        grad = at_least_float32(grad)
        centred = x - mean
        std = deviation(centred)
        grad = triangle_slope(centred, t / std, 1.0).mul_(grad)
        gradient = grad * centred
        by_std = gradient.sum(AXES, keepdim=True) * (std > EPS) / (std.square() * degrees(x))
        gradient = torch.addcmul(grad, centred, by_std, value=-1, out=reused(gradient))
        return gradient.sub_(grad.mean(AXES, keepdim=True)).to(x.dtype), None


class _RotatedTriangle(Function):
    """b(u) with u = v + share (rotate(v) - v), v = w standardized; db/du is triangle_slope."""

    @staticmethod
    def forward(ctx, w, r1, r2, share, t, k):  # tensors alone: torch.jit.trace takes no callable
        v, mean, std = statistics(w)
        rotated = rotate(v, r1, r2)
        ctx.save_for_backward(w, mean, std, rotated, share, t, k)
        return sign((rotated - v).mul_(share).add_(v))

    @staticmethod
    def backward(ctx, grad):
        w, mean, std, rotated, share, t, k = ctx.saved_tensors
        v = (w - mean).div_(std)
        difference = rotated - v
        grad = triangle_slope(torch.addcmul(v, difference, share), t, k).mul_(grad)
        grad_share = difference.mul_(grad).sum(AXES, keepdim=True)
        grad_w = statistics_gradient(v, std, grad.mul_(1 - share))
        return grad_w.to(w.dtype), None, None, grad_share, None, None


@BINARIZERS.register_module()
class RBNN(OutputScale):
    """Weights rotated towards their signs by two small orthogonal matrices before they are binarized.

    - Weight: v = (w - mean_o) / std_o (unbiased); as matrices X_o of (a, b) with
      a b = I/g kh kw, as near square as factors allow; rotated r_o = R1^T X_o R2;
      u = v + |sin rotate_o| (r.detach() - v); b(u),
      db/du = max(0, k (sqrt(2) t - t^2 |u|)), t and k as in IR-Net.
    - Activation: z = a standardized over (C, H, W) of each image; b(z), the same
      estimator with k = 1 and max(t, 1) for t.
    - Output times alpha_o.
    - Once an epoch R1 and R2 are fitted to the weights (:meth:`start_epoch`).

    Lin et al., Rotated Binary Neural Network, NeurIPS 2020.

    Args:
        t_min: sharpness t at progress 0.
        t_max: sharpness t at progress 1.

    Attributes:
        alpha: (O, 1, 1), learned, starts at mean |w_o|.
        rotate: (O, 1, 1, 1), learned angle, starts random in [0, pi/2) (at pi/2 itself w gets no gradient).
        R1: (a, a), orthogonal buffer, starts random.
        R2: (b, b), orthogonal buffer, starts random.
    """
    block = 'bireal'

    def __init__(self, in_channels: int, weight_shape: tuple[int, int, int, int],
                 t_min: float = 1e-2, t_max: float = 1e1) -> None:
        super().__init__(in_channels, weight_shape)
        check_sharpness(t_min, t_max)
        self.t_min, self.t_max = t_min, t_max
        self.rotate = nn.Parameter(torch.rand(weight_shape[0], 1, 1, 1) * math.pi / 2)
        a, b = near_square(math.prod(weight_shape[1:]))
        self.register_buffer('R1', nn.init.orthogonal_(torch.empty(a, a)))
        self.register_buffer('R2', nn.init.orthogonal_(torch.empty(b, b)))

    def rotated(self, v: Tensor) -> Tensor:
        """:func:`rotate` by this layer's matrices."""
        return rotate(v, self.R1, self.R2)

    def weight_form(self, w: Tensor) -> WeightForm:
        t, k = ede_schedule(self.progress, self.t_min, self.t_max)
        share = self.rotate.sin().abs()
        return WeightForm(_RotatedTriangle.apply(w, self.R1, self.R2, share, t, k))

    def activation_form(self, x: Tensor) -> ActivationForm:
        return ActivationForm(threshold=image_mean(x))

    def binarize_activation(self, x: Tensor) -> Tensor:
        t, _ = ede_schedule(self.progress, self.t_min, self.t_max)
        return _StandardizedTriangle.apply(x, t.clamp_min(1))

    @torch.no_grad()
    def start_epoch(self, weight: Tensor) -> None:
        """Three alternating steps towards R1, R2 that maximize the sum of tr(B_o^T R1^T X_o R2).

        B = b(R1^T X R2); R1 = V U^T of the SVD U S V^T of the sum of B_o R2^T X_o^T;
        R2 = U V^T of the SVD of the sum of X_o^T R1 B_o. Each is orthogonal by
        construction. In float64, so that equal weights give equal rotations on every rank.
        """
        with torch.autocast(weight.device.type, enabled=False):
            r1, r2 = self.R1.double(), self.R2.double()
            x = standardize(weight.double()).reshape(len(weight), len(r1), len(r2))
            for _ in range(3):
                b = sign(r1.t() @ x @ r2)
                u, _, vh = torch.linalg.svd((b @ r2.t() @ x.mT).sum(0))
                r1 = (u @ vh).t()
                u, _, vh = torch.linalg.svd((x.mT @ r1 @ b).sum(0))
                r2 = u @ vh
        self.R1.copy_(r1)
        self.R2.copy_(r2)


def near_square(n: int) -> tuple[int, int]:
    """(a, b) with a b = n, a <= b, as near to each other as the factors of n allow."""
    a = math.isqrt(n)
    while n % a:
        a -= 1
    return a, n // a
