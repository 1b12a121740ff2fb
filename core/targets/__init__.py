"""The targets: where access is given and taken, behind one protocol."""
