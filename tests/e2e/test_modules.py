"""The page's modules alone, in the browser: what they compute is what the library computes."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from hand import Studio
from PIL import Image

from freefill.masks.morphology import grow


def _png(hole: np.ndarray) -> str:
    content = io.BytesIO()
    Image.fromarray(hole.astype(np.uint8) * 255).save(content, "PNG")
    return base64.b64encode(content.getvalue()).decode()


READ = """
  const { Mask, grown, isBlank, isSoft } = await import('./mask.js');
  const { decodeMask, encodeMask } = await import('./png.js');
  const file = (coded) => new Blob([Uint8Array.from(atob(coded), (c) => c.charCodeAt(0))]);
  const read = async (coded) => {
    const image = await decodeMask(file(coded));
    return { kind: 'bitmap', image, replace: false };
  };
  const give = async (mask, soft) => {
    const bytes = new Uint8Array(await (await encodeMask(mask, soft)).arrayBuffer());
    return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));
  };
"""


def _mask(coded: str) -> np.ndarray:
    with Image.open(io.BytesIO(base64.b64decode(coded))) as image:
        return np.asarray(image.convert("L"))


@pytest.mark.parametrize("radius", [1, 5, 30])
@pytest.mark.parametrize("seed", [0, 1])
def test_growing_is_that_of_the_library(studio: Studio, radius: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    hole = rng.random((83, 131)) < 0.003
    hole[20:30, 40:90] = True
    script = f"""async ([coded, radius]) => {{ {READ}
      const op = await read(coded);
      const mask = new Mask(131, 83);
      mask.show([op, grown(new Mask(131, 83), 1), op]);
      mask.show([op]);
      mask.show([op, grown(mask, radius)]);
      return give(mask, false);
    }}"""
    found = _mask(studio.page.evaluate(script, [_png(hole), radius])) > 0
    assert (found == grow(hole, radius)).all()


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (8, 8), (515, 9)])
def test_masks_come_through_their_png(studio: Studio, size: tuple[int, int]) -> None:
    hole = np.random.default_rng(3).random(size) < 0.4
    script = f"""async (coded) => {{ {READ}
      const op = await read(coded);
      const mask = new Mask(op.image.width, op.image.height);
      mask.show([op]);
      return [await give(mask, false), await give(mask, true)];
    }}"""
    for coded in studio.page.evaluate(script, _png(hole)):
        assert ((_mask(coded) > 127) == hole).all()


def test_large_photos_get_a_mask_of_fewer_pixels(studio: Studio) -> None:
    script = f"""async () => {{ {READ}
      const mask = new Mask(10000, 8000);
      mask.show([{{ kind: 'box', erase: false, points: [0, 0, 5000, 8000] }}]);
      return [mask.exact, await give(mask, false)];
    }}"""
    exact, coded = studio.page.evaluate(script)
    mask = _mask(coded)
    assert not exact
    assert 31e6 < mask.size < 33e6
    assert mask.shape[1] / mask.shape[0] == pytest.approx(1.25, rel=0.001)
    assert (mask > 0).mean() == pytest.approx(0.5, abs=0.001)


def test_history_forgets_its_beginning_and_not_its_end(studio: Studio) -> None:
    script = """async () => {
      const { History } = await import('./history.js');
      const history = new History({ ops: 0 });
      for (let i = 1; i <= 600; i += 1) history.push({ ops: i }, `Step ${i}`);
      const last = history.now.ops;
      let undone = 0;
      while (history.undoes) { history.undo(); undone += 1; }
      const first = history.now.ops;
      history.undo();
      return [last, undone, first, history.now.ops, history.redoes];
    }"""
    assert studio.page.evaluate(script) == [600, 499, 101, 101, "Step 102"]


def test_blank_masks_are_known(studio: Studio) -> None:
    script = f"""async () => {{ {READ}
      const stroke = {{ kind: 'stroke', erase: false, size: 9, hardness: 1, points: [1, 1] }};
      const erase = {{ ...stroke, erase: true }};
      const soft = {{ ...stroke, hardness: 0.5 }};
      const clear = {{ kind: 'clear' }};
      const invert = {{ kind: 'invert' }};
      return [[], [stroke], [erase], [stroke, clear], [stroke, clear, erase], [clear, invert],
        [stroke, clear, soft]].map((ops) => [isBlank(ops), isSoft(ops)]);
    }}"""
    blank, soft = zip(*studio.page.evaluate(script), strict=True)
    assert blank == (True, False, True, True, True, False, False)
    assert soft == (False, False, False, False, False, False, True)


@pytest.mark.parametrize(
    ("key", "code", "meant"),
    [
        ("b", "KeyB", "b"),
        ("и", "KeyB", "b"),  # Russian
        ("Я", "KeyZ", "z"),
        ("β", "KeyB", "b"),  # Greek
        ("\N{CYRILLIC SMALL LETTER HA}", "BracketLeft", "["),
        ("z", "KeyY", "z"),  # German: what is written on it
        ("é", "Digit2", "é"),
        ("?", "Digit7", "?"),
        ("Enter", "Enter", "Enter"),
        ("ж", "", "ж"),
        ("\N{EXTENDED ARABIC-INDIC DIGIT ZERO}", "Digit0", "0"),  # Persian
        ("\N{DEVANAGARI DIGIT ONE}", "Digit1", "1"),
        ("à", "Digit0", "à"),  # French: its 0 is with Shift
    ],
)
def test_keys_go_by_their_place_where_they_write_no_latin(
    studio: Studio, key: str, code: str, meant: str
) -> None:
    script = "async (event) => (await import('./keyboard.js')).letter(event)"
    assert studio.page.evaluate(script, {"key": key, "code": code}) == meant
