"""The architecture of Qwen2-VL as two OpenVINO graphs: the vision tower, and the language model with its memory.

    model = language(tensors, config)      # tensors["layers.0.mlp.up_proj.weight"] is an array of float32

Angles, positions and masks come in from outside (tinyrs/openvino.py makes them), so that a graph is only what has
weights. Every matrix of a linear layer becomes whole numbers 0..255 with a scale and a zero for each of its rows, or
0..15 with one for each `GROUP` values of a row; the rest stays as it is. tests/test_convert.py holds both graphs against
transformers' own.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

ACTIVATIONS = ("quick_gelu", "gelu")
"""What the vision tower may have between its layers; the language model has SiLU."""

GROUP = 64
"""Values of a row that share a scale where they have 4 bits: 16 levels are too few for a whole row."""

Tensors = Mapping[str, np.ndarray]


class _Layers:
    """The layers that both graphs are made of, with weights from `tensors`, of 8 or of 4 bits."""

    def __init__(self, tensors: Tensors, bits: int = 8) -> None:
        self.tensors, self.bits = tensors, bits

    def linear(self, x, name: str, bias: bool = True, bits: int | None = None):
        """x @ weight.T + bias"""
        weight = self.tensors[f"{name}.weight"]
        y = ops().matmul(x, whole_numbers(weight.reshape(len(weight), -1), bits or self.bits), False, True)
        return ops().add(y, constant(self.tensors[f"{name}.bias"])) if bias else y

    def layer_norm(self, x, name: str, eps: float = 1e-6):
        y = ops().mvn(x, constant([-1], np.int64), True, eps, "inside_sqrt")
        weight, bias = self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"]
        return ops().add(ops().multiply(y, constant(weight)), constant(bias))

    def rms_norm(self, x, name: str, eps: float):
        square = ops().reduce_mean(ops().power(x, constant(2.0)), constant([-1], np.int64), True)
        root = ops().sqrt(ops().add(square, constant(eps)))
        scaled = ops().multiply(x, ops().divide(constant(1.0), root))
        return ops().multiply(constant(self.tensors[f"{name}.weight"]), scaled)


def vision(tensors: Tensors, config):
    """patches (n, values), cos and sin (n, head) -> tokens (n / 4, hidden): one picture, all of it at once."""
    layers, sizes = _Layers(tensors), config.vision_config
    heads, size = sizes.num_heads, sizes.embed_dim // sizes.num_heads
    values = sizes.in_channels * sizes.temporal_patch_size * sizes.patch_size**2
    patches, cos, sin = _inputs(patches=[-1, values], cos=[-1, size], sin=[-1, size])
    x = layers.linear(patches, "visual.patch_embed.proj", bias=False)
    for number in range(sizes.depth):
        name = f"visual.blocks.{number}"
        qkv = layers.linear(layers.layer_norm(x, f"{name}.norm1"), f"{name}.attn.qkv")
        parts = ops().split(_shaped(qkv, [0, 3, heads, size]), constant(1, np.int64), 3).outputs()
        q, k, v = (_turned(_shaped(part, [1, -1, heads, size]), [0, 2, 1, 3]) for part in parts)
        seen = ops().scaled_dot_product_attention(_rotated(q, cos, sin, size), _rotated(k, cos, sin, size), v)
        x = ops().add(x, layers.linear(_joined(seen, [-1, heads * size]), f"{name}.attn.proj"))
        y = layers.linear(layers.layer_norm(x, f"{name}.norm2"), f"{name}.mlp.fc1")
        x = ops().add(x, layers.linear(_activated(y, sizes.hidden_act), f"{name}.mlp.fc2"))
    merged = sizes.spatial_merge_size**2 * sizes.embed_dim
    x = _shaped(layers.layer_norm(x, "visual.merger.ln_q"), [-1, merged])
    x = layers.linear(ops().gelu(layers.linear(x, "visual.merger.mlp.0"), "erf"), "visual.merger.mlp.2")
    return _model([x], [], [patches, cos, sin], "vision")


def language(tensors: Tensors, config, bits: int = 8):
    """embeddings (rows, n, hidden), cos and sin (rows, n, head), mask (rows, 1, n, past + n), rows (rows,) -> logits
    (rows, words) after the last token. The keys and values of what went before are its state, `key.0`, `value.0`, ...;
    `rows` says which rows of the state the rows of this step continue.

    bits  of the layers' weights, 8 or 4. The head, which chooses the word, always has 8.
    """
    layers, text = _Layers(tensors, bits), config.text_config
    heads, shared = text.num_attention_heads, text.num_key_value_heads
    size, eps = text.hidden_size // heads, text.rms_norm_eps
    x, cos, sin, mask = inputs = _inputs(
        embeddings=[-1, -1, text.hidden_size], cos=[-1, -1, size], sin=[-1, -1, size], mask=[-1, 1, -1, -1]
    )
    rows = _input("rows", [-1], np.int32)
    cos, sin = (ops().unsqueeze(turn, constant(1, np.int64)) for turn in (cos, sin))
    empty = _empty_state(x, shared, size)
    sinks = []
    for number in range(text.num_hidden_layers):
        name = f"layers.{number}"
        y = layers.rms_norm(x, f"{name}.input_layernorm", eps)
        q, k, v = (
            _turned(_shaped(layers.linear(y, f"{name}.self_attn.{part}_proj"), [0, 0, count, size]), [0, 2, 1, 3])
            for part, count in (("q", heads), ("k", shared), ("v", shared))
        )
        q, k = _rotated(q, cos, sin, size), _rotated(k, cos, sin, size)
        k, kept_k = _remembered(f"key.{number}", k, empty, rows)
        v, kept_v = _remembered(f"value.{number}", v, empty, rows)
        sinks += [kept_k, kept_v]
        k, v = (_repeated(part, heads, shared, size) for part in (k, v))
        seen = ops().scaled_dot_product_attention(q, k, v, mask)
        x = ops().add(x, layers.linear(_joined(seen, [0, 0, heads * size]), f"{name}.self_attn.o_proj", bias=False))
        y = layers.rms_norm(x, f"{name}.post_attention_layernorm", eps)
        gate, up = (layers.linear(y, f"{name}.mlp.{part}_proj", bias=False) for part in ("gate", "up"))
        y = ops().multiply(ops().swish(gate), up)
        x = ops().add(x, layers.linear(y, f"{name}.mlp.down_proj", bias=False))
    last = ops().gather(x, constant(-1, np.int64), constant(1, np.int64))
    head = "lm_head" if "lm_head.weight" in tensors else "embed_tokens"
    logits = layers.linear(layers.rms_norm(last, "norm", eps), head, bias=False, bits=8)
    return _model([logits], sinks, [*inputs, rows], "language")


def _empty_state(x, heads: int, size: int):
    rows = ops().gather(ops().shape_of(x), constant([0], np.int64), constant(0, np.int64))
    return ops().broadcast(constant(0.0), ops().concat([rows, constant([heads, 0, size], np.int64)], 0))


def _remembered(name: str, new, empty, rows):
    """What the state `name` holds with `new` after it, and the node that puts it back."""
    from openvino import PartialShape, Type

    shape = PartialShape([-1, new.get_output_partial_shape(0)[1], -1, new.get_output_partial_shape(0)[3]])
    past = ops().read_value(empty, name, Type.f32, shape)
    whole = ops().concat([ops().gather(past, rows, constant(0, np.int64)), new], 2)
    return whole, ops().assign(whole, name)


def _repeated(x, heads: int, shared: int, size: int):
    """Keys or values that several heads share, once for each of these heads."""
    if heads == shared:
        return x
    # As a product with ones: the form in which OpenVINO recognises shared keys, and never makes the copies.
    each = constant(np.ones((1, 1, heads // shared, 1, 1)))
    x = ops().multiply(ops().unsqueeze(x, constant(2, np.int64)), each)
    return _shaped(x, [0, heads, -1, size])


def _rotated(x, cos, sin, size: int):
    """Rotary position embedding: `x` turned by angles, the first half of its values against the second."""
    half = size // 2
    axis, one = constant([-1], np.int64), constant([1], np.int64)
    first = ops().slice(x, constant([0], np.int64), constant([half], np.int64), one, axis)
    second = ops().slice(x, constant([half], np.int64), constant([size], np.int64), one, axis)
    turned = ops().concat([ops().multiply(second, constant(-1.0)), first], -1)
    return ops().add(ops().multiply(x, cos), ops().multiply(turned, sin))


def _activated(x, kind: str):
    if kind == "quick_gelu":
        return ops().multiply(x, ops().sigmoid(ops().multiply(x, constant(1.702))))
    return ops().gelu(x, "erf")


def whole_numbers(weight: np.ndarray, bits: int = 8):
    """`weight` (out, in) as whole numbers of `bits` with their scales and zeros: a node of float32."""
    whole, scale, zero = quantized(weight, bits)
    centred = ops().subtract(*(ops().convert(_packed(part, bits), "f32") for part in (whole, zero)))
    scaled = ops().multiply(centred, constant(scale))
    return scaled if whole.ndim == 2 else _shaped(scaled, list(weight.shape))


def quantized(weight: np.ndarray, bits: int = 8) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(whole, scale, zero), with weight = (whole - zero) * scale to within half a `scale`; whole and zero are uint8.

    Of 8 bits, `whole` has the shape of `weight` and a scale for each row. Of 4 bits and less it is (out, groups,
    values of a group) with a scale for each group; a row that `GROUP` does not divide is one group.
    """
    if bits < 8:
        weight = weight.reshape(len(weight), -1, GROUP if weight.shape[1] % GROUP == 0 else weight.shape[1])
    most = 2**bits - 1
    low = np.minimum(weight.min(-1, keepdims=True), 0)
    high = np.maximum(weight.max(-1, keepdims=True), 0)
    scale = np.maximum((high - low) / most, np.finfo(np.float32).tiny).astype(np.float32)
    zero = np.rint(-low / scale)
    whole = weight / scale
    whole += zero
    np.rint(whole, out=whole)
    return np.clip(whole, 0, most, out=whole).astype(np.uint8), scale, np.clip(zero, 0, most).astype(np.uint8)


