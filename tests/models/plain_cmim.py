"""CMIM's objective in plain loops over anchors and rows, from the formulas alone; a helper of the tests here.

Every memory here is so small that each of its rows is drawn once a step, so nothing is random.
"""
import math

import torch.nn.functional as F


class PlainTap:
    """One tapped layer: its memory of (z_F, z_B, identity, class) and the normalizers of both directions."""

    def __init__(self, kind, form, positives, negatives, temperature=0.1, length=None, momentum=0.5, rows=(),
                 positions=1):
        self.kind, self.form, self.positives, self.negatives = kind, form, positives, negatives
        self.temperature, self.length, self.momentum = temperature, length, momentum
        self.rows = list(rows)
        self.positions = positions
        self.z = [None, None]

    def step(self, latent, binary, identity, labels):
        """(objective, cosine, bound) of this step; the memory moves on."""
        batch = list(zip(latent, binary, identity, labels))
        anchors = [row for row in batch if row[2] >= 0]
        if self.kind == 'InBatch':
            self.rows = anchors
        partner = [self.partner(a, batch) for a in anchors]
        total = self.direction(0, anchors, partner, [(a[1], p[0]) for a, p in zip(anchors, partner)])
        total = total + self.direction(1, anchors, partner, [(a[0], p[1]) for a, p in zip(anchors, partner)])
        cosine = sum(a[1] @ p[0] for a, p in zip(anchors, partner)) / len(anchors)
        bound = math.log(len(anchors))
        for a in anchors:
            among = sum((a[1] @ b[0] / self.temperature).exp() for b in anchors)
            bound = bound + (a[1] @ a[0] / self.temperature - among.log()) / len(anchors)
        self.update(batch)
        return total, cosine, bound

    def partner(self, anchor, batch):
        """The row whose other side is the anchor's positive."""
        if self.positives == 'bank':
            return self.rows[anchor[2]]
        place = next(i for i, row in enumerate(batch) if row is anchor)
        if self.positives == 'class' and anchor[3] >= 0:
            for k in range(1, len(batch) + 1):
                other = batch[(place + k) % len(batch)]
                if other[3] == anchor[3]:
                    return other
        if self.positives == 'neighbour':
            others = [row for i, row in enumerate(batch) if row[2] >= 0 and row[2] != anchor[2]
                      and i // self.positions != place // self.positions]
            return max(others, key=lambda row: float(row[0] @ anchor[0]), default=anchor)
        return anchor

    def direction(self, side, anchors, partner, pairs):
        """Mean of L_i over the anchors, whose negatives are of side 0: latent, 1: binary."""
        scores = []
        for (_, _, identity, label), other, (z, positive) in zip(anchors, partner, pairs):
            rows = [r for r in self.rows if r[2] >= 0 and r[2] != identity and r[2] != other[2]
                    and (self.negatives == 'all' or r[3] != label or r[3] < 0)]
            scores.append((z @ positive / self.temperature, [z @ r[side] / self.temperature for r in rows]))
        found = [s.detach().exp() for _, negatives in scores for s in negatives]
        if self.z[side] is None and found:
            self.z[side] = sum(found) / len(found)
        total = 0
        for positive, negatives in scores:
            if not negatives:
                continue
            if self.form == 'infonce':
                total = total - (positive.exp() / (positive.exp() + sum(s.exp() for s in negatives))).log()
                continue
            n, z = len(negatives), self.z[side]
            total = total - (positive.exp() / z / (positive.exp() / z + n)).log()
            total = total - sum((1 - s.exp() / z / (s.exp() / z + n)).log() for s in negatives)
        return total / len(anchors)

    def update(self, batch):
        batch = [(f.detach(), b.detach(), i, c) for f, b, i, c in batch]
        if self.kind == 'Queue':
            self.rows = (self.rows + batch)[-self.length:]
        if self.kind == 'Bank':
            before = list(self.rows)
            for f, b, i, c in reversed(batch):  # of an image twice in a batch the first counts
                old = before[i]
                self.rows[i] = (*(F.normalize(self.momentum * o + (1 - self.momentum) * z, dim=0)
                                  for o, z in zip(old, (f, b))), i, c)
