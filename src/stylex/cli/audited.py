"""An audit as lines on the terminal."""

from __future__ import annotations

from stylex.core.audited import Audit
from stylex.report.audited import bracketed, values


def lines_of(audit: Audit) -> list[str]:
    """Attributes with their weights before and after, accuracy, and what was checked."""
    lines = [f"{audit.before} against {audit.after}, on {audit.images} held-out images:"]
    for a in audit.attributes:
        weight = f"weight {bracketed(a.weight.before)} -> {bracketed(a.weight.after)} log odds to {a.target_label}"
        flips = f"flips {a.flips_photograph.before.value:.0%} -> {a.flips_photograph.after.value:.0%}"
        worst = "" if a.worst is None else f", worst group {a.worst.before.value:.1%} -> {a.worst.after.value:.1%}"
        lines.append(f"{a.number:>3}. {a.name:<24} {a.verdict:<9}  {weight}, {flips}{worst}")
    if audit.accuracy is not None:
        lines.append(f"accuracy {bracketed(audit.accuracy.before)} -> {bracketed(audit.accuracy.after)}")
    lines += [f"note: {note}" for note in audit.notes]
    lines += [f"{'FAILED' if c.holds else 'passed'}: {c.said} ({values(c.values)})" for c in audit.checks]
    return lines
