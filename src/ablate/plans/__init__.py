"""Written ablation plans become ablation files: read, matched by a table of the field's words, written, checked."""
