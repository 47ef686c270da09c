"""RBNN, rotated binary neural network (Lin et al. 2020)."""
import math

import torch
from torch import Tensor, nn

from ..registry import BINARIZERS
from .base import ActivationForm, OutputScale, WeightForm
from .functions import at_least_float32, check_sharpness, ede_schedule, sign, standardize, triangle_sign


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
        """R1^T X_o R2 of each filter of the standardized weight v; both (O, I/g, kh, kw)."""
        # Half-precision products would flip signs of the binary weight.
        with torch.autocast(v.device.type, enabled=False):
            x = v.reshape(len(v), len(self.R1), len(self.R2))
            return (self.R1.t().to(v.dtype) @ x @ self.R2.to(v.dtype)).reshape(v.shape)

    def weight_form(self, w: Tensor) -> WeightForm:
        v = standardize(w)
        u = v + self.rotate.sin().abs() * (self.rotated(v.detach()) - v)
        return WeightForm(triangle_sign(u, *ede_schedule(self.progress, self.t_min, self.t_max)))

    def activation_form(self, x: Tensor) -> ActivationForm:
        return ActivationForm(threshold=at_least_float32(x).mean((1, 2, 3), keepdim=True))

    def binarize_activation(self, x: Tensor) -> Tensor:
        t, _ = ede_schedule(self.progress, self.t_min, self.t_max)
        t = t.clamp_min(1)
        return triangle_sign(standardize(x), t, torch.ones_like(t))

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
