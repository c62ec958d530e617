"""What a torch pickle may import: the names that `torch.load(weights_only=True)` knows, and the dtypes among them."""

from __future__ import annotations

from collections.abc import Iterable

_STORAGE_DTYPES = {
    "DoubleStorage": "F64",
    "FloatStorage": "F32",
    "HalfStorage": "F16",
    "BFloat16Storage": "BF16",
    "LongStorage": "I64",
    "IntStorage": "I32",
    "ShortStorage": "I16",
    "CharStorage": "I8",
    "ByteStorage": "U8",
    "BoolStorage": "BOOL",
    "ComplexFloatStorage": "C64",
    "ComplexDoubleStorage": "COMPLEX128",
}
_QUANTIZED = ("QInt8", "QUInt8", "QInt32", "QUInt4x2", "QUInt2x4")
_DTYPES = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "bfloat16": "BF16",
    "int64": "I64",
    "int32": "I32",
    "int16": "I16",
    "int8": "I8",
    "uint64": "U64",
    "uint32": "U32",
    "uint16": "U16",
    "uint8": "U8",
    "bool": "BOOL",
    "complex64": "C64",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e4m3fnuz": "F8_E4M3FNUZ",
    "float8_e5m2": "F8_E5M2",
    "float8_e5m2fnuz": "F8_E5M2FNUZ",
    "float8_e8m0fnu": "F8_E8M0",
}
_OTHER_DTYPES = (
    *("complex32", "complex128", "float4_e2m1fn_x2"),
    *("qint8", "qint32", "quint8", "quint4x2", "quint2x4"),
    *("bits8", "bits16", "bits1x8", "bits2x4", "bits4x2"),
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in range(1, 8)),
)

DTYPES = {
    **{f"torch {name}": dtype for name, dtype in _STORAGE_DTYPES.items()},
    **{f"torch.cuda {name}": dtype for name, dtype in _STORAGE_DTYPES.items()},
    **{f"torch {name}Storage": name.upper() for name in _QUANTIZED},
    **{f"torch {name}": dtype for name, dtype in _DTYPES.items()},
    **{f"torch {name}": name.upper() for name in _OTHER_DTYPES},
}
"""Dtype of every storage class and dtype by its import; in capitals where safetensors has no name for it."""

_TENSOR_CLASSES = ("BFloat16", "Byte", "Char", "Double", "Float", "Half", "Int", "Long", "Short")

ALLOWED = frozenset(
    {
        *DTYPES,
        *(f"{module} {name}Tensor" for name in (*_TENSOR_CLASSES, "Bool") for module in ("torch", "torch.cuda")),
        *(f"{module} {name}Tensor" for name in _TENSOR_CLASSES for module in ("torch.sparse", "torch.cuda.sparse")),
        "torch Size",
        "torch Tensor",
        "torch device",
        "torch per_channel_affine",
        "torch per_channel_affine_float_qparams",
        "torch per_channel_symmetric",
        "torch per_tensor_affine",
        "torch per_tensor_symmetric",
        "torch.nn.parameter Parameter",
        "torch.serialization _get_layout",
        "torch.storage TypedStorage",
        "torch.storage UntypedStorage",
        "torch._tensor _rebuild_from_type_v2",
        "torch._utils _rebuild_device_tensor_from_cpu_tensor",
        "torch._utils _rebuild_device_tensor_from_numpy",
        "torch._utils _rebuild_meta_tensor_no_storage",
        "torch._utils _rebuild_nested_tensor",
        "torch._utils _rebuild_parameter",
        "torch._utils _rebuild_parameter_with_state",
        "torch._utils _rebuild_qtensor",
        "torch._utils _rebuild_sparse_tensor",
        "torch._utils _rebuild_tensor",
        "torch._utils _rebuild_tensor_v2",
        "torch._utils _rebuild_tensor_v3",
        "torch._utils _rebuild_wrapper_subclass",
        "collections Counter",
        "collections OrderedDict",
        "_codecs encode",
        "builtins bytearray",
        "builtins complex",
        "builtins set",
        # Names of Python 2, in which protocol 2 is written; the unpickler maps them (`torch._utils.NAME_MAPPING`).
        "__builtin__ bytearray",
        "__builtin__ complex",
        "__builtin__ set",
    }
)
"""`_get_allowed_globals` of torch/_weights_only_unpickler.py, torch 2.13, as `"module name"`."""


def foreign(imports: Iterable[str]) -> tuple[str, ...]:
    """Those imports, as `"module name"`, that `torch.load(weights_only=True)` does not allow."""
    return tuple(path for path in imports if path not in ALLOWED)
