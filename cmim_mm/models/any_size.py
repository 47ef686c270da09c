"""Evaluation batches of images of any sizes."""
from collections import defaultdict
from collections.abc import Sequence
from typing import Optional, Union

from mmseg.utils import SampleList
from torch import Tensor

from .image_batch import stack_images

#: What mmsegmentation takes of the first image of a batch for all of them.
_SHARED = ('ori_shape', 'img_shape', 'pad_shape')


class AnySize:
    """Predicts a batch in groups of images of one size, so that its figures are those of one by one.

    mmsegmentation resizes all predictions of a batch as the first image asks, and refuses a batch of
    different sizes. Padding would change what the network sees at the edges; groups change nothing.
    """

    def predict(self, inputs: Union[Tensor, Sequence[Tensor]],
                data_samples: Optional[SampleList] = None) -> SampleList:
        """As in mmsegmentation.

        Args:
            inputs: (N, C, H, W), or N images (C, H_i, W_i), as ``DenseDataPreProcessor`` hands over what
                cannot be stacked.
            data_samples: Of the N images; shapes in their metainfo are those before ``input_scale``.
        """
        groups = defaultdict(list)
        for i, image in enumerate(inputs):
            meta = data_samples[i].metainfo if data_samples else {}
            groups[(image.shape, *(tuple(meta.get(key, ())) for key in _SHARED))].append(i)
        if isinstance(inputs, Tensor) and len(groups) == 1:
            return super().predict(inputs, data_samples)
        results: list = [None] * len(inputs)
        for indices in groups.values():
            images = stack_images([inputs[i] for i in indices])
            found = super().predict(images, [data_samples[i] for i in indices] if data_samples else None)
            for i, result in zip(indices, found):
                results[i] = result
        return results
