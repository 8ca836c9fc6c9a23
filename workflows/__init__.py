"""The rules: values in, values out, without database, network, clock or environment."""
