"""Tasks that a trained model is asked for its stable scores: what is asked, and how it is judged."""
