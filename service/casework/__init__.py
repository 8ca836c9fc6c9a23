"""The use-cases: one file per noun, each function one change or one reading."""
