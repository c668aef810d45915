"""The label config of a companion project: one key for each label of the video project, and one for none of them."""

from __future__ import annotations

from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

from ml_backend.labelstudio.label_config import Question

# What a result holds instead of the words "None of these", which a label may have as well.
NONE = "coldblitz-none"
# The control that answers are of.
CONTROL = "label"
# The digits are those of the timeline; of the letters only those to which Label Studio's image tools give no meaning.
_KEYS = "123456789qtasdfgzxcyijln"
_NONE_KEY = "0"


def companion_config(question: Question, several: bool) -> str:
    """One key for each label of the video project, and one for none of them. `several`: a frame may have more than one."""
    keys = [*_KEYS, *[""] * len(question.labels)]
    choices = [
        _choice(label, key, question.colours.get(label)) for label, key in zip(question.labels, keys, strict=False)
    ]
    choices.append(_choice("None of these", _NONE_KEY, None, NONE))
    kind = "multiple" if several else "single"
    listed = "\n".join(f"    {each}" for each in choices)
    return f"""<View>
  <Header value="$video, frame $frame ($seconds s)"/>
  <Choices name="{CONTROL}" toName="image" choice="{kind}" required="true" showInline="true">
{listed}
  </Choices>
  <Image name="image" value="$image"/>
</View>"""


def _choice(value: str, key: str, colour: str | None, alias: str | None = None) -> str:
    attributes = {"value": value, "alias": alias, "hotkey": key, "background": colour}
    return f"<Choice {' '.join(f'{name}={quoteattr(text)}' for name, text in attributes.items() if text)}/>"


def in_step(label_config: str, question: Question, several: bool) -> str:
    """The label config that the companion should have: its own as long as it has the labels, for an admin may have made it
    nicer; one that allows several labels a frame goes on doing so."""
    allows, labels = _choices(label_config)
    several |= allows
    same = set(labels) == {*question.labels, NONE} and allows == several
    return label_config if same else companion_config(question, several)


def _choices(label_config: str) -> tuple[bool, list[str]]:
    """Whether several may be chosen, and what a result may hold."""
    try:
        found = ElementTree.fromstring(label_config)
    except ElementTree.ParseError:
        return False, []
    for choices in found.iter("Choices"):
        if choices.get("name") == CONTROL:
            labels = [choice.get("alias") or choice.get("value") or "" for choice in choices.iter("Choice")]
            return choices.get("choice") == "multiple", labels
    return False, []
