"""The reporting checklists: TRIPOD+AI and PROBAST+AI."""
