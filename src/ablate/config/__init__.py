"""From YAML to typed, checked values."""
