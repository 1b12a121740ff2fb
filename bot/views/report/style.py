"""The style sheet of the report's page: light and dark, wide, narrow and printed.

Invariant: it loads nothing. Text has a contrast of at least 4.5 to its background, and a part of a chart of at least 3,
in both themes; `tests/bot/views/report` computes it.
"""

from __future__ import annotations

from typing import Final

LIGHT: Final = {
    "text": "#1d1c1d", "quiet": "#55565b", "page": "#ffffff", "panel": "#f6f7f8", "line": "#d5d7da", "link": "#0b5394",
    "good": "#007a5a", "calm": "#1264a3", "bad": "#c0262d", "warn": "#9a5b00", "neutral": "#6b7280",
    "special": "#6b3fa0", "inside": "#ffffff",
}  # fmt: skip
DARK: Final = {
    "text": "#e8e8e8", "quiet": "#b0b3b8", "page": "#16181c", "panel": "#1f2226", "line": "#3b3f45", "link": "#7cc4ff",
    "good": "#3ecf8e", "calm": "#5fb3f0", "bad": "#ff8087", "warn": "#f0b455", "neutral": "#a3a9b3",
    "special": "#c3a0f7", "inside": "#16181c",
}  # fmt: skip
TONES: Final = ("good", "calm", "bad", "warn", "neutral", "special")

_RULES: Final = """
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 80rem; padding: 2rem 1.5rem 4rem; background: var(--page); color: var(--text);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif; }
h1 { font-size: 1.75rem; line-height: 1.25; margin: 0 0 .25rem; }
h2 { font-size: 1.3rem; margin: 2.5rem 0 .5rem; }
h3 { font-size: 1.05rem; margin: 0 0 .5rem; }
p { margin: .5rem 0; max-width: 65rem; }
a { color: var(--link); }
a:focus-visible, .scroll:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
code { font: .875em/1.4 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.quiet, caption span { color: var(--quiet); }
nav ul { list-style: none; margin: 1rem 0; padding: 0; display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; }
.panel { background: var(--panel); border: 1px solid var(--line); border-left: .375rem solid var(--quiet);
  border-radius: .5rem; padding: .75rem 1.25rem; margin: 1rem 0; }
.panel.good { border-left-color: var(--good); } .panel.bad { border-left-color: var(--bad); }
.panel.warn { border-left-color: var(--warn); }
.panel h2 { margin: .25rem 0; }
.panel ul { margin: .25rem 0; padding-left: 1.25rem; }
dl.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: .75rem; margin: 1rem 0; }
dl.facts div { background: var(--panel); border: 1px solid var(--line); border-radius: .5rem; padding: .75rem 1rem; }
dl.facts dt { color: var(--quiet); font-size: .875rem; } dl.facts dd { margin: 0; font-size: 1.5rem; font-weight: 600; }
dl.facts dd small { font-size: .875rem; font-weight: 400; color: var(--quiet); display: block; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(34rem, 100%), 1fr)); gap: 1.25rem; }
figure { margin: 0; background: var(--panel); border: 1px solid var(--line); border-radius: .5rem;
  padding: 1rem 1.25rem; break-inside: avoid; min-width: 0; }
svg { display: block; width: 100%; height: auto; font: 12px system-ui, sans-serif; }
svg text { fill: var(--text); } svg .axis { fill: var(--quiet); } svg .inside { fill: var(--inside); font-weight: 600; }
svg .grid { stroke: var(--line); } svg .base { stroke: var(--quiet); } svg .part { stroke: var(--panel); }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1rem; list-style: none; padding: 0; margin: .5rem 0;
  font-size: .875rem; }
.legend svg { display: inline-block; width: .75rem; height: .75rem; margin-right: .375rem; }
figure .scroll { margin: .75rem 0; }
table { border-collapse: collapse; width: 100%; font-size: .875rem; }
caption { text-align: left; padding: 0 0 .5rem; }
th, td { text-align: left; vertical-align: top; padding: .375rem .625rem; border-bottom: 1px solid var(--line); }
th { font-weight: 600; } thead th { color: var(--quiet); white-space: nowrap; background: var(--panel); }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
td.moment, td.duration { white-space: nowrap; }
td code { display: inline-block; min-width: 14ch; }
td.text { min-width: 14rem; max-width: 28rem; overflow-wrap: anywhere; white-space: pre-wrap; }
td small { color: var(--quiet); display: block; }
.scroll { overflow: auto; max-height: 85vh; border: 1px solid var(--line); border-radius: .5rem;
  background: var(--page); }
.scroll caption { padding: .5rem .625rem; } .scroll thead th { position: sticky; top: 0; }
figure .scroll { max-height: 15rem; } figure th[scope="row"] { font-weight: 400; white-space: nowrap; }
@media print {
  @page { size: A4 landscape; margin: 12mm; }
  body { max-width: none; padding: 0; font-size: 9pt; }
  nav { display: none; } .scroll, figure .scroll { overflow: visible; max-height: none; border: 0; }
  table { font-size: 7pt; } th, td { padding: 2pt 3pt; } td.text { min-width: 0; }
  td code { min-width: 0; }
  td.moment, td.duration, thead th { white-space: normal; }
  thead { display: table-header-group; } tr { break-inside: avoid; } h2, h3 { break-after: avoid; }
  .charts { grid-template-columns: 1fr 1fr; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""


def _colors(values: dict[str, str]) -> str:
    return " ".join(f"--{name}: {value};" for name, value in values.items())


def write_style() -> str:
    """The whole style sheet. Print is always light: dark pages waste ink, and can't be read as copies."""
    fills = "\n".join(f"svg .{tone} {{ fill: var(--{tone}); }}" for tone in TONES)
    return (
        f":root {{ color-scheme: light dark; {_colors(LIGHT)} }}\n"
        f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {_colors(DARK)} }} }}"
        f"{_RULES}{fills}\n"
    )
