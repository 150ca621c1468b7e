"""Fakes for the ports we own."""
