"""The ways out: mail by SMTP, mail into a folder, signed webhooks. Each sorts its failures into "later" and "never"."""
