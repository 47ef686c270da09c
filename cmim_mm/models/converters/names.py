"""What public checkpoints call the parameters of this project's networks.

Each layout is a tuple of (pattern, replacement), applied in order to a key of an ``ImageClassifier``;
``#`` in the result stands for 1 and 2, two tensors that are one here. The layouts are those of the public
code of IR-Net (htqin/IR-Net), RBNN (lmbxmu/RBNN), ReCU (z-hXu/ReCU), AdaBin
(huawei-noah/Efficient-Computing) and ReActNet (liuzechun/ReActNet).
"""
import re
from collections.abc import Sequence
from typing import Callable, NamedTuple, Union

Rule = tuple[str, Union[str, Callable[[re.Match], str]]]


def _pair(match: re.Match) -> str:
    """Two blocks of one convolution here are one block there: layer1.3.conv1 -> layer1.1.conv2."""
    stage, index, name = match.groups()
    return f'{stage}.{int(index) // 2}.{name}{int(index) % 2 + 1}.'


def _vgg_number(match: re.Match) -> str:
    """The convolutions of VGG-Small are numbered through: layer1.0 is 1, layer2.0 is 2, layer3.1 is 5."""
    first = (1, 2, 4)[int(match[1]) - 1]
    return f'{match[3]}{first + int(match[2])}.'


def _feature(match: re.Match) -> str:
    """The blocks of ReActNet-A are numbered through; feature.0 is the stem."""
    first = (1, 4, 6, 12)[int(match[1]) - 1]
    return f'feature.{first + int(match[2])}.'


BACKBONE: tuple[Rule, ...] = ((r'^backbone\.', ''),)
SINGLE: tuple[Rule, ...] = (
    (r'^(layer\d)\.(\d+)\.(conv|bn)1\.', _pair), (r'^(layer\d)\.(\d+)\.(nonlinear)\.', _pair))
#: Parameters that the convolutions of RBNN and ReCU own themselves.
OWN: tuple[Rule, ...] = ((r'\.binarizer\.', '.'),)
MAXOUT: tuple[Rule, ...] = (
    (r'^act\.', 'nonlinear1.'), (r'gamma_pos$', 'pos_scale'), (r'gamma_neg$', 'neg_scale'),
    (r'\.binarizer\.', '.binary_a.'))
CIFAR: tuple[Rule, ...] = (
    (r'\.downsample\.', '.shortcut.'), (r'^decode_head\.norm\.', 'bn2.'), (r'^decode_head\.fc\.', 'linear.'))
IMAGENET: tuple[Rule, ...] = ((r'^decode_head\.norm\.', 'bn2.'), (r'^decode_head\.fc\.', 'fc.'))

PLAIN_CIFAR = (*BACKBONE, *OWN, *CIFAR)
SINGLE_CIFAR = (*BACKBONE, *SINGLE, *OWN, *CIFAR)
SINGLE_IMAGENET = (*BACKBONE, *SINGLE, *OWN, *IMAGENET)
MAXOUT_CIFAR = (*BACKBONE, *SINGLE, *MAXOUT, *CIFAR)
MAXOUT_IMAGENET = (*BACKBONE, *SINGLE, *MAXOUT, *IMAGENET)
VGG = (
    *BACKBONE, (r'^(conv|bn)1\.', r'\g<1>0.'), (r'^layer(\d)\.(\d)\.(conv|bn)1\.', _vgg_number), *OWN,
    (r'^decode_head\.', ''))
REACT_RESNET = (
    *BACKBONE, (r'conv1\.binarizer\.shift$', 'move0.bias'), (r'^(layer\S+)conv1\.', r'\1binary_conv.'),
    (r'nonlinear\.shift_in$', 'move1.bias'), (r'nonlinear\.prelu', 'prelu'),
    (r'nonlinear\.shift_out$', 'move2.bias'), (r'^decode_head\.', ''))
