"""What makes the files of this repository that are made by a program."""
