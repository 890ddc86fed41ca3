"""What runs would take, before any is made: the code of a run on tensors without content."""
