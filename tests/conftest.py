"""At the end of a run: what answers and cheats have earned, and how long a class took."""

from collections import defaultdict

HEAD = f"{'assignment':17}{'question':10}{'right: all points':>19}{'wrong: at most half':>21}"


def pytest_terminal_summary(terminalreporter):
    found = defaultdict(lambda: {"right": [], "wrong": []})
    attacks = defaultdict(list)
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            for key, value in report.user_properties:
                if key == "answer":
                    name, question, kind, share = value
                    found[name, question][kind].append(share)
                if key == "cheat":
                    name, earned = value
                    attacks[name].append(earned)
                if key == "class":
                    name, count, seconds = value
                    line = f"{name}: {count} submissions graded in {seconds:.0f} s"
                    terminalreporter.line(line)
    if found:
        terminalreporter.section("answers to graded questions")
        terminalreporter.line(HEAD)
    for (name, question), shares in sorted(found.items()):
        full = f"{sum(s == 1 for s in shares['right'])} of {len(shares['right'])}"
        low = f"{sum(s <= 0.5 for s in shares['wrong'])} of {len(shares['wrong'])}"
        terminalreporter.line(f"{name:17}{question:10}{full:>19}{low:>21}")
    for name, earned in sorted(attacks.items()):
        nothing = f"{sum(e == 0 for e in earned)} of {len(earned)}"
        terminalreporter.line(f"{name}: cheats that earned nothing: {nothing}")
