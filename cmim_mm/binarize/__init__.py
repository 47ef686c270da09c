"""What 1-bit means: the binarization methods and the convolution that uses them.

Every method makes both operands of a convolution 1-bit: the weight is
scale_o * s + offset_o, the activation scale * s + offset, s being -1 or +1.
The columns give the values each can take and the derivative that replaces
b's. p is the elapsed fraction of training; EDE(x) = k t (1 - tanh^2(t x)) and
poly(x) = max(0, 2 - 2|x|); alpha_o, beta_o stand for one number a filter.

=========  ======================  ======================  ==========================  ==================
method     weight                  activation              weight's gradient           activation's
=========  ======================  ======================  ==========================  ==================
BNN        -1, +1                  -1, +1                  1[|w| <= 1]                 1[|a| <= 1]
XNORNet    -alpha_o, +alpha_o      -1, +1                  alpha_o 1[|w| < 1] + 1/n    1[|a| < 1]
DoReFa     -E, +E (one a layer)    0, 1 (threshold 0.5)    1                           1[0 <= a <= 1]
BiReal     -alpha_o, +alpha_o      -1, +1                  1[|w| <= 1]                 poly(a)
IRNet      -2^n_o, +2^n_o          -1, +1                  EDE of standardized w       EDE(a)
RBNN       -1, +1; output alpha_o  -1, +1 (mean of image)  k t (2^.5 - t|u|), rotated  the same, t >= 1
ReCU       -1, +1; output alpha_o  -1, +1                  1 inside clamp +-Q(p)       poly(a / std)
ReActNet   -alpha_o, +alpha_o      -1, +1 (-shift_c)       1[|w| <= 1]                 poly(a + shift_c)
AdaBin     beta_o +- alpha_o       alpha (beta +- 1)       EDE of standardized w       poly
=========  ======================  ======================  ==========================  ==================

In brackets: the activation's threshold where it is not 0. Zero padding adds 0.
"""
from ..registry import BINARIZERS
from .adabin import AdaBin
from .base import ActivationForm, Binarizer, WeightForm, get_binarizer
from .bireal import BiReal
from .bnn import BNN
from .conv import BinaryConv2d
from .dorefa import DoReFa
from .irnet import IRNet
from .progress import set_progress, start_epoch
from .rbnn import RBNN
from .reactnet import ReActNet
from .recu import ReCU
from .xnornet import XNORNet

__all__ = [
    'BINARIZERS', 'ActivationForm', 'AdaBin', 'BNN', 'BiReal', 'BinaryConv2d', 'Binarizer', 'DoReFa', 'IRNet',
    'RBNN', 'ReActNet', 'ReCU', 'WeightForm', 'XNORNet', 'get_binarizer', 'set_progress', 'start_epoch',
]
