"""Numbers in a plan's words: read, or refused with the reason; never guessed."""

import pytest

from ablate.plans.numbers import NotNumbersError, read_numbers

BESIDE = {"rank", "r", "shot", "image", "per", "class", "head", "a", "use"}
DOUBLED = (8, 16, 32, 64, 128, 256)

WHOLE = {
    "8": (8,),
    "rank 8": (8,),
    "R = 16": (16,),
    "sixteen shots": (16,),
    "twenty-five": (25,),
    "two hundred fifty six": (256,),
    "8, 16, and 32": (8, 16, 32),
    "8/16/32": (8, 16, 32),
    "[8, 16]": (8, 16),
    "five or twenty": (5, 20),
    "5k": (5000,),
    "10,000": (10000,),
    "1e3": (1000,),
    "-8": (-8,),
    "5 images per class": (5,),
    "8 to 256, doubling": DOUBLED,
    "from 8 to 256 in powers of two": DOUBLED,
    "8-256 (powers of 2)": DOUBLED,
    "8 \u2013 256, doubling each time": DOUBLED,
    "256 down to 8, halving": DOUBLED[::-1],
    "between 8 and 64, doubling": (8, 16, 32, 64),
    "1 to 4 in steps of 1": (1, 2, 3, 4),
    "100 to 10, in steps of 30": (100, 70, 40, 10),
}
REAL = {
    "1e-4": (1e-4,),
    "3e-4, 1e-3": (3e-4, 1e-3),
    "2 \u00d7 10^-5": (2e-5,),
    "2 x 10^{-5}": (2e-5,),
    "10⁻⁴": (1e-4,),
    ".5": (0.5,),
    "1e-5 to 1e-2, factor 10": (1e-5, 1e-4, 1e-3, 1e-2),
    "from 1e-5 to 1e-3, one order of magnitude each": (1e-5, 1e-4, 1e-3),
}
SHARES = {
    "10 %": (0.1,),
    "ten percent": (0.1,),
    "5%, 10%": (0.05, 0.1),
    "0.1": (0.1,),
    "10% to 50% in steps of 10%": (0.1, 0.2, 0.3, 0.4, 0.5),
}
REFUSED = {
    "": "no number",
    "all": "'all' is not understood",
    "8 layers": "'layers' is not understood",
    "ViT-B/16": "'vit' is not understood",
    "16x": "not understood",
    "8 instead of 64": "'instead' is not understood",
    "8 16 32": "neither a list nor a range",
    "100,200": "one number or several",
    "8 to 256": "does not say how it goes on",
    "between 8 and 64": "does not say how it goes on",
    "8 to 100, doubling": "does not come to 100",
    "0 to 8, doubling": "without end",
    "1 to 9 in steps of 0": "without end",
    "1 to 1000 in steps of 1": "more than 64 values",
    "8, 16, ..., 256": "leaves numbers out",
    "8 … 256": "leaves numbers out",
    "3.5": "not a whole number",
    "10%": "is a share",
    "64 or 8 (default)": "which of its numbers",
    "9" * 5000: "beyond measure",
    "1e300": "beyond measure",
    "ten two": "'ten two' is not understood",
}


@pytest.mark.parametrize("text", WHOLE)
def test_whole_numbers(text):
    assert read_numbers(text, "integer", BESIDE).values == WHOLE[text]


@pytest.mark.parametrize("text", REAL)
def test_numbers(text):
    assert read_numbers(text, "number", BESIDE).values == pytest.approx(REAL[text])


@pytest.mark.parametrize("text", SHARES)
def test_fractions(text):
    assert read_numbers(text, "fraction", BESIDE).values == pytest.approx(SHARES[text])


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_understood_is_no_number(text):
    with pytest.raises(NotNumbersError, match=REFUSED[text]):
        read_numbers(text, "integer", BESIDE)


@pytest.mark.parametrize("text", ["64 (default)", "baseline: 64", "current rank 64"])
def test_the_plan_may_name_its_baseline(text):
    found = read_numbers(text, "integer", BESIDE)
    assert (found.values, found.is_baseline) == ((64,), True)
