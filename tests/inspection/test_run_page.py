"""The page of a run on an annotated task: the images with the largest errors, to which the report links."""

from __future__ import annotations

import base64
import gzip
import json
import re
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from opsin.backends.native import compile as native
from opsin.inspection.run_page import write_run_page
from opsin.report import task_page
from opsin.report.task_report import MAX_EXPLAINED
from tests.report.annotated import measured, subject


def test_the_report_links_its_worst_images_to_the_page(tmp_path: Path) -> None:
    (model, data), report = subject(), measured()
    worst = report.evaluation.worst(MAX_EXPLAINED)
    assert len(worst) == MAX_EXPLAINED and report.explained == tuple(worst)
    name = write_run_page(tmp_path, replace(model, engine=native), data, report)
    page = (tmp_path / name).read_text(encoding="utf-8")
    content = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert content
    seen = json.loads(content[1])
    assert [image["name"] for image in seen["images"]] == [f"<i>{number}</i>.png" for number in worst]
    packed = re.search(r'<script type="text/plain" id="arrays">(.*?)</script>', page, re.DOTALL)
    assert packed
    views = json.loads(gzip.decompress(base64.b64decode(packed[1]))[seen["index"] :])["views"]
    shown = views["explanations"]["images"]
    assert {answer["label"] for answer in shown[0]["answers"]} <= set(model.labels) - {"background"}
    assert {"network", "embedding"} <= set(seen["views"])
    links = re.findall(r'href="(see\.html#explanations\?image=\d+)"', task_page.page(replace(report, see=name)))
    drawn = {number for number, image in enumerate(worst) if image in report.drawn}
    assert {f"see.html#explanations?image={number}" for number in drawn} == set(links) and drawn
    assert "see.html" not in task_page.page(report)
    drawing = Image.open(BytesIO(base64.b64decode(shown[0]["drawing"].partition(",")[2])))
    assert drawing.width > drawing.height > 100
    plain = np.asarray(data.test.pixels[worst[0]] if data.test else 0)
    assert np.abs(np.asarray(drawing.resize((16, 12))).transpose(2, 0, 1) - plain.astype(float)).max() > 40
