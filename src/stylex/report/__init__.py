"""Floor 3: figures and the one-file page, made of an explanation. No torch."""

from stylex.report.page import write_report

__all__ = ["write_report"]
