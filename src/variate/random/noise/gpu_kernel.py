"""The kernel of ``gpu.py``: ``noise.c`` in Triton. Imported only where Triton is installed.

Each program makes one tile of one tensor. The integers are those of ``threefry.py``; logarithms, sines and exponentials
are the polynomials of ``noise.c``, since a GPU's own logarithm is too coarse where the radius of a normal is small.
"""

# mypy: disable-error-code="import-not-found, import-untyped, no-untyped-def, untyped-decorator"

import triton
import triton.language as tl

from variate.random.noise import threefry
from variate.random.noise.kinds import KINDS
from variate.random.noise.native import OPERATIONS

NOISE, DRAW = tl.constexpr(OPERATIONS["noise"]), tl.constexpr(OPERATIONS["draw"])
NORMAL, UNIFORM = tl.constexpr(KINDS.index("normal")), tl.constexpr(KINDS.index("uniform"))
LAPLACE, LOGISTIC = tl.constexpr(KINDS.index("laplace")), tl.constexpr(KINDS.index("logistic"))
BITS = tl.constexpr(KINDS.index("bits"))
GOLDEN, PARITY = tl.constexpr(threefry.GOLDEN), tl.constexpr(threefry.PARITY)
MIX1, MIX2 = tl.constexpr(threefry.MIX1), tl.constexpr(threefry.MIX2)
BLOCK, HALF = tl.constexpr(threefry.BLOCK), tl.constexpr(threefry.HALF)


