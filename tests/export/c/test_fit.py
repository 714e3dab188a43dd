"""`fit`: what is written fits the memory that was named, or the refusal says what would."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence

import numpy as np
import pytest

import opsin
from opsin.base.errors import UsageError
from opsin.export.c.fit import describe, fit
from opsin.export.c.folder import MICROCONTROLLER, write
from opsin.export.c.limits import Limits, kibibytes, parse_limits
from opsin.export.c.smaller import smaller_images, smaller_networks
from opsin.model import Model
from opsin.zoo import registry
from tests.export.c.test_model import small_model


@pytest.mark.parametrize(
    ("text", "ram", "flash"),
    [
        ("64KB RAM, 256KB flash", 65536, 262144), ("1 MiB flash and 0.5MB of ram", 524288, 1048576),
        ("20480 RAM", 20480, None), ("512k FLASH", None, 524288),
    ],
)  # fmt: skip
def test_sizes_are_read_as_data_sheets_write_them(text: str, ram: int | None, flash: int | None) -> None:
    assert parse_limits(text) == Limits(ram, flash)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("64KB", "'64KB' is no size of RAM or flash"), ("64GB RAM", "'64GB RAM' is no size"), ("", "'' is no size"),
        ("64KB RAM, 32KB RAM", "names RAM twice"), ("0KB RAM", "nothing fits 0 bytes"), ("-1KB RAM", "is no size"),
        ("64KB RAM 256KB flash", "is no size"),
    ],
)  # fmt: skip
def test_other_texts_are_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        parse_limits(text)
    assert 'write it like "64KB RAM, 256KB flash"' in str(caught.value)


def test_sizes_are_rounded_up() -> None:
    assert [kibibytes(size) for size in (64, 1024, 1025, 36252, 2**21)] == [
        "64 bytes", "1 KB", "1.1 KB", "35.5 KB", "2,048 KB",
    ]  # fmt: skip


def test_a_model_streams_only_if_it_would_not_fit_otherwise() -> None:
    model = small_model()
    whole, rows = (write(model, "float32", stream) for stream in (False, True))
    assert rows.ram < whole.ram
    flash = max(whole.flash, rows.flash)
    assert not fit(model, "float32", False, Limits(whole.ram, flash), ()).shipment.is_streamed
    assert fit(model, "float32", False, Limits(whole.ram - 1, flash), ()).shipment.is_streamed
    with pytest.raises(UsageError, match="does not fit"):
        fit(model, "float32", False, Limits(rows.ram - 1, flash), ())
    assert "weights alone" in describe(rows)


@pytest.mark.usefixtures("few_networks")
def test_what_is_too_large_without_its_code_is_not_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []

    def record(files: object, name: str, compilers: Sequence[str]) -> list[object]:
        compiled.extend(compilers)
        return []

    monkeypatch.setattr("opsin.export.c.folder.measure_files", record)
    with pytest.raises(UsageError, match="does not fit"):
        fit(small_model(), "float32", False, Limits(None, 100))
    assert compiled == []
    fit(small_model(), "float32", False, Limits(None, 1 << 20))
    assert compiled == [MICROCONTROLLER]


@pytest.fixture
def few_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "names", lambda: ["lenet5", "lenet5_1998", "resnet9", "mlperf_tiny_ds_cnn", "unet"])


@pytest.mark.usefixtures("few_networks")
def test_a_refusal_names_the_layer_and_what_would_fit(digits: Model) -> None:
    rows = write(digits, "float32", True)
    with pytest.raises(UsageError) as caught:
        fit(digits, "float32", False, Limits(rows.ram // 3, None), ())
    text = str(caught.value)
    assert f"float32, row by row, needs {kibibytes(rows.ram)} of RAM" in text
    assert re.search(r"The largest layer [\w.]+ works on", text)
    assert "--precision int8 and --calibrate FOLDER" in text
    assert "which fits" in text
    with pytest.raises(UsageError, match=r"such as mlperf_tiny_ds_cnn, and ship it with --precision int8$"):
        fit(digits, "float32", False, Limits(None, 50_000), ())
    with pytest.raises(UsageError, match=r"has .* KB of weights"):
        fit(digits, "float32", True, Limits(None, rows.flash - 1), ())


@pytest.mark.usefixtures("few_networks")
def test_smaller_images_and_networks_fit_by_their_figures(digits: Model) -> None:
    whole = write(digits, "float32", False)
    assert smaller_networks(digits, 4, Limits(1 << 18, 1 << 18)) == ["mlperf_tiny_ds_cnn", "lenet5_1998"]
    assert smaller_networks(digits, 4, Limits(100, 100)) == []
    shape = digits.preprocessing.shape
    side = smaller_images(digits, (whole.ram, whole.flash), Limits(whole.ram // 2, None))
    assert side is not None
    assert side < shape[1]
    assert smaller_images(digits, (whole.ram, whole.flash), Limits(1, 1)) is None


def test_the_certificate_says_whether_it_fits() -> None:
    model = small_model()
    model.quantize(np.random.default_rng(4).integers(0, 256, (32, 3, 12, 10), dtype=np.uint8))
    export = opsin.ship(model, "c", fit="32KB RAM, 128KB flash", precision="int8")
    assert export.summary == json.loads(export.files["certificate.json"])["fit"]
    assert export.summary.startswith("It fits 32 KB of RAM and 128 KB of flash: int8 needs")
    assert ("with its stack" in export.summary) == bool(shutil.which(MICROCONTROLLER))
    assert opsin.ship(model, "c").summary == ""
