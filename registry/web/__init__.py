"""The pages that people open in a browser (``ui``), made on the server; scripts only make them nicer.

It is imported where ``ui.enabled`` is set and nowhere else.
"""
