"""One module per command of `python -m probing_bridge.run`: add_arguments(parser) and run(arguments)."""
