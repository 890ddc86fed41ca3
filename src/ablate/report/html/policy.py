"""What the page may do: run its own two scripts and show its own images, and reach nothing."""

import base64
import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import cache

import altair
from markupsafe import Markup

_BUNDLE = """
import sys, vl_convert
sys.stdout.buffer.write(vl_convert.javascript_bundle(sys.argv[1], sys.argv[2]).encode())
"""
# In JSON inside a script element, these could end it or open a comment, or are line ends to older parsers.
_UNSAFE = {character: f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


@cache
def _bundling() -> Callable[[], str]:
    """Start to bundle Vega in a process of its own: it takes seconds, during which nothing else would run here."""
    version = "_".join(altair.SCHEMA_VERSION.split(".")[:2])
    command = [sys.executable, "-c", _BUNDLE, "window.vegaEmbed = vegaEmbed;", version]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, encoding="utf-8")

    @cache
    def finish() -> str:
        bundle, _ = process.communicate()
        if process.returncode or not bundle:
            raise OSError(
                "Vega could not be bundled. Fix: pip install --force-reinstall vl-convert-python"
            )
        return bundle

    return finish


def start_vega() -> None:
    """Start what `vega` waits for."""
    _bundling()


def vega() -> str:
    """Return Vega, Vega-Lite and vega-embed as one script, of the version that Altair writes for.

    It is what Altair inlines with `inline=True`, taken once for all pictures of the page.
    """
    bundle = _bundling()()
    if "</script" in bundle.lower() or "<!--" in bundle:
        raise ValueError("the bundle cannot stand inside a script element")
    return bundle


def policy(scripts: Sequence[str], styles: Sequence[str]) -> str:
    """Return the Content-Security-Policy of a page.

    Scripts and styles count by their SHA-256, images from `data:` alone. There is no `unsafe-eval`:
    Vega's expressions are interpreted, not compiled. Nothing is loaded, sent or framed.

    Args:
        scripts: Text of every script element that runs.
        styles: Text of every style element.
    """
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {' '.join(map(_source, scripts))}",
            f"style-src {' '.join(map(_source, styles))}",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def as_json(content: object) -> Markup:
    """Write JSON so that it can stand inside a script element, whatever texts it holds."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup("".join(_UNSAFE.get(character, character) for character in text))


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"
