"""Which numbers a network calculates in: the faster ones that keep its embeddings, measured once per processor and folder."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from ml_backend.errors import SettingsError
from ml_backend.features import runtime_choice
from ml_backend.features.backbones import load_backbone
from ml_backend.features.processor import processor_features, processor_key
from ml_backend.features.runtime_choice import CLOSE, Measured, chosen, compiled, measure, numbers_of
from ml_backend.features.silent_openvino import ov


@pytest.fixture
def network(converted_weights: Path, tmp_path: Path) -> Path:
    """The converted network in a folder in which nothing was measured yet."""
    for ending in (".bin", ".xml"):
        shutil.copy(converted_weights / f"mobilenet_v2-untrained{ending}", tmp_path)
    return tmp_path / "mobilenet_v2-untrained.xml"


@pytest.mark.parametrize(
    ("bf16", "cosine", "fastest"),
    [(300.0, CLOSE, "bf16"), (300.0, CLOSE - 0.001, "f32"), (105.0, 1.0, "f32"), (50.0, 1.0, "f32")],
)
def test_the_faster_format_is_taken_where_it_is_worth_it_and_close(bf16: float, cosine: float, fastest: str) -> None:
    assert Measured({"f32": 100.0, "bf16": bf16}, cosine, "1").fastest == fastest


def test_a_format_is_as_close_to_itself_as_can_be(network: Path) -> None:
    model = ov.Core().read_model(network)
    found = measure(*(compiled(model, "f32") for _ in range(2)))
    assert found.cosine == pytest.approx(1, abs=1e-6)
    assert all(rate > 0 for rate in found.rates.values())


def test_what_is_asked_for_is_taken_without_measuring(network: Path) -> None:
    exact, told = chosen(ov.Core().read_model(network), "f32", network)
    assert numbers_of(exact) == "f32"
    assert told == "The processor calculates in f32, as EMBEDDING_RUNTIME says."
    assert {path.suffix for path in network.parent.iterdir()} == {".xml", ".bin"}


def test_any_other_is_refused_with_what_there_is(network: Path) -> None:
    with pytest.raises(SettingsError, match="EMBEDDING_RUNTIME is 'int4'") as refused:
        load_backbone("mobilenet_v2", "none", "cpu", network.parent, runtime="int4")
    assert "auto, f32 or bf16" in refused.value.remedy


class TestWhereThereAreTwo:
    """On a processor that has instructions for bf16."""

    @pytest.fixture(autouse=True)
    def _has_two(self) -> None:
        if not {"avx512_bf16", "amx_bf16"} & set(processor_features()):
            pytest.skip("this processor has no bf16")

    def test_what_was_measured_is_remembered_by_the_processors_features(
        self, network: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        model = ov.Core().read_model(network)
        found, told = chosen(model, "auto", network)
        kept = network.with_name(f"mobilenet_v2-untrained.{processor_key()}.json")
        known = Measured(**json.loads(kept.read_text()))
        assert numbers_of(found) == known.fastest
        assert told == known.told
        monkeypatch.setattr(runtime_choice, "measure", lambda *_: pytest.fail("measured again"))
        assert chosen(model, "auto", network)[1] == told

    def test_what_another_processor_or_version_measured_says_nothing(
        self, network: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        model = ov.Core().read_model(network)
        here = Measured({"f32": 100.0, "bf16": 300.0}, 1.0, ov.get_version())
        monkeypatch.setattr(runtime_choice, "measure", lambda *_: here)
        kept = network.with_name(f"mobilenet_v2-untrained.{processor_key()}.json")
        elsewhere = network.with_name("mobilenet_v2-untrained.x86_64+sse.json")
        for path, version in ((elsewhere, here.version), (kept, "2020.1")):
            path.write_text(json.dumps({"rates": {"f32": 9, "bf16": 1}, "cosine": 1.0, "version": version}))
        assert chosen(model, "auto", network)[1] == here.told
        kept.write_text("{")
        assert chosen(model, "auto", network)[1] == here.told

    @pytest.mark.parametrize("fastest", ["f32", "bf16"])
    def test_the_key_says_which_it_is_and_heads_carry_over(
        self, network: Path, fastest: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rates = {"f32": 100.0, "bf16": 100.0}
        known = Measured({**rates, fastest: 300.0}, 1.0, ov.get_version())
        monkeypatch.setattr(runtime_choice, "measure", lambda *_: known)
        backbone = load_backbone("mobilenet_v2", "none", "cpu", network.parent)
        assert f"-{fastest}-v" in backbone.key
        assert backbone.runtime == known.told
        other = replace(backbone, key=backbone.key.replace(f"-{fastest}-v", "-cuda-fp16-v"))
        assert other.network == backbone.network
        assert other.key in backbone.keys
