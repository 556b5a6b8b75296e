# SPDX-License-Identifier: GPL-3.0-or-later
"""Sixteen float32 numbers as one value inside compiled functions, so that a loop is SIMD by construction.

numba leaves it to LLVM whether a loop becomes SIMD, and a branch or an index too many makes it slower eight
times without a word. `lanes` is LLVM's `<16 x float>`: every operation on it is one vector instruction where
the processor has AVX-512, two where it has AVX, four with SSE or NEON; its meaning is the same everywhere.

Measured: the blending kernels in C with the same vectors, by clang (the `ziglang` wheel), gave the same bits
in the same time with AVX-512, AVX2 and SSE2. So there is no C here, and nothing to build for every platform.

Products and sums may be contracted to fused multiply-adds; nothing else is reordered. Scalars mix freely and
become float32. Indices into arrays are not checked.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

from ..cached_kernels import cached

WIDTH = 16

compiled = cached(nogil=True, error_model="numpy", fastmath={"contract", "nsz", "arcp"})

instruction: Callable[..., Any] = intrinsic
"""What numba makes of such a function is called without its first argument; types of it would mislead."""
typed: Callable[..., Any] = infer_global

_f32, _i32, _i1 = ir.FloatType(), ir.IntType(32), ir.IntType(1)
_floats, _ints, _bits = (ir.VectorType(kind, WIDTH) for kind in (_f32, _i32, _i1))
_FLAGS = ("contract", "nsz", "arcp")


class LanesType(types.Type):
    """Sixteen float32."""

    def __init__(self) -> None:
        super().__init__("float32x16")


class MaskType(types.Type):
    """Sixteen truth values."""

    def __init__(self) -> None:
        super().__init__("bool1x16")


lanes, mask = LanesType(), MaskType()


@register_model(LanesType)
class _LanesModel(models.PrimitiveModel):
    """One vector register."""

    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _floats)


@register_model(MaskType)
class _MaskModel(models.PrimitiveModel):
    """One bit a lane."""

    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _bits)


def _constant(number: float) -> ir.Constant:
    """The same float32 in all lanes."""
    return ir.Constant(_floats, [number] * WIDTH)


def _whole(number: int) -> ir.Constant:
    """The same int32 in all lanes."""
    return ir.Constant(_ints, [number] * WIDTH)


def _spread(builder: Any, value: Any) -> Any:
    """A scalar float32 in all lanes."""
    first = builder.insert_element(ir.Constant(_floats, ir.Undefined), value, ir.Constant(_i32, 0))
    return builder.shuffle_vector(first, ir.Constant(_floats, ir.Undefined), _whole(0))


def _vector(builder: Any, kind: Any, value: Any) -> Any:
    """The value if it is a vector, else spread."""
    return value if isinstance(kind, LanesType) else _spread(builder, value)


def _binary(function: Any, result: Any, emit: Callable[[Any, Any, Any], Any]) -> None:
    """Teach numba an operator of two lanes, or of lanes and a number."""

    class Template(AbstractTemplate):
        key = function

        def generic(self, args: tuple[Any, ...], kws: Any) -> Any:
            kinds = [lanes if arg is lanes or arg == lanes else types.float32 for arg in args]
            known = all(arg == lanes or isinstance(arg, types.Number) for arg in args)
            return signature(result, *kinds) if len(args) == 2 and known and lanes in args else None

    typed(function)(Template)
    for kinds in ((lanes, lanes), (lanes, types.float32), (types.float32, lanes)):

        @lower_builtin(function, *kinds)
        def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            first, second = (_vector(builder, kind, arg) for kind, arg in zip(sig.args, args, strict=True))
            return emit(builder, first, second)


_binary(operator.add, lanes, lambda b, x, y: b.fadd(x, y, flags=_FLAGS))
_binary(operator.sub, lanes, lambda b, x, y: b.fsub(x, y, flags=_FLAGS))
_binary(operator.mul, lanes, lambda b, x, y: b.fmul(x, y, flags=_FLAGS))
_binary(operator.truediv, lanes, lambda b, x, y: b.fdiv(x, y, flags=_FLAGS))
_binary(operator.ge, mask, lambda b, x, y: b.fcmp_ordered(">=", x, y))
_binary(operator.gt, mask, lambda b, x, y: b.fcmp_ordered(">", x, y))
_binary(operator.le, mask, lambda b, x, y: b.fcmp_ordered("<=", x, y))
_binary(operator.lt, mask, lambda b, x, y: b.fcmp_ordered("<", x, y))


@typed(operator.and_)
class _And(AbstractTemplate):
    key = operator.and_

    def generic(self, args: tuple[Any, ...], kws: Any) -> Any:
        return signature(mask, mask, mask) if args == (mask, mask) else None


@lower_builtin(operator.and_, mask, mask)
def _both(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    return builder.and_(*args)


def _called(builder: Any, name: str, *args: Any) -> Any:
    """A vector function of LLVM itself."""
    kind = ir.FunctionType(_floats, [_floats] * len(args))
    function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
    return builder.call(function, args)


def _address(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
    """Where element `index` (of the flat array) is."""
    data = context.make_array(kind)(context, builder, array).data
    return builder.gep(data, [index])


@instruction
def spread(typing: Any, value: Any) -> Any:
    """The number in all lanes."""

    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _spread(builder, args[0])

    return lanes(types.float32), code


@instruction
def across(typing: Any) -> Any:
    """0, 1, ... 7, 0, 1, ... 7: the columns of a block of 8 x 2 pixels."""

    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return ir.Constant(_floats, [float(lane % 8) for lane in range(WIDTH)])

    return lanes(), code


@instruction
def down(typing: Any) -> Any:
    """Eight times 0, eight times 1: the rows of a block of 8 x 2 pixels."""

    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return ir.Constant(_floats, [float(lane // 8) for lane in range(WIDTH)])

    return lanes(), code


@instruction
def load(typing: Any, array: Any, index: Any) -> Any:
    """Sixteen neighbours of a C-contiguous float32 array, from the flat index on."""

    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        where = _address(context, builder, sig.args[0], args[0], args[1])
        return builder.load(builder.bitcast(where, _floats.as_pointer()), align=4)

    return lanes(array, types.int64), code


@instruction
def store(typing: Any, array: Any, index: Any, value: Any) -> Any:
    """Write sixteen neighbours."""

    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        where = _address(context, builder, sig.args[0], args[0], args[1])
        builder.store(args[2], builder.bitcast(where, _floats.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.none(array, types.int64, lanes), code


@instruction
def gather(typing: Any, array: Any, index: Any, step: Any) -> Any:
    """Sixteen numbers at flat index, index + step, ..."""

    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        where = _address(context, builder, sig.args[0], args[0], args[1])
        found = ir.Constant(_floats, ir.Undefined)
        for lane in range(WIDTH):
            at = builder.gep(where, [builder.mul(args[2], ir.Constant(ir.IntType(64), lane))])
            found = builder.insert_element(found, builder.load(at), ir.Constant(_i32, lane))
        return found

    return lanes(array, types.int64, types.int64), code


@instruction
def scatter(typing: Any, array: Any, index: Any, step: Any, value: Any) -> Any:
    """Write sixteen numbers to flat index, index + step, ..."""

    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        where = _address(context, builder, sig.args[0], args[0], args[1])
        for lane in range(WIDTH):
            at = builder.gep(where, [builder.mul(args[2], ir.Constant(ir.IntType(64), lane))])
            builder.store(builder.extract_element(args[3], ir.Constant(_i32, lane)), at)
        return context.get_dummy_value()

    return types.none(array, types.int64, types.int64, lanes), code


@instruction
def pick(typing: Any, array: Any, rows: Any, index: Any, step: Any, column: Any) -> Any:
    """array[step * row + column] of sixteen neighbouring `rows` (int32), from the index on."""

    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        row = _address(context, builder, sig.args[1], args[1], args[2])
        found = ir.Constant(_floats, ir.Undefined)
        for lane in range(WIDTH):
            number = builder.load(builder.gep(row, [ir.Constant(_i32, lane)]))
            flat = builder.mul(builder.sext(number, ir.IntType(64)), args[3])
            at = _address(context, builder, sig.args[0], args[0], builder.add(flat, args[4]))
            found = builder.insert_element(found, builder.load(at), ir.Constant(_i32, lane))
        return found

    return lanes(array, rows, types.int64, types.int64, types.int64), code


@instruction
def store_whole(typing: Any, array: Any, index: Any, value: Any) -> Any:
    """Write sixteen neighbours of an int32 array, cut to whole numbers."""

    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        where = _address(context, builder, sig.args[0], args[0], args[1])
        whole = builder.fptosi(args[2], _ints)
        builder.store(whole, builder.bitcast(where, _ints.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.none(array, types.int64, lanes), code


@instruction
def item(typing: Any, array: Any, index: Any) -> Any:
    """One number of a C-contiguous array, without the care for negative indices."""

    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.load(_address(context, builder, sig.args[0], args[0], args[1]))

    return array.dtype(array, types.int64), code


@instruction
def select(typing: Any, where: Any, yes: Any, no: Any) -> Any:
    """Of `yes` where the mask is true, of `no` elsewhere, whatever stands there (NaN too)."""

    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        first, second = (
            _vector(builder, kind, arg) for kind, arg in zip(sig.args[1:], args[1:], strict=True)
        )
        return builder.select(args[0], first, second)

    kinds = [lanes if kind == lanes else types.float32 for kind in (yes, no)]
    return lanes(mask, *kinds), code


@instruction
def least(typing: Any, first: Any, second: Any) -> Any:
    """Lane by lane the smaller; the second where the first is NaN."""

    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        x, y = (_vector(builder, kind, arg) for kind, arg in zip(sig.args, args, strict=True))
        return builder.select(builder.fcmp_ordered("<", x, y), x, y)

    return lanes(*(lanes if kind == lanes else types.float32 for kind in (first, second))), code


@instruction
def most(typing: Any, first: Any, second: Any) -> Any:
    """Lane by lane the larger; the second where the first is NaN."""

    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        x, y = (_vector(builder, kind, arg) for kind, arg in zip(sig.args, args, strict=True))
        return builder.select(builder.fcmp_ordered(">", x, y), x, y)

    return lanes(*(lanes if kind == lanes else types.float32 for kind in (first, second))), code


@instruction
def root(typing: Any, value: Any) -> Any:
    """Square root."""

    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _called(builder, f"llvm.sqrt.v{WIDTH}f32", args[0])

    return lanes(lanes), code


@instruction
def any_lane(typing: Any, value: Any) -> Any:
    """Whether any lane of the mask is true."""

    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        bits = builder.bitcast(args[0], ir.IntType(WIDTH))
        return builder.icmp_unsigned("!=", bits, ir.Constant(ir.IntType(WIDTH), 0))

    return types.boolean(mask), code


@instruction
def total(typing: Any, value: Any) -> Any:
    """Sum over the lanes, in pairs."""

    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        left, size = args[0], WIDTH
        while size > 1:
            size //= 2
            halves = [
                builder.shuffle_vector(left, left, ir.Constant(ir.VectorType(_i32, size), list(part)))
                for part in (range(size), range(size, 2 * size))
            ]
            left = builder.fadd(*halves)
        return builder.extract_element(left, ir.Constant(_i32, 0))

    return types.float32(lanes), code


_PAIRS = (
    ((0, 8, 2, 10, 4, 12, 6, 14), (1, 9, 3, 11, 5, 13, 7, 15)),
    ((0, 1, 8, 9, 4, 5, 12, 13), (2, 3, 10, 11, 6, 7, 14, 15)),
    ((0, 1, 2, 3, 8, 9, 10, 11), (4, 5, 6, 7, 12, 13, 14, 15)),
)


@instruction
def add_totals(
    typing: Any, array: Any, index: Any, a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any, h: Any
) -> Any:
    """Add to eight neighbours of an array the sums over the lanes of eight values."""

    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        eight = ir.VectorType(_f32, 8)
        halves = [ir.Constant(ir.VectorType(_i32, 8), list(range(at, at + 8))) for at in (0, 8)]
        parts = [builder.fadd(*(builder.shuffle_vector(x, x, half) for half in halves)) for x in args[2:]]
        for first, second in _PAIRS:
            shuffles = [ir.Constant(ir.VectorType(_i32, 8), list(order)) for order in (first, second)]
            parts = [
                builder.fadd(*(builder.shuffle_vector(x, y, order) for order in shuffles))
                for x, y in zip(parts[::2], parts[1::2], strict=True)
            ]
        where = _address(context, builder, sig.args[0], args[0], args[1])
        where = builder.bitcast(where, eight.as_pointer())
        builder.store(builder.fadd(builder.load(where, align=4), parts[0]), where, align=4)
        return context.get_dummy_value()

    return types.none(array, types.int64, *([lanes] * 8)), code


# exp2(f) = 1 + f p(f) on [-0.5, 0.5], p through Chebyshev's points: relative error below 2.1e-7.
_EXP2 = (0.6931471880, 0.2402234894, 0.0555035710, 0.00966637369, 0.00133908674)
_MAGIC = 12582912.0  # 1.5 * 2^23: adding it rounds to a whole number, which stands in the lowest bits
# log2(m) = s (c0 + c1 s^2 + ...) with s = (m - 1) / (m + 1)
_LOG2 = (2.88539008, 0.961796694, 0.577078016, 0.412198583, 0.320598898)


def _polynomial(builder: Any, x: Any, coefficients: tuple[float, ...]) -> Any:
    """c0 + x (c1 + x (...))."""
    value = _constant(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        value = builder.fadd(builder.fmul(value, x, flags=_FLAGS), _constant(coefficient), flags=_FLAGS)
    return value


@instruction
def exp2(typing: Any, value: Any) -> Any:
    """2^x for -126 <= x <= 126; outside, anything. Relative error 3e-7."""

    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        # No flags here: what is added must not be cancelled against what is taken away.
        shifted = builder.fadd(args[0], _constant(_MAGIC))
        rest = builder.fsub(args[0], builder.fsub(shifted, _constant(_MAGIC)))
        mantissa = _polynomial(builder, rest, (1.0, *_EXP2))
        exponent = builder.shl(builder.bitcast(shifted, _ints), _whole(23))
        return builder.bitcast(builder.add(builder.bitcast(mantissa, _ints), exponent), _floats)

    return lanes(lanes), code


@instruction
def log2(typing: Any, value: Any) -> Any:
    """Logarithm to the base 2 of normal numbers above zero; of others, anything."""

    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        bits = builder.bitcast(args[0], _ints)
        # The bits of sqrt(1/2) taken away first: the mantissa is then between sqrt(1/2) and sqrt(2).
        above = builder.sub(bits, _whole(0x3F3504F3))
        exponent = builder.ashr(above, _whole(23))
        mantissa = builder.bitcast(builder.sub(bits, builder.shl(exponent, _whole(23))), _floats)
        s = builder.fdiv(
            builder.fsub(mantissa, _constant(1.0)), builder.fadd(mantissa, _constant(1.0)), flags=_FLAGS
        )
        series = builder.fmul(s, _polynomial(builder, builder.fmul(s, s), _LOG2), flags=_FLAGS)
        return builder.fadd(builder.sitofp(exponent, _floats), series)

    return lanes(lanes), code
