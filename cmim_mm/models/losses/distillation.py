"""Distillation of logits."""
import torch.nn.functional as F
from torch import Tensor, nn


class Distillation(nn.Module):
    r""":math:`w\,T^2\,\mathrm{KL}(p^{t}_T \,\|\, p^{s}_T)`, the mean over the images and their positions.

    :math:`p_T` is the softmax of the logits divided by T, of the teacher (t) and the student (s). The
    factor T^2 keeps the gradient's size at any T.

    Source: Hinton et al., 2015 (arXiv 1503.02531), sec. 2.

    Args:
        temperature: T > 0.
        weight: w.

    Raises:
        ValueError: T is not positive.
    """

    def __init__(self, temperature: float = 4.0, weight: float = 1.0) -> None:
        super().__init__()
        if not temperature > 0:
            raise ValueError(f'Distillation: temperature={temperature}, expected a positive number')
        self.temperature = temperature
        self.weight = weight

    def forward(self, logits: Tensor, teacher: Tensor) -> Tensor:
        """Logits of the student and of the teacher, (N, K) or (N, K, h, w).

        A teacher's map of another size is resized bilinearly.
        """
        if logits.shape[2:] != teacher.shape[2:]:
            teacher = F.interpolate(teacher.float(), logits.shape[2:], mode='bilinear', align_corners=False)
        student, teacher = (F.log_softmax(x.float() / self.temperature, 1) for x in (logits, teacher))
        divergence = F.kl_div(student, teacher, reduction='none', log_target=True).sum(1).mean()
        return self.weight * self.temperature**2 * divergence
