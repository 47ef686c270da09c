"""The public networks' forward passes in eval mode, on state dicts with the public keys.

Written from the equations, without the package. ``Public`` draws each parameter when it is asked for, so one
forward pass is also the list of the keys and shapes; on the meta device it is nothing else.
"""
import math

import torch
import torch.nn.functional as F

R18, R34 = (2, 2, 2, 2), (3, 4, 6, 3)


class Public:
    """Layers that fill a state dict as they compute, in float64 from float32 parameters."""

    def __init__(self, method):
        self.method, self.state = method, {}

    def get(self, name, shape, spread=1.0, centre=0.0):
        return self.keep(name, centre + spread * torch.randn(shape))

    def keep(self, name, value):
        assert name not in self.state
        self.state[name] = value.float()
        return self.state[name].double()

    def norm(self, x, name):
        axes = [i for i in range(x.dim()) if i != 1]
        mean = self.keep(f'{name}.running_mean', x.mean(axes) + 0.1 * x.std())
        var = self.keep(f'{name}.running_var', x.var(axes, unbiased=False) + 0.1 * x.var() + 1e-3)
        self.state[f'{name}.num_batches_tracked'] = torch.tensor(7)
        weight = self.get(f'{name}.weight', x.shape[1], 0.2, 1)
        return F.batch_norm(x, mean, var, weight, self.get(f'{name}.bias', x.shape[1], 0.3))

    def conv(self, x, name, channels, kernel, stride=1):
        w = self.get(f'{name}.weight', (channels, x.shape[1], kernel, kernel), 0.1)
        return F.conv2d(x, w, stride=stride, padding=kernel // 2)

    def linear(self, x, name, classes):
        w = self.get(f'{name}.weight', (classes, x.shape[1]))
        return F.linear(x, w, self.get(f'{name}.bias', classes))

    def bias(self, x, name):
        return x + self.get(f'{name}.bias', (1, x.shape[1], 1, 1), 0.3)

    def prelu(self, x, name):
        return F.prelu(x, self.get(f'{name}.weight', x.shape[1], 0.1, 0.25))

    def maxout(self, x, name):
        neg = self.get(f'{name}.neg_scale', x.shape[1], 0.1, 0.25).view(1, -1, 1, 1)
        pos = self.get(f'{name}.pos_scale', x.shape[1], 0.2, 1).view(1, -1, 1, 1)
        return pos * x.relu() - neg * (-x).relu()

    def nonlinear(self, x, name):
        return self.maxout(x, name) if self.method == 'AdaBin' else x.clamp(-1, 1)

    def binary_conv(self, x, name, channels, kernel=3, stride=1):
        shape = (channels, x.shape[1], kernel, kernel)
        w = self.get(f'{name}.weight', shape, 0.1, 0.02)
        filters = w.flatten(1)
        centred = (filters - filters.mean(1, keepdim=True)).view(shape)
        unit = centred / filters.std(1).view(-1, 1, 1, 1)
        alpha = 1
        if self.method == 'IRNet':
            exponent = torch.log2(unit.abs().flatten(1).mean(1)).round()
            w, a = unit.sign() * (2 ** exponent).view(-1, 1, 1, 1), x.sign()
        elif self.method == 'RBNN':
            n = math.prod(shape[1:])
            rows = max(i for i in range(1, math.isqrt(n) + 1) if n % i == 0)
            r1, r2 = (self.keep(f'{name}.{key}', torch.linalg.qr(torch.randn(size, size))[0])
                      for key, size in (('R1', rows), ('R2', n // rows)))
            angle = self.get(f'{name}.rotate', (channels, 1, 1, 1), 0.5, 0.8)
            rotated = (r1.t() @ unit.view(-1, rows, n // rows) @ r2).view(shape)
            w = (unit + angle.sin().abs() * (rotated - unit)).sign()
            a = (x - x.mean((1, 2, 3), keepdim=True)).sign()
            alpha = self.get(f'{name}.alpha', (channels, 1, 1), 0.02, 0.1)
        elif self.method == 'ReCU':
            self.keep(f'{name}.tau', torch.tensor([0.99]))
            w, a = centred.sign(), x.sign()
            alpha = self.get(f'{name}.alpha', (channels, 1, 1), 0.02, 0.1)
        elif self.method == 'AdaBin':
            mean = filters.mean(1).view(-1, 1, 1, 1)
            w = centred.sign() * filters.std(1, unbiased=False).view(-1, 1, 1, 1) + mean
            scale = self.get(f'{name}.binary_a.alpha_a', (), 0.2, -0.8 if name.endswith('1.conv2') else 0.8)
            centre = self.get(f'{name}.binary_a.beta_a', (), 0.2)
            a = scale * (((x - centre) / scale).sign() + centre)
        return F.conv2d(a, w, stride=stride, padding=kernel // 2) * alpha


def shortcut(net, x, name, channels, kind):
    """Of a block that changes the shape."""
    if kind == 'pad':
        extra = channels // 4
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, extra, extra))
    if kind == 'pool_pad':
        extra = channels // 4
        return F.pad(F.avg_pool2d(x, 2), (0, 0, 0, 0, extra, extra))
    if kind == 'binary':
        return net.norm(net.binary_conv(x, f'{name}.0', channels, 1, 2), f'{name}.1')
    if kind == 'pool':
        return net.norm(net.conv(F.avg_pool2d(x, 2), f'{name}.1', channels, 1), f'{name}.2')
    return net.norm(net.conv(x, f'{name}.0', channels, 1, 2), f'{name}.1')


def resnet(net, x, classes, blocks, width, kind, single=True, act_in_stem=True, extra=()):
    """The ResNets of IR-Net, RBNN, ReCU and AdaBin: two convolutions a block, with one shortcut or two."""
    cifar = classes == 10
    x = net.norm(net.conv(x, 'conv1', width, 3 if cifar else 7, 1 if cifar else 2), 'bn1')
    x = net.nonlinear(x, 'nonlinear1') if act_in_stem else x
    x = x if cifar else F.max_pool2d(x, 3, 2, 1)
    for i, count in enumerate(blocks):
        for j in range(count):
            name, channels, stride = f'layer{i + 1}.{j}', width * 2 ** i, 2 if i and not j else 1
            out = net.norm(net.binary_conv(x, f'{name}.conv1', channels, 3, stride), f'{name}.bn1')
            if stride == 2:
                x = shortcut(net, x, f'{name}.{"shortcut" if cifar else "downsample"}', channels, kind)
            middle = net.nonlinear(out + x if single else out, f'{name}.nonlinear1')
            out = net.norm(net.binary_conv(middle, f'{name}.conv2', channels), f'{name}.bn2')
            x = net.nonlinear(out + (middle if single else x), f'{name}.nonlinear2')
    x = net.norm(x.mean((2, 3)), 'bn2')
    logits = net.linear(x, 'linear' if cifar else 'fc', classes)
    for name in extra:  # made there, never read
        (net.norm(logits, name) if name == 'bn3' else net.maxout(x[..., None, None], name))
    return logits


def vgg_small(net, x, classes):
    x = net.norm(net.conv(x, 'conv0', 128, 3), 'bn0').clamp(-1, 1)
    for i, channels in enumerate((128, 256, 256, 512, 512), 1):
        x = net.binary_conv(x, f'conv{i}', channels)
        x = F.max_pool2d(x, 2) if i in (1, 3, 5) else x
        x = net.norm(x, f'bn{i}').clamp(-1, 1)
    return net.linear(x.flatten(1), 'fc', classes)


def hard_binary(net, x, key, shape, stride=1):
    """ReActNet's convolution; its MobileNet keeps the weights flat."""
    flat = key.endswith('weights')
    w = net.get(key, (math.prod(shape), 1) if flat else shape, 0.1).view(shape)
    scale = w.abs().mean((1, 2, 3)).view(1, -1, 1, 1)
    return F.conv2d(x.sign(), w.sign(), stride=stride, padding=shape[2] // 2) * scale


def react_resnet(net, x, classes, blocks):
    x = F.max_pool2d(net.norm(net.conv(x, 'conv1', 64, 7, 2), 'bn1'), 3, 2, 1)
    for i, count in enumerate(blocks):
        for j in range(2 * count):
            name, channels, stride = f'layer{i + 1}.{j}', 64 * 2 ** i, 2 if i and not j else 1
            shape = (channels, x.shape[1], 3, 3)
            out = hard_binary(net, net.bias(x, f'{name}.move0'), f'{name}.binary_conv.weight', shape, stride)
            out = net.norm(out, f'{name}.bn1')
            out = out + (x if stride == 1 else shortcut(net, x, f'{name}.downsample', channels, 'pool'))
            x = net.bias(net.prelu(net.bias(out, f'{name}.move1'), f'{name}.prelu'), f'{name}.move2')
    return net.linear(x.mean((2, 3)), 'fc', classes)


def reactnet_a(net, x, classes):
    x = net.norm(net.conv(x, 'feature.0.conv1', 32, 3, 2), 'feature.0.bn1')
    for i, channels in enumerate((64, 128, 128, 256, 256, *[512] * 6, 1024, 1024), 1):
        name, width = f'feature.{i}', x.shape[1]
        stride = 2 if channels > width and channels > 64 else 1

        def rprelu(x, k, name=name):
            x = net.prelu(net.bias(x, f'{name}.move{k}2'), f'{name}.prelu{k}')
            return net.bias(x, f'{name}.move{k}3')

        out = hard_binary(net, net.bias(x, f'{name}.move11'), f'{name}.binary_3x3.weights',
                          (width, width, 3, 3), stride)
        x = rprelu(net.norm(out, f'{name}.bn1') + (F.avg_pool2d(x, 2) if stride == 2 else x), 1)
        out, shape = net.bias(x, f'{name}.move21'), (width, width, 1, 1)
        if channels == width:
            x = net.norm(hard_binary(net, out, f'{name}.binary_pw.weights', shape), f'{name}.bn2') + x
        else:
            x = torch.cat([net.norm(hard_binary(net, out, f'{name}.binary_pw_down{k}.weights', shape),
                                    f'{name}.bn2_{k}') + x for k in (1, 2)], 1)
        x = rprelu(x, 2)
    return net.linear(x.mean((2, 3)), 'fc', classes)
