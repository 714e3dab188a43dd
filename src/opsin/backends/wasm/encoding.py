"""The binary format of WebAssembly modules: whole numbers, vectors, sections, types and opcodes.

Source: the WebAssembly core specification, chapter "Binary Format" (webassembly.github.io/spec). Only deterministic
instructions are in the table: none of relaxed SIMD.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

I32, I64, F32, V128 = 0x7F, 0x7E, 0x7D, 0x7B
"""The types of values."""

LOCAL_GET, LOCAL_SET, LOCAL_TEE, CALL = b"\x20", b"\x21", b"\x22", b"\x10"
IF, ELSE, LOOP, BRANCH_IF, END, EMPTY = b"\x04\x40", b"\x05", b"\x03\x40", b"\x0d", b"\x0b", b"\x00"

SCALAR_OPCODES = {
    "i32.eq": 0x46, "i32.lt_s": 0x48, "i32.gt_s": 0x4A, "i32.le_s": 0x4C,
    "f32.eq": 0x5B, "f32.lt": 0x5D, "f32.gt": 0x5E, "f32.le": 0x5F,
    "i32.add": 0x6A, "i32.sub": 0x6B, "i32.mul": 0x6C, "i32.div_s": 0x6D, "i32.rem_s": 0x6F,
    "i32.and": 0x71, "i32.or": 0x72, "i32.xor": 0x73, "i32.shl": 0x74, "i32.shr_s": 0x75, "i32.shr_u": 0x76,
    "f32.abs": 0x8B, "f32.neg": 0x8C, "f32.floor": 0x8E, "f32.sqrt": 0x91,
    "f32.add": 0x92, "f32.sub": 0x93, "f32.mul": 0x94, "f32.div": 0x95,
    "i64.mul": 0x7E, "i64.shr_s": 0x87, "i64.extend_i32_s": 0xAC, "i32.wrap_i64": 0xA7,
    "f32.convert_i32_s": 0xB2, "i32.reinterpret_f32": 0xBC, "f32.reinterpret_i32": 0xBE, "select": 0x1B,
}  # fmt: skip

VECTOR_OPCODES = {
    "i32x4.splat": 0x11, "f32x4.splat": 0x13, "i32x4.eq": 0x37, "i32x4.lt_s": 0x39, "i32x4.le_s": 0x3D,
    "f32x4.eq": 0x41, "f32x4.lt": 0x43, "f32x4.le": 0x45,
    "v128.and": 0x4E, "v128.or": 0x50, "v128.xor": 0x51, "v128.bitselect": 0x52,
    "f32x4.floor": 0x68, "i32x4.shl": 0xAB, "i32x4.shr_s": 0xAC, "i32x4.shr_u": 0xAD,
    "i16x8.extend_low_i8x16_s": 0x87, "i16x8.extend_low_i8x16_u": 0x89,
    "i32x4.extend_low_i16x8_s": 0xA7, "i32x4.extend_low_i16x8_u": 0xA9,
    "i8x16.narrow_i16x8_s": 0x65, "i16x8.narrow_i32x4_s": 0x85,
    "i32x4.dot_i16x8_s": 0xBA, "i64x2.extmul_low_i32x4_s": 0xDC, "i64x2.extmul_high_i32x4_s": 0xDD,
    "i32x4.add": 0xAE, "i32x4.sub": 0xB1, "i32x4.mul": 0xB5, "i32x4.min_s": 0xB6, "i32x4.max_s": 0xB8,
    "f32x4.abs": 0xE0, "f32x4.neg": 0xE1, "f32x4.sqrt": 0xE3,
    "f32x4.add": 0xE4, "f32x4.sub": 0xE5, "f32x4.mul": 0xE6, "f32x4.div": 0xE7, "f32x4.pmin": 0xEA, "f32x4.pmax": 0xEB,
    "i32x4.trunc_sat_f32x4_s": 0xF8, "f32x4.convert_i32x4_s": 0xFA,
}  # fmt: skip

LANE_OPCODES = {
    "i32x4.extract_lane": 0x1B, "i32x4.replace_lane": 0x1C, "f32x4.extract_lane": 0x1F, "f32x4.replace_lane": 0x20,
}  # fmt: skip
"""Instructions that name a lane."""

LOAD_OPCODES = {
    "i32.load": 0x28, "f32.load": 0x2A, "i32.load8_s": 0x2C, "i32.load8_u": 0x2D, "i32.load16_s": 0x2E,
    "v128.load": 0x00, "v128.load8x8_s": 0x01, "v128.load16x4_s": 0x03, "v128.load32_splat": 0x09,
    "v128.load32_zero": 0x5C, "v128.load64_zero": 0x5D,
}  # fmt: skip
STORE_OPCODES = {"i32.store": 0x36, "f32.store": 0x38, "i32.store8": 0x3A, "i32.store16": 0x3B, "v128.store": 0x0B}
LANE_LOAD = 0x56
LANE_STORES = {
    "v128.store8_lane": 0x58,
    "v128.store16_lane": 0x59,
    "v128.store32_lane": 0x5A,
    "v128.store64_lane": 0x5B,
}


def unsigned(number: int) -> bytes:
    """Return a whole number ≥ 0 in LEB128."""
    result = bytearray()
    while True:
        number, digit = number >> 7, number & 0x7F
        result.append(digit | (0x80 if number else 0))
        if not number:
            return bytes(result)


def signed(number: int) -> bytes:
    """Return a whole number in signed LEB128."""
    result = bytearray()
    while True:
        number, digit = number >> 7, number & 0x7F
        is_last = number == (-1 if digit & 0x40 else 0)
        result.append(digit | (0 if is_last else 0x80))
        if is_last:
            return bytes(result)


def opcode(name: str) -> bytes:
    """Return the bytes of an instruction without immediates."""
    if name == "i32.trunc_sat_f32_s":
        return b"\xfc\x00"
    return bytes([SCALAR_OPCODES[name]]) if name in SCALAR_OPCODES else simd(VECTOR_OPCODES[name])


def simd(number: int) -> bytes:
    """Return the bytes of a vector instruction."""
    return b"\xfd" + unsigned(number)


def access(name: str, offset: int) -> bytes:
    """Return a load or store at a constant `offset`, with no promise of alignment."""
    number = LOAD_OPCODES[name] if name in LOAD_OPCODES else STORE_OPCODES[name]
    return (simd(number) if name.startswith("v128") else bytes([number])) + b"\x00" + unsigned(offset)


def vector(items: Sequence[bytes]) -> bytes:
    """Return items after their number."""
    return unsigned(len(items)) + b"".join(items)


def sized(content: bytes) -> bytes:
    """Return `content` after its length."""
    return unsigned(len(content)) + content


def name(text: str) -> bytes:
    return sized(text.encode("utf-8"))


def section(number: int, content: bytes) -> bytes:
    return bytes([number]) + sized(content)


def module(sections: Iterable[tuple[int, bytes]]) -> bytes:
    """Return a module of numbered sections."""
    return b"\0asm\1\0\0\0" + b"".join(section(number, content) for number, content in sections)
