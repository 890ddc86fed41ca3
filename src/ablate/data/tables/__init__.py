"""Tables of the Hugging Face hub, or of files in the same form: read, and their images kept encoded until needed."""
