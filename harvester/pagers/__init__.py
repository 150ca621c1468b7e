"""Ways through a resource: which page to ask for first, and which ones a page proves to exist. All pure."""