REACT_MOBILENET = (
    *BACKBONE, (r'^(conv1|bn1)\.', r'feature.0.\1.'), (r'^layer(\d)\.(\d)\.', _feature),
    (r'conv(\d)\.binarizer\.shift$', r'move\g<1>1.bias'), (r'nonlinear(\d)\.shift_in$', r'move\g<1>2.bias'),
    (r'nonlinear(\d)\.prelu', r'prelu\1'), (r'nonlinear(\d)\.shift_out$', r'move\g<1>3.bias'),
    (r'(feature\.[1-9]\d*)\.conv1\.weight', r'\1.binary_3x3.weights'),
    # Where the width doubles, two convolutions read the same binary input.
    (r'(feature\.(?:1|2|4|6|12))\.conv2\.weight', r'\1.binary_pw_down#.weights'),
    (r'(feature\.(?:1|2|4|6|12))\.bn2\.', r'\1.bn2_#.'),
    (r'conv2\.weight', 'binary_pw.weights'), (r'^decode_head\.', ''))

#: Left out: the threshold tau of ReCU's clamp, which moves no sign, and k and t of the gradient's estimator.
#: They follow from the progress of training here.
SCHEDULE = r'\.(k|t|tau)$'
#: Left out: what the ImageNet ResNets make and their forward pass never reads.
NEVER_READ = r'^(bn3|nonlinear2)\.'


class Network(NamedTuple):
    """A network of a public code.

    Attributes:
        config: Stem of the config in ``configs/foreign``.
        data: 'cifar10' or 'imagenet'.
        rules: The names of its keys.
    """
    config: str
    data: str
    rules: tuple[Rule, ...]

    def public_keys(self, key: str) -> Sequence[str]:
        """What the public code calls a key of the classifier: one name, or two whose tensors are one here."""
        for pattern, new in self.rules:
            key = re.sub(pattern, new, key)
        return [key.replace('#', number) for number in '12'] if '#' in key else [key]

    def is_left_out(self, public_key: str) -> bool:
        """Whether a public key without a counterpart here is known to change nothing."""
        never_read = self.data == 'imagenet' and re.search(NEVER_READ, public_key)
        return bool(never_read or re.search(SCHEDULE, public_key))


def _networks(method: str, **rules: tuple[Rule, ...]) -> dict[tuple[str, str], Network]:
    """``resnet20__cifar10=RULES`` -> {('resnet20', 'cifar10'): Network}."""
    found = {}
    for name, layout in rules.items():
        network, data = name.split('__')
        short = network.replace('resnet', 'r').replace('vgg_small', 'vgg').replace('reactnet_', '')
        found[network, data] = Network(f'{method.lower()}_{short}_{data}', data, layout)
    return found


#: Method -> (network, data) -> what is known of it.
NETWORKS = {
    'IRNet': _networks(
        'IRNet', resnet20__cifar10=SINGLE_CIFAR, resnet18__cifar10=PLAIN_CIFAR, vgg_small__cifar10=VGG,
        resnet18__imagenet=SINGLE_IMAGENET, resnet34__imagenet=SINGLE_IMAGENET),
    'RBNN': _networks(
        'RBNN', resnet20__cifar10=PLAIN_CIFAR, resnet20_bireal__cifar10=SINGLE_CIFAR,
        resnet18__cifar10=PLAIN_CIFAR, vgg_small__cifar10=VGG,
        resnet18__imagenet=SINGLE_IMAGENET, resnet34__imagenet=SINGLE_IMAGENET),
    'ReCU': _networks(
        'ReCU', resnet20__cifar10=SINGLE_CIFAR, resnet18__cifar10=PLAIN_CIFAR,
        resnet18_binary_shortcut__cifar10=PLAIN_CIFAR, vgg_small__cifar10=VGG,
        resnet18__imagenet=SINGLE_IMAGENET, resnet34__imagenet=SINGLE_IMAGENET),
    'ReActNet': _networks(
        'ReActNet', resnet18__imagenet=REACT_RESNET, resnet34__imagenet=REACT_RESNET,
        reactnet_a__imagenet=REACT_MOBILENET),
    'AdaBin': _networks(
        'AdaBin', resnet20__cifar10=MAXOUT_CIFAR, resnet18__cifar10=MAXOUT_CIFAR,
        resnet18__imagenet=MAXOUT_IMAGENET, resnet34__imagenet=MAXOUT_IMAGENET),
}
#: Rows of the classifier -> data set.
DATA = {10: 'cifar10', 1000: 'imagenet'}