def _packed(whole: np.ndarray, bits: int):
    """Whole numbers as a constant; of 4 bits, two in a byte."""
    if bits == 8:
        return constant(whole)
    from openvino import Tensor, Type, op

    low, high = np.append(whole, np.zeros(whole.size % 2, np.uint8)).reshape(-1, 2).T
    packed = Tensor(Type.u4, list(whole.shape))
    packed.data.reshape(-1)[:] = low | high << 4
    return op.Constant(packed)


def constant(value, dtype=None):
    value = np.asarray(value)
    return ops().constant(value.astype(dtype or (np.float32 if value.dtype.kind == "f" else value.dtype)))


def ops():
    from openvino import opset13

    return opset13


def _input(name: str, shape: list[int], dtype=np.float32):
    node = ops().parameter(shape, dtype, name)
    node.get_output_tensor(0).set_names({name})
    return node


def _inputs(**shapes: list[int]) -> list:
    return [_input(name, shape) for name, shape in shapes.items()]


def _shaped(x, shape: list[int]):
    return ops().reshape(x, constant(shape, np.int64), True)


def _turned(x, order: list[int]):
    return ops().transpose(x, constant(order, np.int64))


def _joined(x, shape: list[int]):
    """The heads of attention beside each other again."""
    return _shaped(_turned(x, [0, 2, 1, 3]), shape)


def _model(results: list, sinks: list, inputs: list, name: str):
    from openvino import Model

    return Model([ops().result(node) for node in results], sinks, inputs, name)
