"""From rows to a decision: what runs left behind is read, compared and shown; no model is loaded."""
