"""What is measured, how, and the last figures: see README.md here."""
