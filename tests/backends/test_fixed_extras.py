"""What the vendors' headers cannot be asked: raw access, documented differences, refusals, cost and speed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
HEADERS = HERE.parents[1] / "backends" / "fixed"
NAMES = sorted(path.name for path in HEADERS.glob("*.h"))


def compiler(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    command = ["g++", "-std=c++17", f"-I{HEADERS}", *arguments]
    environment = {**os.environ, "LC_ALL": "C"}  # plain quotes, English messages
    return subprocess.run(command, input=text, capture_output=True, text=True, env=environment)


def test_extras(tmp_path: Path) -> None:
    program = tmp_path / "extras"
    flags = ["-Wall", "-Wextra", "-Wconversion", "-Werror", "-fsanitize=undefined", "-fno-sanitize-recover=all"]
    built = compiler(*flags, str(HERE / "fixed_extras.cpp"), "-o", str(program))
    assert built.returncode == 0, built.stderr
    done = subprocess.run([str(program)], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("ap_fixed<8, 4, AP_TRN, AP_WRAP, 2> x;", "saturated bits in WRAP mode is not supported"),
        ("ap_fixed<0, 0> x;", "a width of at least one bit"),
        ("ap_fixed<8, 4> x = 1; ac_fixed<8, 4> y = 1; auto z = x * y;", "ap_ and ac_ types do not mix"),
        ("ap_fixed<8, 4> x = 1; ac_fixed<8, 4> y = x;", "ap_ and ac_ types do not mix"),
        ("ac_fixed<8, 4> x = 1; ac_int<4> y = x;", "ac_fixed becomes ac_int by to_ac_int()"),
        ("ap_ufixed<64, 64> x = 1; x.raw();", "the value does not fit an int64; use limb()"),
        ("ap_fixed<8, 4> x = 1; auto z = x * 1.5;", "no match for 'operator*'"),
        ("ap_fixed<8, 4, AP_TRN, AP_WRAP_SM> x;", "AP_WRAP_SM"),
    ],
)
def test_refused_when_compiled(statement: str, reason: str) -> None:
    text = f'#include "ap_fixed.h"\n#include "ac_fixed.h"\nvoid f() {{ {statement} }}\n'
    refused = compiler("-fsyntax-only", "-x", "c++", "-", text=text)
    assert refused.returncode != 0
    assert reason in refused.stderr


@pytest.mark.parametrize("name", NAMES)
def test_each_header_stands_alone(name: str) -> None:
    built = compiler("-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-x", "c++", "-", text=f'#include "{name}"\n')
    assert built.returncode == 0, built.stderr


@pytest.mark.parametrize("name", ["ap_fixed.h", "ac_fixed.h", "hls_stream.h"])
def test_including_a_header_is_cheap(name: str) -> None:
    """No header of the C++ library is read: <iostream> alone costs ten times what all of ours do."""
    listed = compiler("-M", "-x", "c++", "-", text=f'#include "{name}"\n').stdout
    assert "/c++/" not in listed.replace("/lib/gcc/", "")
    text = compiler("-E", "-P", "-x", "c++", "-", text=f'#include "{name}"\n').stdout
    assert len(text.splitlines()) < 1500


MAC = """
#include "ap_fixed.h"
typedef ap_fixed<16, 6> T;
typedef {accumulator} A;
void mac(A* __restrict acc, T x, const T* __restrict w, int n) {{
    for (int i = 0; i < n; ++i) acc[i] += {product};
}}
"""


@pytest.mark.parametrize(
    ("accumulator", "product"),
    [
        ("ap_fixed<16, 6>", "x * w[i]"),
        ("ap_fixed<16, 6>", "T(x * w[i])"),
        ("ap_fixed<16, 6, AP_RND>", "x * w[i]"),
        ("ap_fixed<16, 6, AP_TRN, AP_SAT>", "T(x * w[i])"),
        ("ap_fixed<40, 20>", "x * w[i]"),
    ],
)
def test_multiply_accumulate_is_vectorised(accumulator: str, product: str) -> None:
    text = MAC.format(accumulator=accumulator, product=product)
    flags = ["-O3", "-march=native", "-fopt-info-vec-optimized", "-S", "-o", "/dev/null", "-x", "c++", "-"]
    built = compiler(*flags, text=text)
    assert built.returncode == 0 and "loop vectorized" in built.stderr