@triton.jit(do_not_specialize=["rows", "low", "high"])
def sample(
    programs,  # int32 (programs, 2): the row and the tile of each
    columns,  # int64 (rows, 6): uid, kind, count, positive, inner, groups
    addresses,  # int64 (3, rows): of means, scales and outs
    rows,
    low,  # halves of the key, signed: always 32 bits, so that no key recompiles the kernel
    high,
    operation: tl.constexpr,
    mean: tl.constexpr,  # dtypes
    scale: tl.constexpr,
    out: tl.constexpr,
    tile: tl.constexpr,  # elements per program: a multiple of the block
):
    """Apply one operation to many tensors."""
    program = tl.program_id(0)
    row = tl.load(programs + 2 * program)
    start = tl.load(programs + 2 * program + 1).to(tl.int64) * tile
    column = columns + 6 * row
    left = tl.minimum(tl.load(column + 2) - start, tile).to(tl.int32)
    means = tl.load(addresses + row).to(tl.pointer_type(mean)) + start
    scales = tl.load(addresses + rows + row).to(tl.pointer_type(scale))
    outs = tl.load(addresses + 2 * rows + row).to(tl.pointer_type(out)) + start
    pair = tl.arange(0, tile // 2)
    a, b = _threefry(low, high, tl.load(column), (start // 2).to(tl.uint32) + pair.to(tl.uint32))
    za, zb = _noise(tl.load(column + 1), a, b)
    first = pair // HALF * BLOCK + pair % HALF  # the element of word a; that of word b is HALF further
    _write(za, first, left, start, means, scales, outs, column, operation)
    _write(zb, first + HALF, left, start, means, scales, outs, column, operation)


@triton.jit
def _write(z, element, left, start, means, scales, outs, column, operation: tl.constexpr):
    """Apply noise to half a tile."""
    inside = element < left
    value = z
    if operation != NOISE:
        positive = tl.load(column + 3) != 0
        value = tl.load(means + element, inside).to(tl.float32)
        if operation == DRAW:
            s = _scale(element, inside, start, scales, column)
            if positive:
                s = _softplus(s)
            value += s * z
        elif positive:
            value *= _sigmoid(_scale(element, inside, start, scales, column)) * z
        else:
            value *= z
    tl.store(outs + element, value.to(outs.dtype.element_ty), inside)


@triton.jit
def _scale(element, inside, start, scales, column):
    """The scale of each element: its own, or scales[(start + element) // inner % groups]."""
    inner = tl.load(column + 4)
    if inner == 0:
        s = tl.load(scales + start + element, inside).to(tl.float32)
    else:  # 64-bit divisions of scalars only
        groups = tl.load(column + 5)
        further = ((start % inner).to(tl.uint32) + element.to(tl.uint32)) // inner.to(tl.uint32)
        group = ((start // inner % groups).to(tl.uint32) + further) % groups.to(tl.uint32)
        s = tl.load(scales + group, inside).to(tl.float32)
    return s


@triton.jit
def _mix(z):
    z += GOLDEN
    z = (z ^ (z >> 30)) * MIX1
    z = (z ^ (z >> 27)) * MIX2
    return z ^ (z >> 31)


@triton.jit
def _threefry(low, high, uid, pair):
    """Two random words for each pair of elements."""
    key = high.to(tl.uint64) << 32 | low.to(tl.uint32, bitcast=True).to(tl.uint64)
    mixed = _mix(_mix(key) + uid.to(tl.uint64))
    k0, k1, c1 = mixed.to(tl.uint32), (mixed >> 32).to(tl.uint32), _mix((mixed ^ GOLDEN) + key).to(tl.uint32)
    k2 = k0 ^ k1 ^ PARITY
    a, b = _four(pair + k0, tl.zeros_like(pair) + (c1 + k1), 13, 15, 26, 6)
    a, b = _four(a + k1, b + (k2 + 1), 17, 29, 16, 24)
    a, b = _four(a + k2, b + (k0 + 2), 13, 15, 26, 6)
    return _round(a + k0, b + (k1 + 3), 17)


@triton.jit
def _four(a, b, one: tl.constexpr, two: tl.constexpr, three: tl.constexpr, four: tl.constexpr):
    a, b = _round(a, b, one)
    a, b = _round(a, b, two)
    a, b = _round(a, b, three)
    return _round(a, b, four)


@triton.jit
def _round(a, b, by: tl.constexpr):
    a += b
    return a, (b << by | b >> (32 - by)) ^ a


@triton.jit
def _noise(kind, a, b):
    """Turn two words into two elements of noise."""
    if kind == NORMAL:  # Box & Muller 1958
        radius = tl.sqrt(_minus_two_log(_odd31(a)))
        za, zb = _cos_sin(b)
        za *= radius
        zb *= radius
    else:
        za = _transform(kind, a)
        zb = _transform(kind, b)
    return za, zb


@triton.jit
def _transform(kind, word):
    if kind == UNIFORM:
        z = _signed(word | 1) * 8.0654887e-10  # sqrt(3) / 2^31
    elif kind == LAPLACE:
        size = _minus_two_log(_signed((word & 0x7FFFFFFF) | 1)) * 3.5355339e-1  # 1 / sqrt(8)
        z = _float(_bits(size) ^ (word & 0x80000000))
    elif kind == LOGISTIC:  # ln u - ln(1 - u), times sqrt(3) / pi
        rest = _signed(0x80000000 - (word >> 1 | 1))
        z = (_minus_two_log(rest) - _minus_two_log(_odd31(word))) * 2.7566445e-1
    elif kind == BITS:
        z = _float(word)
    else:
        z = _signed(word >> 8 | 1) * 5.9604644775e-8  # odd numbers / 2^24
    return z


@triton.jit
def _bits(x):
    return x.to(tl.uint32, bitcast=True)


@triton.jit
def _float(word):
    return word.to(tl.float32, bitcast=True)


@triton.jit
def _signed(word):
    return word.to(tl.int32, bitcast=True).to(tl.float32)


@triton.jit
def _odd31(word):
    return _signed(word >> 1 | 1)


@triton.jit
def _minus_two_log(n):
    """-2 ln(n / 2^31) for a float n in [1, 2^31]."""
    shifted = _bits(n) - 0x3F3504F3  # sqrt(1/2)
    e = ((shifted.to(tl.int32, bitcast=True) >> 23) - 31).to(tl.float32)
    m = _float((shifted & 0x007FFFFF) + 0x3F3504F3) - 1.0
    p = -1.7444486916e-1 * m + 2.8733575344e-1
    p = p * m - 2.9904565215e-1
    p = p * m + 3.3124804497e-1
    p = p * m - 3.9913666248e-1
    p = p * m + 5.0004148483e-1
    p = p * m - 6.6668373346e-1
    p = p * m + 9.9999976158e-1
    p = p * m - 2.0
    return p * m + e * -1.3862943611


@triton.jit
def _cos_sin(word):
    """The cosine and the sine of word * 2 pi / 2^32, with the word read as signed."""
    quarter = (word + 0x20000000) >> 30
    r = _signed(word - (quarter << 30)) * 1.46291807926716e-9
    z = r * r
    s = ((-1.9504022204e-4 * z + 8.3320364356e-3) * z - 1.6666650772e-1) * z * r + r
    c = ((-1.3585909037e-3 * z + 4.1655026376e-2) * z - 4.9999856949e-1) * z + 1.0
    odd = (quarter & 1) != 0
    sine = _bits(tl.where(odd, c, s)) ^ ((quarter & 2) << 30)
    cosine = _bits(tl.where(odd, s, c)) ^ (((quarter + 1) & 2) << 30)
    return _float(cosine), _float(sine)


@triton.jit
def _exp_minus_abs(x):
    a = -tl.abs(x)
    a = tl.where(a < -87.0, -87.0, a)  # tl.maximum would hide a NaN
    n = (a * 1.44269504 + 12582912.0) - 12582912.0  # to the nearest integer
    r = a - n * 0.693359375 + n * 2.12194440e-4
    p = 8.2976520061e-3 * r + 4.1915383190e-2
    p = p * r + 1.6667574644e-1
    p = p * r + 4.9998894334e-1
    p = p * r + 9.9999970198e-1
    p = p * r + 1.0000001192
    return p * _float((n.to(tl.int32) + 127) << 23)


@triton.jit
def _softplus(x):
    e = _exp_minus_abs(x)
    p = 5.2326242439e-3 * e - 2.9504956678e-2
    p = p * e + 7.8225493431e-2
    p = p * e - 1.3663206995e-1
    p = p * e + 1.9105988741e-1
    p = p * e - 2.4842977524e-1
    p = p * e + 3.3319094777e-1
    p = p * e - 4.9999493361e-1
    p = p * e + 9.9999994040e-1
    return tl.where(x > 0.0, x, 0.0) + p * e


@triton.jit
def _sigmoid(x):
    e = _exp_minus_abs(x)
    return tl.where(x > 0.0, 1.0, e) / (1.0 + e)
