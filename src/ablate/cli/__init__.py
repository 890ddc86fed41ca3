"""The command line: one module per subcommand, nothing heavy imported before it must."""
