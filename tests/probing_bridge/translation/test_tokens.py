"""The tokeniser of BLEU: that of the references' script, as sacrebleu's own scorer takes it when it is told."""

import importlib.util

import pytest
from sacrebleu.metrics import BLEU

from probing_bridge.errors import BridgeError
from probing_bridge.translation.differences import compare
from probing_bridge.translation.generated import Generated
from probing_bridge.translation.metrics import METRICS, Texts, take
from probing_bridge.translation.tokens import tokeniser_of

CHINESE = ["我们今天去公园玩得很开心", "他昨天买了一本新书给我", "我们在 2020 年去过 Berlin"]
OTHER = ["我们今天去公园玩得很高兴", "他昨天买了一本旧书给我", "我们在 2020 年去过 Bonn"]


def test_chinese_is_scored_by_sacrebleus_chinese_tokeniser():
    texts = Texts(OTHER, CHINESE)
    score = take(METRICS["sacrebleu"], texts)
    assert score.score == BLEU(tokenize="zh").corpus_score(OTHER, [CHINESE]).score > 50
    assert "tok:zh" in score.signature
    found = compare(METRICS["sacrebleu"], texts, Texts(CHINESE, CHINESE))
    assert 0 < found.p <= 1 and "tok:zh" in found.signature


@pytest.mark.parametrize(
    ("references", "tokeniser"),
    [
        (["Ein Satz mit 漢字 darin."], "13a"),
        (["これは新しい本です"], "ja-mecab"),
        (["東京都知事選挙立候補者一覧の発表"], "ja-mecab"),
        (["우리는 오늘 공원에 갔다"], "ko-mecab"),
        (["วันนี้เราไปสวนสาธารณะ"], "char"),
        (["Мы сегодня ходили в парк", "1 2 3"], "13a"),
        (["", "123 !"], "13a"),
    ],
)
def test_the_script_says_which(monkeypatch, references, tokeniser):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    assert tokeniser_of(references) == tokeniser


def test_a_tokeniser_that_is_not_installed_is_asked_for(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BridgeError, match=r"pip install 'sacrebleu\[ja\]'"):
        tokeniser_of(["これは新しい本です"])


def test_words_between_spaces_are_not_those_of_chinese(tmp_path):
    lines = {kind: dict(enumerate(CHINESE)) for kind in "DHT"}
    with pytest.raises(BridgeError, match="use --metrics sacrebleu"):
        METRICS["compound_split_bleu"].texts(Generated(tmp_path, lines), CHINESE)
