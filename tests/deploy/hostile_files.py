"""Packed files that break one rule of the format each, and the name of the refusal."""
import hashlib
import json

import torch

from cmim_mm.deploy.format import Packed, encode, pack_bits

CONFIG = dict(model=dict(type='cmim_mm.BinaryResNet', depth=20, out_indices=(2, )))


def a_model(**config) -> Packed:
    sign = torch.tensor([1, -1, 1, 1, -1, -1, 1, 1, -1.0]).view(1, 1, 3, 3)
    return Packed({**CONFIG, **config}, dict(classes=('wall', 'floor')),
                  {'a.bits': pack_bits(sign), 'a.scale': torch.tensor([0.5]), 'b': torch.ones(2, 3).half()},
                  {'a.bits': (1, 3, 3, 1)})


def sign_again(data: bytes) -> bytes:
    """The file with the right checksum: what an attacker writes."""
    return data[:-32] + hashlib.sha256(data[:-32]).digest()


def with_header(change, data: bytes = b'', signed: bool = True) -> bytes:
    """The file with ``change(header)``, a dict, or with a text that it returns in the header's place."""
    data = data or encode(a_model())
    begin = 8 + int.from_bytes(data[:8], 'little')
    header = json.loads(data[8:begin])
    text = change(header)
    text = (text if isinstance(text, str) else json.dumps(header)).encode()
    changed = len(text).to_bytes(8, 'little') + text + data[begin:]
    return sign_again(changed) if signed else changed


def with_metadata(**texts) -> bytes:
    return with_header(lambda header: header['__metadata__'].update(
        {key: text if isinstance(text, str) else json.dumps(text) for key, text in texts.items()}))


def with_entry(name: str, **entry) -> bytes:
    return with_header(lambda header: header[name].update(entry))


def with_config(**config) -> bytes:
    return with_metadata(config={**CONFIG, **config})


def hostile_files() -> dict[str, tuple[str, bytes]]:
    """What is wrong -> (name of the refusal, content)."""
    good = encode(a_model())
    begin = 8 + int.from_bytes(good[:8], 'little')
    model = CONFIG['model']
    return {
        'empty': ('NotPacked', b''),
        'a zip': ('NotPacked', b'PK\3\4' + good),
        'safetensors of others': ('NotPacked', with_metadata(format='pt')),
        'no metadata': ('NotPacked', with_header(lambda h: h.pop('__metadata__') and None)),
        'header beyond the file': ('Truncated', good[:20]),
        'data cut short': ('Truncated', good[:-1]),
        'announced header of 3 GB': ('BadHeader', (3 * 10**9).to_bytes(8, 'little')[:4] + bytes(4) + b'{'),
        'one byte more': ('TrailingBytes', good + b'\0'),
        'no JSON': ('BadHeader', with_header(lambda h: '{"a"')),
        'a deep JSON': ('BadHeader', with_header(lambda h: '{"a":' * 100_000)),
        'no UTF-8': ('BadHeader', good[:9] + b'\xff' + good[10:]),
        'a key twice': ('DuplicateKey', with_header(lambda h: json.dumps(h)[:-1] + ', "b": {}}')),
        'an entry with more': ('BadHeader', with_entry('b', code='x')),
        'an unknown dtype': ('UnknownDtype', with_entry('b', dtype='F8_E4M3')),
        'a dtype that is a list': ('UnknownDtype', with_entry('b', dtype=[])),
        'a negative size': ('BadShape', with_entry('b', shape=[-2, -3])),
        'a true size': ('BadShape', with_entry('b', shape=[True, 6])),
        'a fractional size': ('BadShape', with_entry('b', shape=[6.0])),
        'a size of 2^64': ('BadShape', with_entry('b', shape=[2**32, 2**32])),
        'a huge size beside 0': ('BadShape', with_entry('b', shape=[2**64, 0])),
        'a range of three': ('BadRange', with_entry('b', data_offsets=[4, 8, 16])),
        'a negative range': ('BadRange', with_entry('b', data_offsets=[-12, 0])),
        'a range that ends early': ('BadRange', with_entry('b', shape=[2])),
        'a range beyond the file': ('Truncated', with_entry('b', shape=[10**6], data_offsets=[4, 2000004])),
        'two in one place': ('BadRange', with_entry('b', data_offsets=[0, 12])),
        'a hole': ('BadRange', with_header(lambda h: h.pop('b') and None)),
        'NaN': ('BadHeader', with_metadata(config='{"model": NaN}')),
        'version 2': ('NewerVersion', with_metadata(version='2')),
        'version x': ('BadHeader', with_metadata(version='1x')),
        'further metadata': ('BadHeader', with_metadata(more='')),
        'no text': ('BadHeader', with_header(lambda h: h['__metadata__'].update(version=1))),
        'a changed weight': ('WrongChecksum', good[:begin] + b'\1' + good[begin + 1:]),
        'a changed config': ('WrongChecksum', good.replace(b'BinaryResNet', b'BinaryResMet')),
        'no checksum': ('WrongChecksum', with_header(
            lambda h: h.update(other=h.pop('sha256')) or json.dumps(h))),
        'bits of another shape': ('BadBits', with_metadata(bits={'a.bits': [1, 3, 3, 9]})),
        'bits of no tensor': ('BadBits', with_metadata(bits={'c': [1, 3, 3, 1]})),
        'bits of floats': ('BadBits', with_metadata(bits={'b': [1, 1, 1, 6]})),
        'bits of a negative shape': ('BadBits', with_metadata(bits={'a.bits': [-1, 3, -3, 1]})),
        'bits that are a list': ('BadHeader', with_metadata(bits=[])),
        'a config that is a list': ('BadHeader', with_metadata(config=[])),
        'no model': ('BadConfig', with_metadata(config={})),
        'a key of training': ('BadConfig', with_config(optim_wrapper={})),
        'imports': ('BadConfig', with_config(custom_imports=dict(imports=['os']))),
        'weights from elsewhere': ('BadConfig', with_config(
            model=dict(model, init_cfg=dict(type='Pretrained', checkpoint='http://a.b/c')))),
        'a pickle to be loaded': ('BadConfig', with_config(test_dataloader=dict(dataset=dict(
            type='NYUDSegDataset', ann_file='x.PKL')))),
        'an address': ('BadConfig', with_config(model=dict(model, loss=dict(class_weight='http://a.b/c')))),
        'an unknown type': ('UnknownType', with_config(model=dict(type='cmim_mm.BinaryResNest'))),
        'a type that is code': ('UnknownType', with_config(model=dict(type='os.system', command='true'))),
        'code deep inside': ('UnknownType', with_config(
            test_dataloader=dict(dataset=dict(pipeline=[dict(type='subprocess.run')])))),
        'a type of our modules': ('UnknownType', with_config(
            model=dict(type='cmim_mm.atomic.write_atomically', data=b''.decode(), path='x'))),
        'a type that is a list': ('UnknownType', with_config(model=dict(type=['os.system']))),
        'a broken tuple': ('BadHeader', with_config(test_pipeline={'$tuple': 3})),
        'bits beyond the shape': ('BadBits', sign_again(_with_bit(good))),
    }


def _with_bit(data: bytes) -> bytes:
    begin = 8 + int.from_bytes(data[:8], 'little')
    start, end = json.loads(data[8:begin])['a.bits']['data_offsets']
    changed = bytearray(data)
    changed[begin + end - 1] |= 0x80
    return bytes(changed)


