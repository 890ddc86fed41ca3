"""From YAML to typed, checked values."""

from ablate.config.choose import register

register()
